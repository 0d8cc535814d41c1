import { describe, expect, test } from 'vitest';
import type { CoseKey } from '../../src/codec/cose/key.ts';
import { decodeDeviceTrust, encodeDeviceTrust } from '../../src/codec/device-trust-map.ts';
import { readTrustFile } from '../../src/codec/trust-file.ts';
import { base64url } from '../../src/core/bytes.ts';
import type { DeviceProfile, Wrap } from '../../src/core/device-profile.ts';
import { Secret } from '../../src/core/secret.ts';
import type { Device } from '../../src/devices/device.ts';
import { answerKey, trustFileOf, trustOf, wrapKeys } from '../../src/devices/device-trust.ts';
import { HubKeys } from '../../src/devices/hub-keys.ts';
import { FaultyStore } from '../fakes/faulty-store.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { deviceProfile } from '../fixtures/verified-token.ts';

const ROOT = Uint8Array.from({ length: 32 }, (_, index) => index);
const hub = await HubKeys.load(new FaultyStore());

function device(profile: Partial<DeviceProfile> = {}, root = ROOT): Device {
  return {
    id: 'tube-1',
    audience: 'coap://tube-1',
    line: 'bench',
    profile: deviceProfile({ permissions: { read: [['temperature', 16]] }, ...profile }),
    issuers: undefined,
    rootKey: new Secret(root),
    trustVersion: 1,
    addedAt: 1_700_000_000,
  };
}

const names = (keys: readonly { readonly algorithm: string }[]) => keys.map(({ algorithm }) => algorithm);
const bits = (key: CoseKey | undefined) => (key === undefined ? '' : base64url(key.key.export()));

describe('never in a trust file', () => {
  test.each<Wrap>(['sign1', 'mac0', 'encrypt0', 'sign1+encrypt0', 'mac0+encrypt0'])('of %s: the root key', (wrap) => {
    const authentication = wrap.startsWith('sign1') ? 'ES256' : 'HMAC 256/64';
    expect(trustFileOf(device({ wrap, authentication }), hub, [])).not.toContain(base64url(ROOT));
  });

  test("the hub's private key", () => {
    const text = trustFileOf(device({ wrap: 'sign1', authentication: 'ES256' }), hub, []);
    expect((JSON.parse(text) as { keys: { d?: string }[] }).keys.filter((key) => key.d !== undefined)).toEqual([]);
  });

  test("another device's keys", () => {
    const other = Uint8Array.from(ROOT, (byte) => byte ^ 1);
    const own = readTrustFile(trustFileOf(device(), hub, []));
    const others = readTrustFile(trustFileOf(device({}, other), hub, []));
    const all = [...own.keys, own.answerKey, ...others.keys, others.answerKey].map(bits);
    expect(new Set(all).size).toBe(all.length);
  });
});

test('a MAC cannot be asked of the signing keys of the hub', () => {
  expect(codeOf(() => wrapKeys(device({ wrap: 'sign1', authentication: 'HMAC 256/64' }), hub))).toBe('profile_invalid');
});

test.each<[Wrap, DeviceProfile['authentication'], readonly string[]]>([
  ['mac0', 'HMAC 256/64', ['HMAC 256/64', 'AES-CCM-16-64-128']],
  ['sign1', 'EdDSA', ['EdDSA', 'AES-CCM-16-64-128']],
  ['encrypt0', 'HMAC 256/64', ['AES-CCM-16-64-128']],
  ['mac0+encrypt0', 'HMAC 256/256', ['HMAC 256/256', 'AES-CCM-16-64-128']],
])('a device of %s trusts the keys that the hub wraps with', (wrap, authentication, algorithms) => {
  const asked = device({ wrap, authentication });
  const trust = readTrustFile(trustFileOf(asked, hub, []));
  expect(names(trust.keys)).toEqual(algorithms);
  const keys = wrapKeys(asked, hub);
  expect(keys.authentication === undefined).toBe(wrap === 'encrypt0');
  expect(bits(trust.keys.at(-1))).toBe(bits(keys.encryption));
  expect(bits(trust.answerKey)).toBe(bits(answerKey(asked)));
});

test('a scope without permissions is known, and permits nothing', () => {
  const trust = JSON.parse(trustFileOf(device({ scopes: ['read', 'idle'] }), hub, [])) as { permissions: object };
  expect(trust.permissions).toEqual({ idle: [], read: [['temperature', ['FETCH']]] });
});

describe('what travels to a device', () => {
  const options = { issuers: [{ issuer: 'https://as.example', keys: [] }], time: 1_700_000_100 };

  test.each<[Wrap, DeviceProfile['authentication'], readonly (string | undefined)[]]>([
    ['mac0', 'HMAC 256/64', []],
    ['sign1', 'EdDSA', ['EdDSA']],
    ['sign1+encrypt0', 'ES256', ['ES256']],
    ['encrypt0', 'HMAC 256/64', []],
  ])('of %s with %s names the keys of the hub that sign for it', (wrap, authentication, algorithms) => {
    const asked = device({ wrap, authentication, scopes: ['read', 'idle'] });
    const trust = decodeDeviceTrust(encodeDeviceTrust(trustOf(asked, hub, options)));
    expect(trust).toMatchObject({ version: 1, device: 'tube-1', audience: 'coap://tube-1', wrap, ...options });
    expect(trust.hubKeys.map(({ alg }) => alg)).toEqual(algorithms);
    expect(trust.authentication).toBe(wrap === 'encrypt0' ? undefined : authentication);
    expect(trust.permissions).toEqual({ idle: [], read: [['temperature', 16]] });
  });

  test('says no time where the hub is not sure of it', () => {
    const trust = trustOf(device(), hub, { ...options, time: undefined });
    expect(decodeDeviceTrust(encodeDeviceTrust(trust)).time).toBeUndefined();
  });
});

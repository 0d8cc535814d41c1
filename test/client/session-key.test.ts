import { beforeAll, describe, expect, test } from 'vitest';
import { bearerToken, dpopToken } from '../../src/client/access-token.ts';
import { DpopKey } from '../../src/client/dpop-key.ts';
import { deriveSessionKey, openSessionKey, type SessionContext } from '../../src/client/session-key.ts';
import { deriveDeviceKey } from '../../src/codec/device-keys.ts';
import { openForDevice, type SessionKey } from '../../src/codec/session-key.ts';
import { Secret } from '../../src/core/secret.ts';
import { judgeProof, type ProvenHolder } from '../../src/pop/judge-proof.ts';
import { mintSessionKey } from '../../src/pop/session-key.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { asyncCodeOf } from '../fixtures/async-code-of.ts';
import {
  AUDIENCE,
  makeSharedKey,
  NONCE,
  NOW,
  openWindow,
  presentCose,
  proofContext,
  TOKEN,
  TOKEN_DIGEST,
} from '../pop/proof-rig.ts';

const FORMATS = ['jose', 'cose'] as const;
const shared = makeSharedKey();
const device = {
  key: deriveDeviceKey(new Secret(new Uint8Array(32)), 'session', 'AES-CCM-16-64-128').key,
  device: 'ekg-1',
  audience: AUDIENCE,
};
/** Made by the client library: its private key cannot be exported. */
let key: DpopKey;
let context: SessionContext;

beforeAll(async () => {
  key = await DpopKey.generate();
  context = { token: dpopToken(TOKEN, key), audience: AUDIENCE };
});

function mint(holder: ProvenHolder, clientFormat: 'jose' | 'cose') {
  return mintSessionKey({
    holder,
    tokenDigest: TOKEN_DIGEST,
    device: device.device,
    audience: AUDIENCE,
    expiresAt: NOW + 600,
    deviceKey: device.key,
    clientFormat,
    random: new FakeTime({ seed: 5 }),
  });
}

async function copies(clientFormat: 'jose' | 'cose') {
  const confirmation = { jkt: key.thumbprint };
  const proof = presentCose(key.coseKey, { show: key.publicJwk });
  return mint(await judgeProof(proof, proofContext(await openWindow(), confirmation)), clientFormat);
}

const copyOf = async (format: 'jose' | 'cose') => (await copies(format)).forClient ?? '';
const secretOf = ({ key: { key: session } }: SessionKey) => session.export().toString('hex');

test.each(FORMATS)('client and device hold the same key (%s)', async (format) => {
  const { forClient, forDevice } = await copies(format);
  const own = await openSessionKey(forClient ?? '', context);
  const other = openForDevice(forDevice, device);
  expect(secretOf(own)).toBe(secretOf(other));
  expect({ ...own, key: undefined }).toEqual({ ...other, key: undefined });
});

test('a client that shares a secret with the AS derives the key that the device gets', async () => {
  const replay = await openWindow();
  const proof = presentCose(shared.key);
  const { forDevice } = mint(await judgeProof(proof, proofContext(replay, { jwk: shared.jwk })), 'cose');
  const token = bearerToken(TOKEN, shared.key);
  const own = deriveSessionKey({ token, audience: AUDIENCE, nonce: NONCE, expiresAt: NOW + 600 });
  const other = openForDevice(forDevice, device);
  expect(secretOf(own)).toBe(secretOf(other));
  expect({ ...own, key: undefined }).toEqual({ ...other, key: undefined });
});

test('each proof of such a client leads to another key, and none to the secret itself', () => {
  const token = bearerToken(TOKEN, shared.key);
  const options = { token, audience: AUDIENCE, expiresAt: NOW + 600 };
  const keys = [NONCE, new Uint8Array(16)].map((nonce) => secretOf(deriveSessionKey({ ...options, nonce })));
  keys.push(secretOf(deriveSessionKey({ ...options, nonce: NONCE, audience: 'other' })));
  keys.push(secretOf(deriveSessionKey({ ...options, nonce: NONCE, token: bearerToken('other', shared.key) })));
  expect(new Set(keys).size).toBe(4);
  for (const session of keys) expect(shared.key.key.export().toString('hex')).not.toContain(session);
});

describe.each(FORMATS)('refuses (%s)', (format) => {
  const failed = /^(jwe_decryption_failed|cose_verification_failed)$/;

  test('a copy for another client', async () => {
    const token = dpopToken(TOKEN, await DpopKey.generate());
    const copy = await copyOf(format);
    expect(await asyncCodeOf(openSessionKey(copy, { ...context, token }))).toMatch(failed);
  });

  test('a copy of another token', async () => {
    const token = dpopToken('another', key);
    const copy = await copyOf(format);
    expect(await asyncCodeOf(openSessionKey(copy, { ...context, token }))).toMatch(
      /^(session_key_invalid|cose_verification_failed)$/,
    );
  });

  test('a copy of another device', async () => {
    const copy = await copyOf(format);
    expect(await asyncCodeOf(openSessionKey(copy, { ...context, audience: 'https://other.example' }))).toMatch(
      /^(session_key_invalid|cose_verification_failed)$/,
    );
  });

  test('a copy where the client has no key', async () => {
    const copy = await copyOf(format);
    expect(await asyncCodeOf(openSessionKey(copy, { ...context, token: bearerToken(TOKEN) }))).toBe(
      'client_key_missing',
    );
  });
});

test('refuses a text that is no JWE', async () => {
  expect(await asyncCodeOf(openSessionKey('nonsense', context))).toBe('jwe_invalid');
});

import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { openJwe } from '../../src/codec/jwe.ts';
import { fromUtf8, utf8 } from '../../src/core/bytes.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { HubKeys } from '../../src/devices/hub-keys.ts';
import { FaultyStore } from '../fakes/faulty-store.ts';
import { asyncCodeOf } from '../fixtures/async-code-of.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { encryptTo } from '../fixtures/encrypting-issuer.ts';

const [A, B] = ['https://a.example', 'https://b.example'] as const;
const kidOf = (keys: HubKeys, issuer?: string) => (keys.publicJwks(issuer).keys as JsonObject[])[0]?.kid;
const recordOf = (store: FaultyStore) =>
  JSON.parse(fromUtf8(store.entries.get('hub/keys') ?? new Uint8Array())) as JsonObject;

/** What an issuer sends: encrypted to the key that is published for it now. */
async function sealed(keys: HubKeys, issuer: string): Promise<string> {
  const [jwk] = keys.publicJwks(issuer).keys as JsonObject[];
  return encryptTo(jwk ?? {}, 'secret', { header: { alg: jwk?.alg ?? 'ECDH-ES+A128KW' } });
}
const opened = (keys: HubKeys, issuer: string, jwe: string) => asyncCodeOf(openJwe(jwe, keys.decryptionKeys(issuer)));

/** A store as an earlier version left it: one key for all issuers. */
async function earlierStore(): Promise<{ store: FaultyStore; shared: JsonObject }> {
  const store = new FaultyStore();
  await HubKeys.load(store);
  const { jwe, ...rest } = recordOf(store);
  const jwk = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }) as JsonObject;
  const shared: JsonObject = { ...jwk, kid: 'shared-1', alg: 'ECDH-ES+A128KW', use: 'enc' };
  return {
    store: new FaultyStore(new Map([['hub/keys', utf8(JSON.stringify({ ...rest, decryption: shared }))]])),
    shared,
  };
}

describe('the keys that cnf.jwe is encrypted to', () => {
  it('are one for each issuer, public, and the same after a restart', async () => {
    const store = new FaultyStore();
    const first = await HubKeys.load(store, [A, B]);
    expect(first.publicJwks(A).keys).toMatchObject([{ kty: 'EC', crv: 'P-256', use: 'enc' }]);
    // It serves three algorithms, so it names none.
    expect(Object.keys((first.publicJwks(A).keys as JsonObject[])[0] ?? {}).toSorted()).toEqual([
      'crv',
      'kid',
      'kty',
      'use',
      'x',
      'y',
    ]);
    expect(kidOf(first, A)).not.toBe(kidOf(first, B));
    const second = await HubKeys.load(new FaultyStore(store.entries), [A, B]);
    expect([kidOf(second, A), kidOf(second, B)]).toEqual([kidOf(first, A), kidOf(first, B)]);
    expect(store.writes).toBe(1);
  });

  it('open what their own issuer encrypted and nothing of another one', async () => {
    const keys = await HubKeys.load(new FaultyStore(), [A, B]);
    const jwe = await sealed(keys, A);
    expect(await opened(keys, A, jwe)).toBe('none');
    expect(await opened(keys, B, jwe)).toBe('jwe_decryption_failed');
    expect([kidOf(keys, A), kidOf(keys, B), 'other'].map((kid) => keys.issuerOfKey(String(kid)))).toEqual([
      A,
      B,
      undefined,
    ]);
    expect(keys.decryptionKeys('https://unknown.example')).toEqual([]);
  });

  it('need no name where one issuer is configured, and one where there are several', async () => {
    const one = await HubKeys.load(new FaultyStore(), [A]);
    expect(kidOf(one)).toBe(kidOf(one, A));
    const two = await HubKeys.load(new FaultyStore(), [A, B]);
    expect(codeOf(() => two.publicJwks())).toBe('jwks_issuer_unknown');
    expect(codeOf(() => two.publicJwks('https://unknown.example'))).toBe('jwks_issuer_unknown');
    expect(codeOf(() => two.publicJwks('constructor'))).toBe('jwks_issuer_unknown');
  });

  it('are made for an issuer that is added, and leave those that are there', async () => {
    const store = new FaultyStore();
    const before = kidOf(await HubKeys.load(store, [A]));
    const keys = await HubKeys.load(new FaultyStore(store.entries), [A, B]);
    expect(kidOf(keys, A)).toBe(before);
    expect(kidOf(keys, B)).not.toBe(before);
  });

  it('are kept, and not published, while their issuer is away from the configuration', async () => {
    const store = new FaultyStore();
    const before = kidOf(await HubKeys.load(store, [A, B]), B);
    const without = await HubKeys.load(store, [A]);
    expect(codeOf(() => without.publicJwks(B))).toBe('jwks_issuer_unknown');
    expect(kidOf(await HubKeys.load(store, [A, B]), B)).toBe(before);
  });
});

describe('an issuer that encrypts to RSA alone', () => {
  const RSA = new Map([[A, 'RSA' as const]]);
  const keysIn = (store: FaultyStore) => recordOf(store).jwe as readonly { current: JsonObject; older?: JsonObject }[];

  it('gets an RSA key of which the public part is published, the same after a restart', async () => {
    const store = new FaultyStore();
    const keys = await HubKeys.load(store, [A, B], RSA);
    const [jwk] = keys.publicJwks(A).keys as JsonObject[];
    expect(jwk).toEqual({
      kty: 'RSA',
      alg: 'RSA-OAEP-256',
      use: 'enc',
      e: 'AQAB',
      kid: expect.any(String),
      n: expect.any(String),
    });
    expect(Buffer.from(String(jwk?.n), 'base64url')).toHaveLength(256);
    expect(keys.publicJwks(B).keys).toMatchObject([{ kty: 'EC' }]);
    const again = await HubKeys.load(new FaultyStore(store.entries), [A, B], RSA);
    expect(kidOf(again, A)).toBe(jwk?.kid);
    expect(await opened(again, A, await sealed(again, A))).toBe('none');
  });

  it('keeps what was encrypted to its EC key until the next rotation', async () => {
    const store = new FaultyStore();
    const before = await HubKeys.load(store, [A]);
    const jwe = await sealed(before, A);
    const keys = await HubKeys.load(store, [A], RSA);
    expect(keys.publicJwks(A).keys).toMatchObject([{ kty: 'RSA' }]);
    expect(await opened(keys, A, jwe)).toBe('none');
    await keys.rotate();
    expect(keys.publicJwks(A).keys).toMatchObject([{ kty: 'RSA' }]);
    expect(await opened(keys, A, jwe)).toBe('jwe_decryption_failed');
  });

  it('has no private part of a key that was replaced twice on the medium', async () => {
    const store = new FaultyStore();
    const first = await HubKeys.load(store, [A]);
    await first.rotate();
    const [held] = keysIn(store);
    await HubKeys.load(store, [A], RSA);
    expect(JSON.stringify(recordOf(store))).toContain(String(held?.current.d));
    expect(JSON.stringify(recordOf(store))).not.toContain(String(held?.older?.d));
    expect(store.forgotten).toEqual(['hub/']);
  });
});

describe('a rotation of the hub', () => {
  it('gives each issuer a new key, and opens what was encrypted to the one before until the next', async () => {
    const store = new FaultyStore();
    const keys = await HubKeys.load(store, [A, B]);
    const [first, before] = [await sealed(keys, A), kidOf(keys, A)];
    await keys.rotate();
    expect(kidOf(keys, A)).not.toBe(before);
    expect(await opened(keys, A, first)).toBe('none');
    expect(await opened(keys, A, await sealed(keys, A))).toBe('none');
    expect(keys.issuerOfKey(String(before))).toBe(A);
    const restarted = await HubKeys.load(new FaultyStore(store.entries), [A, B]);
    expect(await opened(restarted, A, first)).toBe('none');
    await keys.rotate();
    expect(await opened(keys, A, first)).toBe('jwe_decryption_failed');
  });

  it('takes the key before the last one off the medium', async () => {
    const store = new FaultyStore();
    const keys = await HubKeys.load(store, [A]);
    const before = kidOf(keys);
    await keys.rotate();
    await keys.retire(() => true);
    expect(store.forgotten).toEqual([]);
    await keys.rotate();
    expect(JSON.stringify(recordOf(store))).not.toContain(`"${before}"`);
    await keys.retire(() => true);
    expect(store.forgotten).toEqual(['hub/']);
    expect(recordOf(store).remains).toBeUndefined();
  });
});

describe('the key that an earlier version had for all issuers', () => {
  it('goes on as the key of a single issuer', async () => {
    const { store } = await earlierStore();
    expect(kidOf(await HubKeys.load(store, [A]))).toBe('shared-1');
    expect(recordOf(store).decryption).toBeUndefined();
    const later = await HubKeys.load(store, [A, B]);
    expect(kidOf(later, A)).toBe('shared-1');
    expect(kidOf(later, B)).not.toBe('shared-1');
  });

  it('belongs to none of several issuers, and goes off the medium', async () => {
    const { store, shared } = await earlierStore();
    const keys = await HubKeys.load(store, [A, B]);
    expect([kidOf(keys, A), kidOf(keys, B)]).not.toContain('shared-1');
    expect(JSON.stringify(recordOf(store))).not.toContain(String(shared.d));
    expect(store.forgotten).toEqual(['hub/']);
  });

  it('waits while no issuer is configured', async () => {
    const { store } = await earlierStore();
    await HubKeys.load(store);
    expect(kidOf(await HubKeys.load(store, [A]))).toBe('shared-1');
  });
});

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { importJwk } from '../../src/codec/cose/key.ts';
import { makeSign1, openSign1 } from '../../src/codec/cose/sign1.ts';
import { fromUtf8, utf8 } from '../../src/core/bytes.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { HubKeys } from '../../src/devices/hub-keys.ts';
import { openStore } from '../../src/store/open-store.ts';
import { FaultyStore } from '../fakes/faulty-store.ts';
import { asyncCodeOf } from '../fixtures/async-code-of.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { filesOf, opensWith, rawValue } from '../fixtures/sealed-files.ts';

const kids = (keys: HubKeys) => keys.signingKeys('ES256').map(({ keyId }) => keyId);
const recordOf = (store: FaultyStore) =>
  JSON.parse(fromUtf8(store.entries.get('hub/keys') ?? new Uint8Array())) as JsonObject;

describe('keys of the hub', () => {
  it('are made once, and are the same after a restart', async () => {
    const store = new FaultyStore();
    const first = await HubKeys.load(store);
    const second = await HubKeys.load(new FaultyStore(store.entries));
    for (const algorithm of ['ES256', 'EdDSA'] as const)
      expect(second.signingKey(algorithm).publicJwk).toEqual(first.signingKey(algorithm).publicJwk);
    expect(store.writes).toBe(1);
  });

  it('sign, and what they sign verifies with the public part', async () => {
    const keys = await HubKeys.load(new FaultyStore());
    for (const algorithm of ['ES256', 'EdDSA'] as const) {
      const { key, publicJwk } = keys.signingKey(algorithm);
      expect(publicJwk.d).toBeUndefined();
      const signed = makeSign1({ payload: utf8('x'), key });
      expect(openSign1(signed, { key: importJwk(publicJwk) }).payload).toEqual(utf8('x'));
    }
  });

  it('do not sign with a MAC', async () => {
    const keys = await HubKeys.load(new FaultyStore());
    expect(codeOf(() => keys.signingKey('HMAC 256/64'))).toBe('profile_invalid');
    expect(keys.signingKeys('HMAC 256/64')).toEqual([]);
  });

  it('do not print', async () => {
    const store = new FaultyStore();
    const keys = await HubKeys.load(store);
    await keys.rotate();
    const text = inspect(keys, { depth: 9, showHidden: true }) + JSON.stringify(keys);
    for (const jwk of [recordOf(store).ES256, ...(recordOf(store).older as JsonObject[])])
      expect(text).not.toContain(String((jwk as JsonObject).d));
  });
});

describe('a rotation', () => {
  it('puts a new key before the old one, on the medium first', async () => {
    const store = new FaultyStore();
    const keys = await HubKeys.load(store);
    const [old] = kids(keys);
    await keys.rotate();
    expect(kids(keys)).toHaveLength(2);
    expect(kids(keys)[1]).toBe(old);
    expect(keys.signingKeys('EdDSA')).toHaveLength(2);
    expect(kids(await HubKeys.load(new FaultyStore(store.entries)))).toEqual(kids(keys));
  });

  it('leaves all as it was where the medium does not take it', async () => {
    const store = new FaultyStore();
    const keys = await HubKeys.load(store);
    const before = kids(keys);
    store.failAt(1);
    await expect(keys.rotate()).rejects.toThrow('the medium failed');
    expect(kids(keys)).toEqual(before);
    expect(kids(await HubKeys.load(new FaultyStore(store.entries)))).toEqual(before);
  });

  it('is refused where too many older keys are needed still', async () => {
    const keys = await HubKeys.load(new FaultyStore());
    for (let count = 0; count < 8; count += 1) await keys.rotate();
    expect(await asyncCodeOf(keys.rotate())).toBe('hub_keys_in_use');
    expect(kids(keys)).toHaveLength(9);
  });
});

describe('an old key', () => {
  it('is kept as long as it is needed, and dropped when it is not', async () => {
    const store = new FaultyStore();
    const keys = await HubKeys.load(store);
    await keys.rotate();
    const [current, old] = kids(keys);
    const oldEdDsa = keys.signingKeys('EdDSA')[1]?.keyId;
    expect(await keys.retire((keyId) => keyId === old)).toEqual([oldEdDsa]);
    expect(kids(keys)).toEqual([current, old]);
    await keys.retire(() => false);
    expect(kids(keys)).toEqual([current]);
    expect(keys.olderKeyIds()).toEqual([]);
  });

  it('goes off the medium, and at the next start where the hub was killed on the way', async () => {
    const store = new FaultyStore();
    const keys = await HubKeys.load(store);
    await keys.rotate();
    const killed = new FaultyStore(new Map(store.entries));
    await keys.retire(() => false);
    expect(store.forgotten).toEqual(['hub/']);
    expect(recordOf(store).remains).toBeUndefined();

    const dying = await HubKeys.load(killed);
    killed.forget = () => Promise.reject(new Error('killed'));
    await expect(dying.retire(() => false)).rejects.toThrow('killed');
    const next = new FaultyStore(killed.entries);
    await HubKeys.load(next);
    expect(next.forgotten).toEqual(['hub/']);
    expect(recordOf(next).remains).toBeUndefined();
  });

  it('is never the current one', async () => {
    const keys = await HubKeys.load(new FaultyStore());
    expect(await keys.retire(() => false)).toEqual([]);
    expect(kids(keys)).toHaveLength(1);
  });

  it('cannot be had from the files afterwards', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'latchkey-hub-keys-'));
    try {
      const database = join(folder, 'db');
      const first = await openStore(database);
      await HubKeys.load(first);
      const { ES256 } = JSON.parse(fromUtf8((await first.read('hub/keys')) ?? new Uint8Array())) as {
        ES256: JsonObject;
      };
      await (await HubKeys.load(first)).rotate();
      await first.close();
      const sealed = await rawValue(database, 'hub/keys');
      expect(opensWith(database, 'hub/keys', sealed)).toContain(String(ES256.d));
      const second = await openStore(database);
      await (await HubKeys.load(second)).retire(() => false);
      expect(opensWith(database, 'hub/keys', sealed)).toBeUndefined();
      await second.close();
      expect(opensWith(database, 'hub/keys', await rawValue(database, 'hub/keys'))).not.toContain(String(ES256.d));
      expect(filesOf(database)).not.toContain(String(ES256.d));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('a record of keys that cannot be used', () => {
  const GOOD = '"ES256":{},"EdDSA":{},"jwe":[]';
  it.each([
    ['no JSON', '{'],
    ['no object', '[]'],
    ['without a key', '{"ES256":{},"jwe":[]}'],
    ['without keys for cnf.jwe', '{"ES256":{},"EdDSA":{}}'],
    ['a key for cnf.jwe that is none', '{"ES256":{},"EdDSA":{},"decryption":"x"}'],
    ['keys for cnf.jwe that are no list', '{"ES256":{},"EdDSA":{},"jwe":{}}'],
    ['keys for cnf.jwe of no issuer', '{"ES256":{},"EdDSA":{},"jwe":[{"current":{}}]}'],
    ['an issuer without a key', '{"ES256":{},"EdDSA":{},"jwe":[{"issuer":"https://as.example"}]}'],
    ['an older key for cnf.jwe that is none', '{"ES256":{},"EdDSA":{},"jwe":[{"issuer":"a","current":{},"older":1}]}'],
    ['older keys that are no list', `{${GOOD},"older":{}}`],
    ['an older key that is none', `{${GOOD},"older":["x"]}`],
    ['an older key that signs nothing', `{${GOOD},"older":[{"alg":"ECDH-ES+A128KW"}]}`],
  ])('stops the hub: %s', async (_, text) => {
    const store = new FaultyStore(new Map([['hub/keys', utf8(text)]]));
    expect(await asyncCodeOf(HubKeys.load(store))).toBe('store_corrupt');
    expect(store.writes).toBe(0);
  });
});

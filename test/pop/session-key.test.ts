import { createPrivateKey, randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { compactDecrypt, decodeProtectedHeader, importJWK, type JWK } from 'jose';
import { describe, expect, test } from 'vitest';
import { decodeCbor } from '../../src/codec/cbor.ts';
import { openEncryptTo } from '../../src/codec/cose/encrypt-to.ts';
import { openEncrypt0 } from '../../src/codec/cose/encrypt0.ts';
import { deriveDeviceKey } from '../../src/codec/device-keys.ts';
import { openForDevice } from '../../src/codec/session-key.ts';
import { base64url, fromBase64url, utf8 } from '../../src/core/bytes.ts';
import { Secret } from '../../src/core/secret.ts';
import { judgeProof, type ProvenHolder } from '../../src/pop/judge-proof.ts';
import { mintSessionKey, type SessionKeyRequest } from '../../src/pop/session-key.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { codeOf } from '../fixtures/code-of.ts';
import {
  AUDIENCE,
  makeClient,
  makeSharedKey,
  NOW,
  openWindow,
  presentCose,
  proofContext,
  TOKEN_DIGEST,
} from './proof-rig.ts';

const DEVICE = 'ekg-1';
const deviceKey = deriveDeviceKey(new Secret(new Uint8Array(32)), 'session', 'AES-CCM-16-64-128').key;
const context = { key: deviceKey, device: DEVICE, audience: AUDIENCE };
const client = makeClient();
const edwards = makeClient('EdDSA');
const shared = makeSharedKey();

async function holderOf(by: 'client' | 'edwards' | 'shared'): Promise<ProvenHolder> {
  const replay = await openWindow();
  if (by === 'shared') return judgeProof(presentCose(shared.key), proofContext(replay, { jwk: shared.jwk }));
  const { key, publicJwk } = by === 'client' ? client : edwards;
  return judgeProof(presentCose(key), proofContext(replay, { jwk: publicJwk }));
}

async function mint(changes: Partial<SessionKeyRequest> = {}) {
  return mintSessionKey({
    holder: await holderOf('client'),
    tokenDigest: TOKEN_DIGEST,
    device: DEVICE,
    audience: AUDIENCE,
    expiresAt: NOW + 600,
    deviceKey,
    clientFormat: 'jose',
    random: new FakeTime({ seed: 5 }),
    ...changes,
  });
}

describe('the copy of the device', () => {
  test('opens with the device’s session key, and says what the key is for', async () => {
    const copies = await mint();
    expect(openForDevice(copies.forDevice, context)).toMatchObject({
      keyId: copies.keyId,
      expiresAt: NOW + 600,
      tokenHash: TOKEN_DIGEST.slice(0, 16),
      clientThumbprint: new Uint8Array(fromBase64url(client.thumbprint)),
      key: { algorithm: 'AES-CCM-16-64-128', keyId: utf8(copies.keyId) },
    });
  });

  test('is a map in deterministic CBOR with a COSE_Key', async () => {
    const { forDevice, keyId } = await mint();
    const externalAad = Buffer.concat([
      Buffer.from([0x83, 0x72]),
      utf8('latchkey-session-1'),
      Buffer.from([0x65]),
      utf8(DEVICE),
      Buffer.from([0x75]),
      utf8(AUDIENCE),
    ]);
    const { payload } = openEncrypt0(forDevice, { key: deviceKey, externalAad });
    expect(decodeCbor(payload)).toEqual(
      new Map<number, unknown>([
        [
          1,
          new Map<number, unknown>([
            [1, 4],
            [2, utf8(keyId)],
            [3, 10],
            [-1, expect.any(Uint8Array)],
          ]),
        ],
        [2, NOW + 600],
        [3, TOKEN_DIGEST.slice(0, 16)],
        [4, new Uint8Array(fromBase64url(client.thumbprint))],
      ]),
    );
  });

  test.each([
    ['another device', { ...context, device: 'ekg-2' }],
    ['another audience', { ...context, audience: 'https://other.example' }],
    [
      'another key',
      { ...context, key: deriveDeviceKey(new Secret(randomBytes(32)), 'session', 'AES-CCM-16-64-128').key },
    ],
  ])('does not open for %s', async (_name, other) => {
    const { forDevice } = await mint();
    expect(codeOf(() => openForDevice(forDevice, other))).toMatch(/^cose_(verification_failed|key_unknown)$/);
  });

  test('does not open once a byte was changed', async () => {
    const { forDevice } = await mint();
    forDevice[forDevice.length - 1] = (forDevice[forDevice.length - 1] ?? 0) ^ 1;
    expect(codeOf(() => openForDevice(forDevice, context))).toBe('cose_verification_failed');
  });
});

describe('the copy of the client', () => {
  test('is a JWE that jose opens: a JWK with the same key', async () => {
    const copies = await mint();
    const key = await importJWK(client.privateJwk as JWK, 'ECDH-ES');
    const { plaintext, protectedHeader } = await compactDecrypt(String(copies.forClient), key);
    expect(protectedHeader).toMatchObject({ alg: 'ECDH-ES', enc: 'A128GCM', cty: 'jwk+json' });
    const jwk = JSON.parse(Buffer.from(plaintext).toString());
    expect(jwk).toEqual({
      k: expect.stringMatching(/^[A-Za-z0-9_-]{22}$/),
      kty: 'oct',
      kid: copies.keyId,
      alg: 'AES-CCM-16-64-128',
      exp: NOW + 600,
      aud: AUDIENCE,
      token_hash: base64url(TOKEN_DIGEST.subarray(0, 16)),
      jkt: client.thumbprint,
    });
    expect(openForDevice(copies.forDevice, context).key.key.export().toString('base64url')).toBe(jwk.k);
  });

  test('is a COSE_Encrypt with the very content that the device has', async () => {
    const copies = await mint({ clientFormat: 'cose' });
    const key = createPrivateKey({ key: client.privateJwk as Record<string, string>, format: 'jwk' });
    const aad = Buffer.concat([
      Buffer.from([0x83, 0x78, 25]),
      utf8('latchkey-session-client-1'),
      Buffer.from([0x50]),
      TOKEN_DIGEST.subarray(0, 16),
      Buffer.from([0x75]),
      utf8(AUDIENCE),
    ]);
    const plaintext = openEncryptTo(copies.forClient as Uint8Array, { key, externalAad: aad });
    const map = decodeCbor(plaintext) as ReadonlyMap<number, ReadonlyMap<number, Uint8Array>>;
    const device = openForDevice(copies.forDevice, context).key.key.export();
    expect(Buffer.from(map.get(1)?.get(-1) ?? [])).toEqual(device);
  });

  test('is not needed where client and AS share a secret', async () => {
    const copies = await mint({ holder: await holderOf('shared') });
    expect(copies.forClient).toBeUndefined();
    expect(openForDevice(copies.forDevice, context).keyId).toBe(copies.keyId);
  });
});

test('every key is fresh', async () => {
  const random = new FakeTime({ seed: 9 });
  const keys = await Promise.all(
    Array.from({ length: 20 }, async () => openForDevice((await mint({ random })).forDevice, context)),
  );
  expect(new Set(keys.map(({ key }) => key.key.export().toString('hex'))).size).toBe(20);
  expect(new Set(keys.map(({ keyId }) => keyId)).size).toBe(20);
});

test('nothing that was drawn for the key is left in the hub', async () => {
  const source = new FakeTime({ seed: 5 });
  const drawn: Uint8Array[] = [];
  const random = {
    fraction: () => 0,
    bytes(length: number) {
      const bytes = source.bytes(length);
      drawn.push(bytes);
      return bytes;
    },
  };
  for (const clientFormat of ['jose', 'cose'] as const) {
    drawn.length = 0;
    const copies = await mint({ random, clientFormat });
    expect(drawn[0]).toEqual(new Uint8Array(16));
    expect(inspect(copies, { depth: 9 })).not.toContain('[secret]');
    expect(openForDevice(copies.forDevice, context).key.key.export()).not.toEqual(Buffer.alloc(16));
  }
});

test('the header of the JWE holds no name that tells more than the ephemeral key', async () => {
  const header = decodeProtectedHeader(String((await mint()).forClient));
  expect(Object.keys(header).sort()).toEqual(['alg', 'cty', 'enc', 'epk']);
});

describe('is refused', () => {
  test.each(['jose', 'cose'] as const)('to a client with an Ed25519 key (%s)', async (clientFormat) => {
    const holder = await holderOf('edwards');
    await expect(mint({ holder, clientFormat })).rejects.toMatchObject({ code: 'session_key_unsupported' });
  });

  test.each<ProvenHolder>([
    { kind: 'certificate', thumbprint: base64url(new Uint8Array(32)), key: undefined },
    { kind: 'none', thumbprint: undefined, key: undefined },
  ])('to a holder of kind $kind', async (holder) => {
    await expect(mint({ holder })).rejects.toMatchObject({ code: 'session_key_unsupported' });
  });
});

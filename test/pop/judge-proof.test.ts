import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { encodeCbor } from '../../src/codec/cbor.ts';
import { makeEncrypt0 } from '../../src/codec/cose/encrypt0.ts';
import { importJwk } from '../../src/codec/cose/key.ts';
import { makeSign1 } from '../../src/codec/cose/sign1.ts';
import { base64url, EMPTY } from '../../src/core/bytes.ts';
import type { PresentedProof } from '../../src/core/introspection.ts';
import type { JsonObject } from '../../src/core/json.ts';
import type { DurableReplayWindow } from '../../src/pop/durable-replay-window.ts';
import { judgeProof, type ProofContext } from '../../src/pop/judge-proof.ts';
import { FaultyStore } from '../fakes/faulty-store.ts';
import { asyncCodeOf } from '../fixtures/async-code-of.ts';
import { KEY } from '../fixtures/cose-keys.ts';
import { HOSTILE_CBOR } from '../fixtures/hostile-cbor.ts';
import {
  AUDIENCE,
  type DpopParts,
  makeClient,
  makeDpop,
  makeSharedKey,
  NONCE,
  NOW,
  openWindow,
  presentCose,
  presentDpop,
  proofContext,
  WINDOW,
} from './proof-rig.ts';

const client = makeClient();
const stranger = makeClient();
const edwards = makeClient('EdDSA');
const shared = makeSharedKey();
const certificate = randomBytes(32);
const BOUND = {
  jkt: { jkt: client.thumbprint },
  jwk: { jwk: client.publicJwk },
  shared: { jwk: shared.jwk },
  certificate: { 'x5t#S256': base64url(certificate) },
} as const satisfies Record<string, JsonObject>;

let replay: DurableReplayWindow;
beforeEach(async () => {
  replay = await openWindow();
});

const judge = (
  proof: PresentedProof | undefined,
  confirmation: JsonObject | undefined,
  changes: Partial<ProofContext> = {},
) => judgeProof(proof, proofContext(replay, confirmation, changes));
const code = (
  proof: PresentedProof | undefined,
  confirmation: JsonObject | undefined,
  changes: Partial<ProofContext> = {},
) => asyncCodeOf(judge(proof, confirmation, changes));

const dpop = async (parts: DpopParts = {}) => presentDpop(await makeDpop(client, parts));
const byCertificate = (thumbprint: Uint8Array): PresentedProof => ({ kind: 'certificate', thumbprint });

describe('answers with the holder of', () => {
  test.each(['jkt', 'jwk'] as const)('a token bound by %s, over DPoP', async (method) => {
    const holder = await judge(await dpop(), BOUND[method]);
    expect(holder).toMatchObject({ kind: 'dpop', thumbprint: client.thumbprint, key: { kind: 'public' } });
    expect(holder.key?.kind === 'public' && holder.key.jwk).toEqual(client.publicJwk);
  });

  test('a token bound by jkt, over COSE_Sign1 that shows the key', async () => {
    const holder = await judge(presentCose(client.key, { show: client.publicJwk }), BOUND.jkt);
    expect(holder).toMatchObject({ kind: 'cose', thumbprint: client.thumbprint, key: { kind: 'public' } });
  });

  test.each([undefined, client.publicJwk])('a token bound by jwk, over COSE_Sign1', async (show) => {
    const holder = await judge(presentCose(client.key, show === undefined ? {} : { show }), BOUND.jwk);
    expect(holder).toMatchObject({ kind: 'cose', thumbprint: client.thumbprint });
  });

  test('a token bound to an Ed25519 key, over either', async () => {
    const confirmation = { jkt: edwards.thumbprint };
    expect(await judge(presentDpop(await makeDpop(edwards)), confirmation)).toMatchObject({ kind: 'dpop' });
    expect(await judge(presentCose(edwards.key, { show: edwards.publicJwk }), confirmation)).toMatchObject({
      kind: 'cose',
    });
  });

  test('a token bound to a shared key, over COSE_Mac0', async () => {
    const holder = await judge(presentCose(shared.key), BOUND.shared);
    expect(holder).toMatchObject({ kind: 'cose', key: { kind: 'shared', nonce: NONCE } });
    expect(holder.thumbprint).toMatch(/^[A-Za-z0-9_-]{43}$/);
  });

  test.each(['HS256', 'HMAC 256/256'])('a token bound to a shared key that says %s', async (alg) => {
    expect(await judge(presentCose(shared.key), { jwk: { ...shared.jwk, alg } })).toMatchObject({ kind: 'cose' });
  });

  test('a token bound to a shared key of 128 bits, as RFC 9200 has them', async () => {
    const secret = randomBytes(16);
    const jwk: JsonObject = { kty: 'oct', k: base64url(secret) };
    const padded = importJwk({ kty: 'oct', k: base64url(Buffer.concat([secret, Buffer.alloc(16)])) }, 'HMAC 256/256');
    // RFC 2104 §2: HMAC fills a short key up with zeros.
    expect(await judge(presentCose(padded), { jwk })).toMatchObject({ kind: 'cose' });
  });

  test('a token bound by x5t#S256, as often as it comes', async () => {
    for (let time = 0; time < 2; time += 1) {
      const holder = await judge(byCertificate(certificate), BOUND.certificate);
      expect(holder).toEqual({ kind: 'certificate', thumbprint: base64url(certificate), key: undefined });
    }
    expect(replay.size).toBe(0);
  });

  test('a token bound by jkt and x5t#S256, by the key alone', async () => {
    const both = { ...BOUND.certificate, ...BOUND.jkt };
    expect(await judge(presentDpop(await makeDpop(client)), both)).toMatchObject({ thumbprint: client.thumbprint });
    expect(await code(byCertificate(certificate), both)).toBe('proof_key_mismatch');
    expect(await code(presentDpop(await makeDpop(makeClient())), both)).toBe('proof_key_mismatch');
  });

  test('an unbound token, where the device takes such', async () => {
    expect(await judge(undefined, undefined, { bearer: true })).toEqual({
      kind: 'none',
      thumbprint: undefined,
      key: undefined,
    });
  });
});

test('takes a DPoP proof with the nonce that the device gave, although the time is not known', async () => {
  const proof = presentDpop(await makeDpop(client, { claims: { nonce: 'of the device', iat: NOW + 5_000 } }), {
    nonce: 'of the device',
  });
  expect(await code(proof, BOUND.jkt, { time: { earliest: NOW, latest: undefined } })).toBe('none');
});

test('takes a DPoP proof that has a nonce although the device gave none', async () => {
  expect(await code(await dpop({ claims: { nonce: 'whatever' } }), BOUND.jkt)).toBe('none');
});

describe('refuses, of DPoP proofs,', () => {
  test('one by another key', async () => {
    expect(await code(presentDpop(await makeDpop(stranger)), BOUND.jkt)).toBe('proof_key_mismatch');
    expect(await code(presentDpop(await makeDpop(stranger)), BOUND.jwk)).toBe('proof_key_mismatch');
  });

  test('one signed by another key than it shows', async () => {
    expect(await code(await dpop({ signedBy: stranger }), BOUND.jkt)).toBe('proof_signature_invalid');
  });

  test('one for another token', async () => {
    expect(await code(await dpop(), BOUND.jkt, { tokenDigest: new Uint8Array(32) })).toBe('proof_token_mismatch');
  });

  test('one for another method', async () => {
    expect(await code({ ...(await dpop()), method: 'POST' }, BOUND.jkt)).toBe('proof_method_mismatch');
  });

  test('one for another address', async () => {
    expect(await code({ ...(await dpop()), uri: `${AUDIENCE}/other` }, BOUND.jkt)).toBe('proof_uri_mismatch');
  });

  test.each([NOW - WINDOW - 1, NOW + WINDOW + 1])('one of %d', async (iat) => {
    expect(await code(await dpop({ claims: { iat } }), BOUND.jkt)).toBe('proof_stale');
  });

  test('one without the nonce that the device gave', async () => {
    expect(await code({ ...(await dpop()), nonce: 'given' }, BOUND.jkt)).toBe('proof_nonce_required');
  });

  test('one with another nonce than the device gave', async () => {
    const proof = await dpop({ claims: { nonce: 'older' } });
    expect(await code({ ...proof, nonce: 'given' }, BOUND.jkt)).toBe('proof_nonce_required');
  });

  test('one without a nonce while the time is not known', async () => {
    expect(await code(await dpop(), BOUND.jkt, { time: { earliest: NOW, latest: undefined } })).toBe('clock_unsure');
  });

  test('one that was used', async () => {
    const proof = await dpop();
    await judge(proof, BOUND.jkt);
    expect(await code(proof, BOUND.jkt)).toBe('proof_replayed');
  });

  test('one of the very moment at which another of its kind is judged', async () => {
    const proof = await dpop();
    const outcomes = await Promise.all([code(proof, BOUND.jkt), code(proof, BOUND.jkt)]);
    expect(outcomes.sort()).toEqual(['none', 'proof_replayed']);
  });

  test('one that was used before a restart', async () => {
    const store = new FaultyStore();
    replay = await openWindow({ store });
    const proof = await dpop();
    await judge(proof, BOUND.jkt);
    replay = await openWindow({ store });
    expect(await code(proof, BOUND.jkt)).toBe('proof_replayed');
  });

  test('one of before a power cut that may have taken its record along', async () => {
    const store = new FaultyStore();
    await openWindow({ store });
    replay = await openWindow({ store, bootId: 'boot-2' });
    expect(await code(await dpop({ claims: { iat: NOW + WINDOW } }), BOUND.jkt)).toBe('proof_stale');
    const later = NOW + WINDOW + 1;
    const changes = { time: { earliest: later, latest: later }, monotonic: (WINDOW + 1) * 1_000 };
    expect(await code(await dpop({ claims: { iat: later } }), BOUND.jkt, changes)).toBe('none');
  });

  test('one that nobody could remember', async () => {
    replay = await openWindow({ limit: 1 });
    await judge(await dpop(), BOUND.jkt);
    expect(await code(await dpop(), BOUND.jkt)).toBe('proof_window_full');
  });

  test('a text that is no proof', async () => {
    expect(await code(presentDpop('nonsense'), BOUND.jkt)).toBe('proof_malformed');
  });

  test('one of another algorithm', async () => {
    const header = { typ: 'dpop+jwt', alg: 'RS256', jwk: client.publicJwk };
    const proof = `${base64url(Buffer.from(JSON.stringify(header)))}.e30.AA`;
    expect(await code(presentDpop(proof), BOUND.jkt)).toBe('proof_algorithm_refused');
  });
});

describe('refuses, of COSE proofs,', () => {
  const cose = () => presentCose(client.key, { show: client.publicJwk });

  test('one by another key', async () => {
    expect(await code(presentCose(stranger.key, { show: stranger.publicJwk }), BOUND.jkt)).toBe('proof_key_mismatch');
    expect(await code(presentCose(stranger.key, { show: stranger.publicJwk }), BOUND.jwk)).toBe('proof_key_mismatch');
  });

  test('one signed by another key than it shows, or than the token names', async () => {
    const proof = presentCose(stranger.key, { show: client.publicJwk });
    expect(await code(proof, BOUND.jkt)).toBe('proof_signature_invalid');
    expect(await code(presentCose(stranger.key), BOUND.jwk)).toBe('proof_signature_invalid');
  });

  test('one that shows no key, for a token that has a thumbprint only', async () => {
    expect(await code(presentCose(client.key), BOUND.jkt)).toBe('proof_malformed');
  });

  test('one for another nonce', async () => {
    expect(await code({ ...cose(), nonce: new Uint8Array(16) }, BOUND.jkt)).toBe('proof_signature_invalid');
  });

  test('one for another token', async () => {
    expect(await code(cose(), BOUND.jkt, { tokenDigest: new Uint8Array(32) })).toBe('proof_signature_invalid');
  });

  test('one for another audience', async () => {
    expect(await code(cose(), BOUND.jkt, { audience: 'https://other.example' })).toBe('proof_signature_invalid');
  });

  test('one by a key of another kind', async () => {
    expect(await code(presentCose(edwards.key), BOUND.jwk)).toBe('proof_algorithm_refused');
  });

  test('one that was used', async () => {
    await judge(cose(), BOUND.jkt);
    expect(await code(cose(), BOUND.jkt)).toBe('proof_replayed');
    expect(await code(presentCose(client.key), BOUND.jwk)).toBe('proof_replayed');
  });

  test('a second one with a nonce that this token was proven with', async () => {
    // ECDSA makes another signature every time.
    await judge(presentCose(client.key), BOUND.jwk);
    expect(await code(presentCose(client.key), BOUND.jwk)).toBe('proof_replayed');
  });

  test.each([7, 65])('a nonce of %d bytes', async (length) => {
    expect(await code({ ...cose(), nonce: new Uint8Array(length) }, BOUND.jkt)).toBe('proof_malformed');
  });

  test('a Mac0 under another secret', async () => {
    expect(await code(presentCose(makeSharedKey().key), BOUND.shared)).toBe('proof_signature_invalid');
  });

  test('a Mac0 that is cut short', async () => {
    const key = importJwk(shared.jwk, 'HMAC 256/64');
    expect(await code(presentCose(key), BOUND.shared)).toBe('proof_algorithm_refused');
  });

  const say = (message: Uint8Array): PresentedProof => ({ kind: 'cose', message, nonce: NONCE });

  test('a payload', async () => {
    const message = makeSign1({ key: client.key, payload: Uint8Array.of(1) });
    expect(await code(say(message), BOUND.jwk)).toBe('proof_malformed');
  });

  test('a message that is encrypted', async () => {
    const message = makeEncrypt0({ key: KEY.A128GCM, plaintext: EMPTY, nonce: new Uint8Array(12) });
    expect(await code(say(message), BOUND.jwk)).toBe('proof_malformed');
  });

  test.each<readonly [string, JsonObject]>([
    ['symmetric', shared.jwk],
    ['Ed25519', edwards.publicJwk],
  ])('one that shows another key: %s', async (_name, show) => {
    expect(await code(presentCose(client.key, { show }), BOUND.jkt)).toMatch(/^proof_(malformed|key_mismatch)$/);
  });

  test('one that shows something that is no key', async () => {
    const message = makeSign1({
      key: client.key,
      payload: EMPTY,
      unprotectedHeader: new Map([[-65538, encodeCbor(0)]]),
    });
    expect(await code(say(message), BOUND.jkt)).toBe('proof_malformed');
  });

  test('one longer than its limit', async () => {
    const message = makeSign1({
      key: client.key,
      payload: EMPTY,
      unprotectedHeader: new Map([[-70000, new Uint8Array(512)]]),
    });
    expect(await code(say(message), BOUND.jwk)).toBe('proof_malformed');
  });

  test.each(HOSTILE_CBOR.map(({ name, bytes }) => [name, bytes] as const))('%s', async (_name, bytes) => {
    expect(await code(say(bytes), BOUND.jwk)).toBe('proof_malformed');
  });

  test('any byte changed', async () => {
    const good = presentCose(client.key, { show: client.publicJwk });
    await fc.assert(
      fc.asyncProperty(fc.nat(good.message.length - 1), fc.integer({ min: 1, max: 255 }), async (at, by) => {
        const message = Uint8Array.from(good.message);
        message[at] = (message[at] ?? 0) ^ by;
        expect(await code({ ...good, message }, BOUND.jkt)).toMatch(/^proof_/);
      }),
    );
  });
});

test('a proof that is refused for anything else is not used up', async () => {
  const proofs = [await dpop(), presentCose(client.key, { show: client.publicJwk })];
  for (const proof of proofs) {
    expect(await code(proof, BOUND.jkt, { tokenDigest: new Uint8Array(32) })).not.toBe('none');
    expect(await code(proof, BOUND.jkt)).toBe('none');
  }
});

test('a good proof is refused where its record cannot be written', async () => {
  const store = new FaultyStore();
  replay = await openWindow({ store });
  store.failAt(1);
  expect(await code(await dpop(), BOUND.jkt)).toBe('uncoded: Error: the medium failed');
});

describe('refuses a proof of another kind than the token asks for', () => {
  const proofs: Readonly<Record<string, () => Promise<PresentedProof>>> = {
    dpop,
    sign1: async () => presentCose(client.key, { show: client.publicJwk }),
    mac0: async () => presentCose(shared.key),
    certificate: async () => byCertificate(certificate),
  };
  test.each([
    ['jkt', 'mac0'],
    ['jkt', 'certificate'],
    ['jwk', 'mac0'],
    ['jwk', 'certificate'],
    ['shared', 'dpop'],
    ['shared', 'sign1'],
    ['shared', 'certificate'],
    ['certificate', 'dpop'],
    ['certificate', 'sign1'],
    ['certificate', 'mac0'],
  ] as const)('%s: %s', async (bound, kind) => {
    expect(await code((await proofs[kind]?.()) ?? undefined, BOUND[bound])).toBe('proof_key_mismatch');
  });

  test.each(Object.keys(proofs))('none: %s', async (kind) => {
    expect(await code(await proofs[kind]?.(), undefined, { bearer: true })).toBe('proof_key_mismatch');
  });
});

describe('refuses', () => {
  test.each(Object.entries(BOUND))('a token bound by %s that came without a proof', async (_name, confirmation) => {
    expect(await code(undefined, confirmation)).toBe('proof_missing');
    expect(await code(undefined, confirmation, { bearer: true })).toBe('proof_missing');
  });

  test('an unbound token, where the device takes none', async () => {
    expect(await code(undefined, undefined)).toBe('confirmation_missing');
  });

  test.each([new Uint8Array(32), certificate.subarray(1), new Uint8Array(0)])(
    'the certificate of somebody else',
    async (thumbprint) => {
      expect(await code(byCertificate(thumbprint), BOUND.certificate)).toBe('proof_key_mismatch');
    },
  );

  test('a symmetric key that stood in a JWT for everybody to read', async () => {
    expect(await code(presentCose(shared.key), BOUND.shared, { confidential: false })).toBe('confirmation_invalid');
  });

  test.each<readonly [string, JsonObject, string]>([
    ['no member', {}, 'confirmation_invalid'],
    ['two members', { ...BOUND.jkt, ...BOUND.jwk }, 'confirmation_invalid'],
    ['a key and a certificate', { ...BOUND.jwk, ...BOUND.certificate }, 'confirmation_invalid'],
    ['an unknown member', { new: 1 }, 'confirmation_unsupported'],
    ['a kid', { kid: 'known to somebody' }, 'confirmation_unsupported'],
    ['an address', { jku: 'https://evil.example' }, 'confirmation_unsupported'],
    ['an encrypted key', { jwe: 'a.b.c.d.e' }, 'confirmation_unsupported'],
    ['a jkt of another size', { jkt: 'AAAA' }, 'confirmation_invalid'],
    ['a jkt that is no text', { jkt: 1 }, 'confirmation_invalid'],
    ['a thumbprint in base64', { 'x5t#S256': `${'A'.repeat(43)}=` }, 'confirmation_invalid'],
    ['a jwk that is no object', { jwk: 'x' }, 'confirmation_invalid'],
    ['a private jwk', { jwk: client.privateJwk }, 'confirmation_invalid'],
    ['a jwk of another kind', { jwk: { kty: 'RSA', n: 'AQAB', e: 'AQAB' } }, 'confirmation_invalid'],
    ['a jwk off its curve', { jwk: { ...client.publicJwk, y: client.publicJwk.x ?? '' } }, 'confirmation_invalid'],
    ['a secret of 15 bytes', { jwk: { kty: 'oct', k: 'A'.repeat(20) } }, 'confirmation_invalid'],
    ['a secret of 66 bytes', { jwk: { kty: 'oct', k: 'A'.repeat(88) } }, 'confirmation_invalid'],
    ['a secret that is no base64url', { jwk: { kty: 'oct', k: '%' } }, 'confirmation_invalid'],
    ['a secret for a cipher', { jwk: { ...shared.jwk, alg: 'A128GCM' } }, 'confirmation_unsupported'],
  ])('a confirmation with %s', async (_name, confirmation, expected) => {
    expect(await code(presentCose(client.key), confirmation)).toBe(expected);
  });
});

test('proofs of two devices with one nonce do not stand in each other’s way', async () => {
  await judge(presentCose(client.key), BOUND.jwk);
  const audience = 'https://ekg-2.example';
  expect(await code(presentCose(client.key, { audience }), BOUND.jwk, { audience })).toBe('none');
});

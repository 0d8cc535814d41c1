import { createHash, randomUUID } from 'node:crypto';
import { type CryptoKey, calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { type DpopContext, judgeDpopProof } from '../../src/pop/dpop.ts';
import { DpopNonces } from '../../src/pop/dpop-nonces.ts';
import { ProofKeys } from '../../src/pop/proof-keys.ts';
import { ReplayWindow } from '../../src/pop/replay-window.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { codeOf } from '../fixtures/code-of.ts';

const URI = 'https://hub.example/devices/tube-1/authz-info';
const TOKEN = 'header.payload.signature';
const NOW = 1_700_000_000;

interface Client {
  readonly algorithm: string;
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
  readonly thumbprint: string;
}

async function makeClient(algorithm: string): Promise<Client> {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
  const jwk = await exportJWK(publicKey);
  return { algorithm, privateKey, jwk, thumbprint: await calculateJwkThumbprint(jwk) };
}

let client: Client;
let stranger: Client;
let nonces: DpopNonces;
let replay: ReplayWindow;
const keys = new ProofKeys();

beforeAll(async () => {
  client = await makeClient('ES256');
  stranger = await makeClient('ES256');
});

beforeEach(() => {
  nonces = new DpopNonces({ random: new FakeTime({ seed: 3 }) });
  replay = new ReplayWindow({ lifetime: DpopNonces.lifetime });
});

function context(changes: Partial<DpopContext> = {}): DpopContext {
  return {
    method: 'POST',
    uris: [URI],
    accessTokenDigest: createHash('sha256').update(TOKEN).digest(),
    tokenIdentity: new Uint8Array(32),
    confirmationThumbprint: client.thumbprint,
    time: { earliest: NOW, latest: NOW },
    monotonic: 0,
    window: 60,
    nonces,
    replay,
    keys,
    ...changes,
  };
}

interface ProofParts {
  readonly by?: Client;
  readonly signedBy?: Client;
  readonly header?: Readonly<Record<string, unknown>>;
  readonly claims?: Readonly<Record<string, unknown>>;
}

/** A good proof, but for what is given; `undefined` leaves a member out. */
async function makeProof({ by = client, signedBy = by, header = {}, claims = {} }: ProofParts = {}): Promise<string> {
  const good = {
    htm: 'POST',
    htu: URI,
    iat: NOW,
    jti: randomUUID(),
    ath: createHash('sha256').update(TOKEN).digest('base64url'),
    nonce: nonces.current(0),
  };
  return new SignJWT({ ...good, ...claims })
    .setProtectedHeader({ typ: 'dpop+jwt', alg: by.algorithm, jwk: by.jwk, ...header })
    .sign(signedBy.privateKey);
}

async function refusal(parts: ProofParts, changes: Partial<DpopContext> = {}): Promise<string> {
  const proof = await makeProof(parts);
  return codeOf(() => judgeDpopProof(proof, context(changes)));
}

test.each(['ES256', 'EdDSA', 'Ed25519'])(
  'takes a proof that jose made with %s and answers with its key',
  async (alg) => {
    const by = await makeClient(alg);
    const proof = await makeProof({ by });
    const { kty, crv, x, y } = by.jwk;
    const required = y === undefined ? { kty, crv, x } : { kty, crv, x, y };
    expect(judgeDpopProof(proof, context({ confirmationThumbprint: by.thumbprint }))).toEqual(required);
  },
);

test('takes the nonce of the slice before', async () => {
  const proof = await makeProof();
  expect(codeOf(() => judgeDpopProof(proof, context({ monotonic: DpopNonces.lifetime / 2 })))).toBe('none');
});

test('takes an iat anywhere inside the window', async () => {
  expect(await refusal({ claims: { iat: NOW - 60 } })).toBe('none');
  expect(await refusal({ claims: { iat: NOW + 60 } })).toBe('none');
});

test('takes a proof that seems to come from the future while only the floor of the time is known', async () => {
  const time = { earliest: NOW - 86_400, latest: undefined };
  expect(await refusal({}, { time })).toBe('none');
});

describe('refuses', () => {
  test('no proof', () => {
    expect(codeOf(() => judgeDpopProof(undefined, context()))).toBe('proof_missing');
    expect(codeOf(() => judgeDpopProof([], context()))).toBe('proof_missing');
  });

  test('two proofs', async () => {
    const proofs = [await makeProof(), await makeProof()];
    expect(codeOf(() => judgeDpopProof(proofs, context()))).toBe('proof_malformed');
  });

  test('two proofs in one header', async () => {
    const joined = `${await makeProof()}, ${await makeProof()}`;
    expect(codeOf(() => judgeDpopProof(joined, context()))).toBe('proof_malformed');
  });

  test('something that is not a JWS', () => {
    expect(codeOf(() => judgeDpopProof('nonsense', context()))).toBe('proof_malformed');
  });

  test('a proof longer than its limit', async () => {
    expect(await refusal({ claims: { padding: 'x'.repeat(4096) } })).toBe('proof_malformed');
  });

  test.each(['JWT', 'at+jwt', undefined])('typ %s', async (typ) => {
    expect(await refusal({ header: { typ } })).toBe('proof_malformed');
  });

  test('a critical header', () => {
    const header = { typ: 'dpop+jwt', alg: 'ES256', jwk: client.jwk, crit: ['x'], x: 1 };
    const proof = `${Buffer.from(JSON.stringify(header)).toString('base64url')}.e30.AA`;
    expect(codeOf(() => judgeDpopProof(proof, context()))).toBe('proof_malformed');
  });

  test('a header that names keys elsewhere', async () => {
    expect(await refusal({ header: { jku: 'https://evil.example/jwks' } })).toBe('proof_malformed');
  });

  test('a member twice', () => {
    const header = `{"typ":"dpop+jwt","typ":"dpop+jwt","alg":"ES256","jwk":${JSON.stringify(client.jwk)}}`;
    const proof = `${Buffer.from(header).toString('base64url')}.e30.AA`;
    expect(codeOf(() => judgeDpopProof(proof, context()))).toBe('proof_malformed');
  });

  test.each(['none', 'HS256', 'RS256', 'PS256', 'ES384'])('alg %s', (alg) => {
    const header = { typ: 'dpop+jwt', alg, jwk: client.jwk };
    const proof = `${Buffer.from(JSON.stringify(header)).toString('base64url')}.e30.AA`;
    expect(codeOf(() => judgeDpopProof(proof, context()))).toBe('proof_algorithm_refused');
  });

  test('an algorithm that is not the one of the key', async () => {
    const other = await makeClient('EdDSA');
    expect(await refusal({ header: { jwk: other.jwk } })).toBe('proof_algorithm_refused');
  });

  test('a proof without a key', async () => {
    expect(await refusal({ header: { jwk: undefined } })).toBe('proof_malformed');
  });

  test('a private key in the header', async () => {
    expect(await refusal({ header: { jwk: await exportJWK(client.privateKey) } })).toBe('proof_malformed');
  });

  test('a symmetric key in the header', async () => {
    expect(await refusal({ header: { jwk: { kty: 'oct', k: 'AAAA' } } })).toBe('proof_malformed');
  });

  test('a key of a curve that is not accepted', async () => {
    const other = await makeClient('ES384');
    expect(await refusal({ header: { jwk: other.jwk } })).toBe('proof_malformed');
  });

  test('a point that is not on its curve', async () => {
    const jwk = { ...client.jwk, y: client.jwk.x };
    expect(await refusal({ header: { jwk } })).toBe('proof_malformed');
  });

  test('a key other than the one that the token is bound to', async () => {
    expect(await refusal({ by: stranger })).toBe('proof_key_mismatch');
  });

  test('a signature by another key than the one shown', async () => {
    expect(await refusal({ signedBy: stranger })).toBe('proof_signature_invalid');
  });

  test('a signature of another length', async () => {
    const proof = (await makeProof()).replace(/\.[^.]*$/, '.AAAA');
    expect(codeOf(() => judgeDpopProof(proof, context()))).toBe('proof_signature_invalid');
  });

  test.each(['htm', 'htu', 'iat', 'jti'])('a proof without %s', async (claim) => {
    expect(await refusal({ claims: { [claim]: undefined } })).toBe('proof_malformed');
  });

  test.each([
    ['htm', 1],
    ['htu', ['x']],
    ['iat', '1700000000'],
    ['jti', 7],
    ['jti', ''],
    ['jti', 'x'.repeat(257)],
    ['ath', false],
    ['nonce', 1],
  ])('a proof whose %s is %j', async (claim, value) => {
    expect(await refusal({ claims: { [claim]: value } })).toBe('proof_malformed');
  });

  test.each(['GET', 'post'])('htm %s for a POST', async (htm) => {
    expect(await refusal({ claims: { htm } })).toBe('proof_method_mismatch');
  });

  test('another htu', async () => {
    expect(await refusal({ claims: { htu: `${URI}/other` } })).toBe('proof_uri_mismatch');
  });

  test('the ath of another token', async () => {
    const ath = createHash('sha256').update('other').digest('base64url');
    expect(await refusal({ claims: { ath } })).toBe('proof_token_mismatch');
  });

  test('a proof without ath', async () => {
    expect(await refusal({ claims: { ath: undefined } })).toBe('proof_token_mismatch');
  });

  test('an iat before the window', async () => {
    expect(await refusal({ claims: { iat: NOW - 61 } })).toBe('proof_stale');
  });

  test('an iat after the window', async () => {
    expect(await refusal({ claims: { iat: NOW + 61 } })).toBe('proof_stale');
  });

  test('an iat that was too old at the floor, even while the time is not known', async () => {
    expect(await refusal({ claims: { iat: NOW - 61 } }, { time: { earliest: NOW, latest: undefined } })).toBe(
      'proof_stale',
    );
  });

  test('a proof without a nonce', async () => {
    expect(await refusal({ claims: { nonce: undefined } })).toBe('proof_nonce_required');
  });

  test('a nonce that is two slices old', async () => {
    expect(await refusal({}, { monotonic: DpopNonces.lifetime })).toBe('proof_nonce_required');
  });

  test('every proof made for the run before a restart', async () => {
    const proof = await makeProof();
    const restarted = new DpopNonces({ random: new FakeTime({ seed: 4 }) });
    const code = codeOf(() => judgeDpopProof(proof, context({ nonces: restarted })));
    expect(code).toBe('proof_nonce_required');
  });

  test('a proof that was used', async () => {
    const proof = await makeProof();
    judgeDpopProof(proof, context());
    expect(codeOf(() => judgeDpopProof(proof, context()))).toBe('proof_replayed');
  });

  test('a jti that this key used before, in another proof', async () => {
    judgeDpopProof(await makeProof({ claims: { jti: 'same' } }), context());
    expect(await refusal({ claims: { jti: 'same', iat: NOW - 1 } })).toBe('proof_replayed');
  });

  test('a proof that nobody could remember', async () => {
    const full = new ReplayWindow({ lifetime: 1000, limit: 1 });
    full.use('other', 'another key', 0);
    expect(await refusal({}, { replay: full })).toBe('proof_window_full');
  });
});

test('two keys may use one jti', async () => {
  judgeDpopProof(await makeProof({ claims: { jti: 'same' } }), context());
  const code = await refusal(
    { by: stranger, claims: { jti: 'same' } },
    { confirmationThumbprint: stranger.thumbprint },
  );
  expect(code).toBe('none');
});

test('a proof that is refused for anything else is not used up', async () => {
  const proof = await makeProof();
  const otherToken = createHash('sha256').update('other').digest();
  expect(codeOf(() => judgeDpopProof(proof, context({ accessTokenDigest: otherToken })))).toBe('proof_token_mismatch');
  const forged = `${proof.slice(0, proof.lastIndexOf('.'))}.${'A'.repeat(86)}`;
  expect(codeOf(() => judgeDpopProof(forged, context()))).toBe('proof_signature_invalid');
  expect(replay.size).toBe(0);
  expect(codeOf(() => judgeDpopProof(proof, context()))).toBe('none');
});

test('the key that is answered holds no member that the thumbprint does not cover', async () => {
  const jwk: JsonObject = { ...(client.jwk as JsonObject), kid: 'chosen by the client', x5u: 'https://evil.example' };
  const proof = await makeProof({ header: { jwk } });
  expect(Object.keys(judgeDpopProof(proof, context())).sort()).toEqual(['crv', 'kty', 'x', 'y']);
});

describe('a token without a key takes one share of the window, whatever keys its presenter makes', () => {
  const fill = async (tokenIdentity: Uint8Array, by: Client, count: number) => {
    const codes = new Set<string>();
    for (let turn = 0; turn < count; turn += 1)
      codes.add(await refusal({ by }, { confirmationThumbprint: undefined, tokenIdentity }));
    return [...codes];
  };

  test('and another token has a share of its own', async () => {
    const [one, other] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
    expect(await fill(one, client, LIMITS.replayEntriesPerKey / 2)).toEqual(['none']);
    expect(await fill(one, stranger, LIMITS.replayEntriesPerKey / 2)).toEqual(['none']);
    expect(await fill(one, await makeClient('EdDSA'), 1)).toEqual(['proof_window_full']);
    expect(await fill(other, client, 1)).toEqual(['none']);
    expect(await refusal({})).toBe('none');
  });
});

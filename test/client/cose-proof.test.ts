import { expect, test } from 'vitest';
import { DpopKey } from '../../src/client/dpop-key.ts';
import { bearerToken, dpopToken, makeCoseProof } from '../../src/client/index.ts';
import { judgeProof } from '../../src/pop/judge-proof.ts';
import { asyncCodeOf } from '../fixtures/async-code-of.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { AUDIENCE, makeSharedKey, NONCE, openWindow, proofContext, TOKEN } from '../pop/proof-rig.ts';

const target = { audience: AUDIENCE, nonce: NONCE };

async function judged(message: Uint8Array, confirmation: Parameters<typeof proofContext>[1]) {
  return judgeProof({ kind: 'cose', message, nonce: NONCE }, proofContext(await openWindow(), confirmation));
}

test.each(['ES256', 'EdDSA'] as const)('a client without JOSE proves the key of its token: %s', async (algorithm) => {
  const key = await DpopKey.generate(algorithm);
  const proof = makeCoseProof({ ...target, token: dpopToken(TOKEN, key) });
  expect(await judged(proof, { jkt: key.thumbprint })).toMatchObject({ kind: 'cose', thumbprint: key.thumbprint });
});

test('a client proves a key that it shares with the authorization server', async () => {
  const shared = makeSharedKey();
  const proof = makeCoseProof({ ...target, token: bearerToken(TOKEN, shared.key) });
  expect(await judged(proof, { jwk: shared.jwk })).toMatchObject({ kind: 'cose', key: { kind: 'shared' } });
});

test('a proof for another audience is refused', async () => {
  const key = await DpopKey.generate();
  const proof = makeCoseProof({ ...target, audience: 'https://ekg-2.example', token: dpopToken(TOKEN, key) });
  expect(await asyncCodeOf(judged(proof, { jkt: key.thumbprint }))).toBe('proof_signature_invalid');
});

test('a token without its key makes no proof', () => {
  expect(codeOf(() => makeCoseProof({ ...target, token: bearerToken(TOKEN) }))).toBe('client_key_missing');
});

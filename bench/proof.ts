/** Judging the proof that a connected device hands on, with the client's key at hand, against the bare verification of ES256. */
import { createHash, randomBytes, sign, verify } from 'node:crypto';
import { jwkThumbprint } from '../src/codec/jwk-thumbprint.ts';
import { makeRelayProof } from '../src/codec/relay-proof.ts';
import { Secret } from '../src/core/secret.ts';
import { bindingOf } from '../src/pop/binding.ts';
import { judgeCoseProof } from '../src/pop/cose-proof.ts';
import { DurableReplayWindow } from '../src/pop/durable-replay-window.ts';
import { ProofKeys } from '../src/pop/proof-keys.ts';
import { judgeRelayedDpop } from '../src/pop/relayed-dpop.ts';
import { FaultyStore } from '../test/fakes/faulty-store.ts';
import { compare, describe, type Effort, type Figure } from './harness.ts';
import { AUDIENCE, clientKey, clientPrivateKey, clientPublicJwk, clientPublicKey, NOW } from './reference-token.ts';

const URI = 'https://ekg-1.example/recordings';
const tokenDigest = new Uint8Array(createHash('sha256').update('reference').digest());

export async function proofFigures(effort: Effort): Promise<readonly Figure[]> {
  const floor = bareVerification();
  return [await dpop(floor, effort), cose(floor, effort)];
}

async function dpop(floor: () => unknown, effort: Effort): Promise<Figure> {
  const presented = { kind: 'dpop', proof: new Secret(makeDpop()), method: 'GET', uri: URI, nonce: undefined } as const;
  const replay = await DurableReplayWindow.open({ store: new FaultyStore(), bootId: 'b', monotonic: 0, window: 60 });
  const context = {
    confirmationThumbprint: jwkThumbprint(clientPublicJwk),
    tokenDigest,
    time: { earliest: NOW, latest: NOW },
    monotonic: 0,
    window: 60,
    replay,
    keys: new ProofKeys(),
  };
  return figure('judge-relayed-dpop', floor, () => judgeRelayedDpop(presented, context), effort);
}

function cose(floor: () => unknown, effort: Effort): Figure {
  const nonce = new Uint8Array(randomBytes(16));
  const message = makeRelayProof({ key: clientKey, show: clientPublicJwk, nonce, tokenDigest, audience: AUDIENCE });
  const keys = new ProofKeys();
  const confirmation = { jkt: jwkThumbprint(clientPublicJwk) };
  const subject = () => {
    const binding = bindingOf(confirmation, { keys, confidential: true });
    if (binding.kind === 'certificate') throw new Error('not the confirmation that was made');
    return judgeCoseProof({ kind: 'cose', message, nonce }, binding, { tokenDigest, audience: AUDIENCE, keys });
  };
  return figure('judge-relayed-cose', floor, subject, effort);
}

function figure(name: string, floor: () => unknown, subject: () => unknown, effort: Effort): Figure {
  const comparison = compare(floor, subject, effort);
  return {
    name,
    value: comparison.ratio.median,
    goal: 0.7,
    better: 'higher',
    remark: `of the floor's speed; ${describe(comparison)}`,
  };
}

/** ES256 over as many bytes as a DPoP proof has, with nothing parsed. */
function bareVerification(): () => boolean {
  const proof = makeDpop();
  const end = proof.lastIndexOf('.');
  const input = Buffer.from(proof.slice(0, end));
  const signature = Buffer.from(proof.slice(end + 1), 'base64url');
  const key = { key: clientPublicKey, dsaEncoding: 'ieee-p1363' } as const;
  return () => verify('sha256', input, key, signature);
}

function makeDpop(): string {
  const header = { typ: 'dpop+jwt', alg: 'ES256', jwk: clientPublicJwk };
  const ath = Buffer.from(tokenDigest).toString('base64url');
  const claims = { jti: randomBytes(16).toString('base64url'), htm: 'GET', htu: URI, iat: NOW, ath };
  const input = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  const signature = sign('sha256', Buffer.from(input), { key: clientPrivateKey, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}

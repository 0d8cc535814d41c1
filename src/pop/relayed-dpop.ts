/** A DPoP proof (RFC 9449) that a client gave a connected device, judged for the device. */
import { type TimeBounds, unsureCode } from '../core/clock.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { PresentedProof } from '../core/introspection.ts';
import { dpopIdentifier, judgeDpopAge, judgeDpopSignatureAside, judgeDpopTarget, readDpopProof } from './dpop-steps.ts';
import type { DurableReplayWindow } from './durable-replay-window.ts';
import type { ProofKey, ProofKeys } from './proof-keys.ts';

export interface RelayedDpopContext {
  /** JWK thumbprint (RFC 7638) of the key that the token is bound to; undefined where it is to be bound to the key of the proof. */
  readonly confirmationThumbprint: string | undefined;
  /** SHA-256 over the access token. 32 bytes. */
  readonly tokenDigest: Uint8Array;
  readonly time: TimeBounds;
  /** Milliseconds of the monotonic clock. */
  readonly monotonic: number;
  /** Seconds by which `iat` may differ from the present, either way. */
  readonly window: number;
  readonly replay: DurableReplayWindow;
  readonly keys: ProofKeys;
}

/** A good proof. It counts once its identifier went through the replay window. */
export interface JudgedDpop {
  readonly key: ProofKey;
  readonly identifier: string;
}

/**
 * Judges everything but whether the proof was used before. Method and address are the device's word. So is the nonce: the
 * proof has to carry the one that the device says it gave; where it gives none, `iat` alone bounds the age of a proof, and
 * the time must be known for that.
 * @throws {LatchkeyError} a code `proof_*`; `clock_unsure`
 */
export async function judgeRelayedDpop(
  presented: Extract<PresentedProof, { readonly kind: 'dpop' }>,
  context: RelayedDpopContext,
): Promise<JudgedDpop> {
  const { time, replay } = context;
  const proof = readDpopProof(presented.proof.expose(), context.keys);
  const { method, uri, nonce } = presented;
  judgeDpopTarget(proof, {
    method,
    uris: [uri],
    accessTokenDigest: context.tokenDigest,
    confirmationThumbprint: context.confirmationThumbprint,
  });
  if (nonce === undefined && time.latest === undefined)
    throw new LatchkeyError(unsureCode(time), 'a proof without nonce');
  judgeDpopAge(proof, context);
  if (replay.mayHaveForgotten(proof.claims.iat, context)) {
    throw new LatchkeyError('proof_stale', 'of before the hub may have lost its memory');
  }
  if (nonce !== undefined && proof.claims.nonce !== nonce) throw new LatchkeyError('proof_nonce_required');
  await judgeDpopSignatureAside(proof);
  return { key: proof.key, identifier: `dpop ${dpopIdentifier(proof)}` };
}

/** DPoP proofs at the hub itself (RFC 9449 §4.3): does the presenter of a token hold the key that the token is bound to? */
import { base64url, sha256 } from '../core/bytes.ts';
import type { TimeBounds } from '../core/clock.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import type { DpopNonces } from './dpop-nonces.ts';
import {
  type DpopTarget,
  dpopIdentifier,
  judgeDpopAge,
  judgeDpopSignature,
  judgeDpopTarget,
  readDpopProof,
} from './dpop-steps.ts';
import type { ProofKeys } from './proof-keys.ts';
import type { ReplayWindow } from './replay-window.ts';

export interface DpopContext extends DpopTarget {
  readonly time: TimeBounds;
  /** Milliseconds of the monotonic clock. */
  readonly monotonic: number;
  /** Seconds by which `iat` may differ from the present, either way. */
  readonly window: number;
  readonly nonces: DpopNonces;
  readonly replay: ReplayWindow;
  /** SHA-256 over what the issuer of the token signed. 32 bytes. It names the token, however its signature is written. */
  readonly tokenIdentity: Uint8Array;
  readonly keys: ProofKeys;
}

/**
 * Judges a proof and answers with the presenter's public key, required members only. Every proof carries a nonce of this
 * run of the hub (RFC 9449 §9), which bounds its age whatever the clocks say; `iat` is held against the clock besides, as
 * far as the time is known. The proof counts as used only once all else about it is good, so that nobody can use it up
 * for its owner.
 * @param proof value of the DPoP header, or all of them where there were several
 * @throws {LatchkeyError} a code `proof_*`
 */
export function judgeDpopProof(proof: string | readonly string[] | undefined, context: DpopContext): JsonObject {
  const read = readDpopProof(onlyProof(proof), context.keys);
  judgeDpopTarget(read, context);
  judgeDpopAge(read, context);
  const { nonce } = read.claims;
  if (nonce === undefined || !context.nonces.accepts(nonce, context.monotonic)) {
    throw new LatchkeyError('proof_nonce_required');
  }
  judgeDpopSignature(read);
  context.replay.use(base64url(sha256(dpopIdentifier(read))), shareOf(context), context.monotonic);
  return read.key.jwk;
}

/**
 * Whose share of the replay window a proof takes. Where the token has no key yet, the presenter chooses the key, and could choose one
 * for each share. So the proof takes the share of the token.
 */
function shareOf({ confirmationThumbprint, tokenIdentity }: DpopContext): string {
  return confirmationThumbprint ?? `token ${base64url(tokenIdentity)}`;
}

/** RFC 9449 §4.3 step 1: there is not more than one DPoP header. Node joins several with ", ", which no proof contains. */
function onlyProof(proof: string | readonly string[] | undefined): string {
  const [only, ...others] = proof === undefined || typeof proof === 'string' ? [proof] : proof;
  if (only === undefined) throw new LatchkeyError('proof_missing');
  if (others.length > 0) throw new LatchkeyError('proof_malformed', 'more than one proof');
  return only;
}

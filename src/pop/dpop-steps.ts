/** What every judge of a DPoP proof does (RFC 9449 §4.3), one step each. */

import { type CompactParts, parseHeader, payloadOf, signatureOf, signingInputOf, splitCompact } from '../codec/jws.ts';
import { parseStrictJsonObject } from '../codec/strict-json.ts';
import { base64url } from '../core/bytes.ts';
import type { TimeBounds } from '../core/clock.ts';
import { coded, LatchkeyError } from '../core/errors.ts';
import { isJsonObject } from '../core/json.ts';
import { jwtAlgorithm } from '../core/jwt-algorithms.ts';
import { LIMITS } from '../core/limits.ts';
import { mismatch, shown, shownDate } from '../core/shown.ts';
import type { ProofKey, ProofKeys } from './proof-keys.ts';
import { matchesTargetUri, withoutQuery } from './target-uri.ts';

interface DpopClaims {
  readonly htm: string;
  readonly htu: string;
  readonly iat: number;
  readonly jti: string;
  readonly ath: string | undefined;
  readonly nonce: string | undefined;
}

/** A proof of the right form; nothing in it is verified yet. */
export interface DpopProof {
  /** What the signature covers. */
  readonly signingInput: Uint8Array;
  readonly signature: Uint8Array;
  /** The presenter's key, as the proof shows it. */
  readonly key: ProofKey;
  readonly claims: DpopClaims;
}

/** What a proof has to be made for. */
export interface DpopTarget {
  /** Method of the request: `htm`, compared as it is (RFC 9110 §9.1: case counts). */
  readonly method: string;
  /** Addresses at which the request may have arrived: `htu`. */
  readonly uris: readonly string[];
  /** SHA-256 over the access token as it came: `ath`. 32 bytes. */
  readonly accessTokenDigest: Uint8Array;
  /** JWK thumbprint (RFC 7638) of the key that the token is bound to; undefined where it is to be bound to the key of the proof. */
  readonly confirmationThumbprint: string | undefined;
}

/** Proofs are marked by their `jti`; a UUID is 36 characters long (RFC 9449 §4.2 asks for 96 bits). */
const MAX_JTI_LENGTH = 256;

const FORM = { maxBytes: LIMITS.dpopProofBytes, embeddedKey: true } as const;

/** @throws {LatchkeyError} `proof_malformed`, `proof_algorithm_refused` */
export function readDpopProof(proof: string, keys: ProofKeys): DpopProof {
  const parts = asProof(() => splitCompact(proof, FORM));
  return {
    key: keys.ofHeader(proof.slice(0, parts.headerEnd), () => proofKey(parts, keys)),
    claims: readClaims(asProof(() => payloadOf(parts))),
    signature: asProof(() => signatureOf(parts)),
    signingInput: signingInputOf(parts),
  };
}

/** @throws {LatchkeyError} `proof_key_mismatch`, `proof_method_mismatch`, `proof_uri_mismatch`, `proof_token_mismatch` */
export function judgeDpopTarget({ key, claims }: DpopProof, target: DpopTarget): void {
  const { confirmationThumbprint: bound } = target;
  if (bound !== undefined && key.thumbprint !== bound) {
    throw new LatchkeyError('proof_key_mismatch', mismatch('thumbprint of the key', key.thumbprint, bound));
  }
  if (claims.htm !== target.method) {
    throw new LatchkeyError('proof_method_mismatch', mismatch('htm', claims.htm, target.method));
  }
  if (!matchesTargetUri(claims.htu, target.uris)) {
    const wanted = target.uris.map(withoutQuery);
    throw new LatchkeyError('proof_uri_mismatch', mismatch('htu', withoutQuery(claims.htu), wanted));
  }
  const digest = base64url(target.accessTokenDigest);
  if (claims.ath !== digest) throw new LatchkeyError('proof_token_mismatch', otherToken(claims.ath, digest));
}

/** A client that makes `ath` wrongly may have put anything there, the token itself included: only a digest is repeated. */
function otherToken(ath: string | undefined, digest: string): string {
  if (ath === undefined || ath.length === digest.length) return mismatch('ath', ath, digest);
  return `ath has ${ath.length} characters, expected ${shown(digest)}`;
}

/**
 * While the time is known, `iat` lies within the window around it. After a boot without NTP only its floor is: what was
 * too old at the floor is too old now, a proof that seems to come from the future may be right, and a nonce alone
 * says that it is fresh.
 * @param window seconds by which `iat` may differ from the present, either way
 * @throws {LatchkeyError} `proof_stale`
 */
export function judgeDpopAge(
  { claims: { iat } }: DpopProof,
  { time, window }: { readonly time: TimeBounds; readonly window: number },
): void {
  const tooOld = iat < (time.latest ?? time.earliest) - window;
  const tooNew = time.latest !== undefined && iat > time.latest + window;
  if (tooOld || tooNew) {
    const now = shownDate(time.latest ?? time.earliest);
    throw new LatchkeyError('proof_stale', `iat is ${shownDate(iat)}, now is ${now}, and ${window} s are allowed`);
  }
}

/** @throws {LatchkeyError} `proof_signature_invalid` */
export function judgeDpopSignature({ key, signature, signingInput }: DpopProof): void {
  if (!key.verifier.verify(signingInput, signature)) throw new LatchkeyError('proof_signature_invalid');
}

/** The same with the signature verified on another thread (core/aside.ts). @throws {LatchkeyError} `proof_signature_invalid` */
export async function judgeDpopSignatureAside({ key, signature, signingInput }: DpopProof): Promise<void> {
  if (!(await key.verifier.verifyAside(signingInput, signature))) throw new LatchkeyError('proof_signature_invalid');
}

/** What a replay window marks as used. A jti is unique for its key, so two clients may choose the same one. */
export function dpopIdentifier({ key, claims }: DpopProof): string {
  return `${key.thumbprint} ${claims.jti}`;
}

/** Codes `jwt_*` speak of access tokens; whoever reads the answer has to learn that the proof is meant. */
function asProof<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new LatchkeyError('proof_malformed', coded(error).detail ?? coded(error).code, { cause: error });
  }
}

/** The key in the proof's header, which has to be one for the proof's algorithm (RFC 8725 §3.1). */
function proofKey(parts: CompactParts, keys: ProofKeys): ProofKey {
  const header = asProof(() => parseHeader(parts, FORM));
  if (header.type !== 'dpop+jwt') throw new LatchkeyError('proof_malformed', mismatch('typ', header.type, 'dpop+jwt'));
  const algorithm = jwtAlgorithm(header.algorithm);
  if (algorithm !== 'ES256' && algorithm !== 'EdDSA') {
    throw new LatchkeyError('proof_algorithm_refused', mismatch('alg', header.algorithm, ['ES256', 'EdDSA']));
  }
  const jwk = header.members.jwk;
  if (!isJsonObject(jwk)) throw new LatchkeyError('proof_malformed', 'no jwk in the header');
  const key = keys.find(jwk);
  if (key.verifier.algorithm !== algorithm)
    throw new LatchkeyError('proof_algorithm_refused', 'jwk is of another algorithm');
  return key;
}

function readClaims(payload: Uint8Array): DpopClaims {
  const { htm, htu, iat, jti, ath, nonce } = parseStrictJsonObject(payload, { code: 'proof_malformed' });
  if (typeof htm !== 'string') throw malformed('htm');
  if (typeof htu !== 'string') throw malformed('htu');
  if (typeof iat !== 'number') throw malformed('iat');
  if (typeof jti !== 'string' || jti.length === 0 || jti.length > MAX_JTI_LENGTH) throw malformed('jti');
  if (ath !== undefined && typeof ath !== 'string') throw malformed('ath');
  if (nonce !== undefined && typeof nonce !== 'string') throw malformed('nonce');
  return { htm, htu, iat, jti, ath, nonce };
}

function malformed(claim: string): LatchkeyError {
  return new LatchkeyError('proof_malformed', `${claim} is missing or of the wrong form`);
}

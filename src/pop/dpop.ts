/** DPoP proofs (RFC 9449 §4.3): does the presenter of a token hold the key that the token is bound to? */
import { type CompactJws, parseCompact } from '../codec/jws.ts';
import { jwtAlgorithm } from '../codec/jws-signature.ts';
import { parseStrictJsonObject } from '../codec/strict-json.ts';
import { base64url, sha256 } from '../core/bytes.ts';
import type { TimeBounds } from '../core/clock.ts';
import { coded, LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject } from '../core/json.ts';
import { LIMITS } from '../core/limits.ts';
import type { DpopNonces } from './dpop-nonces.ts';
import type { ProofKey, ProofKeys } from './proof-keys.ts';
import type { ReplayWindow } from './replay-window.ts';
import { matchesTargetUri } from './target-uri.ts';

export interface DpopContext {
  /** Method of the request: `htm`, compared as it is (RFC 9110 §9.1: case counts). */
  readonly method: string;
  /** Addresses at which the request may have arrived: `htu`. */
  readonly uris: readonly string[];
  /** SHA-256 over the access token as it came: `ath`. 32 bytes. */
  readonly accessTokenDigest: Uint8Array;
  /** `cnf.jkt` of the token. */
  readonly confirmationThumbprint: string;
  readonly time: TimeBounds;
  /** Milliseconds of the monotonic clock. */
  readonly monotonic: number;
  /** Seconds by which `iat` may differ from the present, either way. */
  readonly window: number;
  readonly nonces: DpopNonces;
  readonly replay: ReplayWindow;
  readonly keys: ProofKeys;
}

interface DpopClaims {
  readonly htm: string;
  readonly htu: string;
  readonly iat: number;
  readonly jti: string;
  readonly ath: string | undefined;
  readonly nonce: string | undefined;
}

/** Proofs are marked by their `jti`; a UUID is 36 characters long (RFC 9449 §4.2 asks for 96 bits). */
const MAX_JTI_LENGTH = 256;

/**
 * Judges a proof and answers with the presenter's public key, required members only. Every proof carries a nonce of this
 * run of the hub (RFC 9449 §9), which bounds its age whatever the clocks say; `iat` is held against the clock besides, as
 * far as the time is known. The proof counts as used only once all else about it is good, so that nobody can use it up
 * for its owner.
 * @param proof value of the DPoP header, or all of them where there were several
 * @throws {LatchkeyError} a code `proof_*`
 */
export function judgeDpopProof(proof: string | readonly string[] | undefined, context: DpopContext): JsonObject {
  const jws = parseProof(onlyProof(proof));
  const key = proofKey(jws, context.keys);
  const claims = readClaims(jws);
  if (key.thumbprint !== context.confirmationThumbprint) throw new LatchkeyError('proof_key_mismatch');
  if (claims.htm !== context.method) throw new LatchkeyError('proof_method_mismatch');
  if (!matchesTargetUri(claims.htu, context.uris)) throw new LatchkeyError('proof_uri_mismatch');
  if (claims.ath !== base64url(context.accessTokenDigest)) throw new LatchkeyError('proof_token_mismatch');
  judgeAge(claims.iat, context);
  if (claims.nonce === undefined || !context.nonces.accepts(claims.nonce, context.monotonic)) {
    throw new LatchkeyError('proof_nonce_required');
  }
  if (!key.verifier.verify(jws.signingInput, jws.signature)) throw new LatchkeyError('proof_signature_invalid');
  // A jti is unique for its key, so two clients may choose the same one.
  context.replay.use(base64url(sha256(`${key.thumbprint} ${claims.jti}`)), key.thumbprint, context.monotonic);
  return key.jwk;
}

/** RFC 9449 §4.3 step 1: there is not more than one DPoP header. Node joins several with ", ", which no proof contains. */
function onlyProof(proof: string | readonly string[] | undefined): string {
  const [only, ...others] = proof === undefined || typeof proof === 'string' ? [proof] : proof;
  if (only === undefined) throw new LatchkeyError('proof_missing');
  if (others.length > 0) throw new LatchkeyError('proof_malformed', 'more than one proof');
  return only;
}

function parseProof(proof: string): CompactJws {
  const jws = parse(proof);
  if (jws.header.type !== 'dpop+jwt') throw new LatchkeyError('proof_malformed', 'typ is not dpop+jwt');
  return jws;
}

function parse(proof: string): CompactJws {
  try {
    return parseCompact(proof, { maxBytes: LIMITS.dpopProofBytes, embeddedKey: true });
  } catch (error) {
    // Codes `jwt_*` speak of access tokens; whoever reads the answer has to learn that the proof is meant.
    throw new LatchkeyError('proof_malformed', coded(error).detail ?? coded(error).code, { cause: error });
  }
}

/** The key in the proof's header, which has to be one for the proof's algorithm (RFC 8725 §3.1). */
function proofKey({ header }: CompactJws, keys: ProofKeys): ProofKey {
  const algorithm = jwtAlgorithm(header.algorithm);
  if (algorithm !== 'ES256' && algorithm !== 'EdDSA') throw new LatchkeyError('proof_algorithm_refused');
  const jwk = header.members.jwk;
  if (!isJsonObject(jwk)) throw new LatchkeyError('proof_malformed', 'no jwk in the header');
  const key = keys.find(jwk);
  if (key.verifier.algorithm !== algorithm)
    throw new LatchkeyError('proof_algorithm_refused', 'jwk is of another algorithm');
  return key;
}

function readClaims(jws: CompactJws): DpopClaims {
  const { htm, htu, iat, jti, ath, nonce } = parseStrictJsonObject(jws.payload, { code: 'proof_malformed' });
  if (typeof htm !== 'string') throw malformed('htm');
  if (typeof htu !== 'string') throw malformed('htu');
  if (typeof iat !== 'number') throw malformed('iat');
  if (typeof jti !== 'string' || jti.length === 0 || jti.length > MAX_JTI_LENGTH) throw malformed('jti');
  if (ath !== undefined && typeof ath !== 'string') throw malformed('ath');
  if (nonce !== undefined && typeof nonce !== 'string') throw malformed('nonce');
  return { htm, htu, iat, jti, ath, nonce };
}

/**
 * While the time is known, `iat` lies within the window around it. After a boot without NTP only its floor is: what was
 * too old at the floor is too old now, a proof that seems to come from the future may be right, and the nonce alone
 * says that it is fresh.
 */
function judgeAge(iat: number, { time, window }: DpopContext): void {
  const tooOld = iat < (time.latest ?? time.earliest) - window;
  const tooNew = time.latest !== undefined && iat > time.latest + window;
  if (tooOld || tooNew) throw new LatchkeyError('proof_stale');
}

function malformed(claim: string): LatchkeyError {
  return new LatchkeyError('proof_malformed', `${claim} is missing or of the wrong form`);
}

/**
 * The device's verdict over a token that came to /authz-info, in the order of RFC 9200 §5.10.1.1: protection, then iss,
 * exp, aud, scope, and last what this device needs besides. Pure, and written apart from the hub's judgement on purpose:
 * where both agree, two pieces of code agree.
 */
import type { CoseKey } from '../codec/cose/key.ts';
import { type CwtClaims, openCwt } from '../codec/cwt.ts';
import { readExiTokenId } from '../codec/exi-token-id.ts';
import { COAP_CODE } from '../codec/iana.ts';
import { tokenHash } from '../codec/signed-request.ts';
import type { TrustFile } from '../codec/trust-file.ts';
import { hex } from '../core/bytes.ts';
import type { TimeBounds } from '../core/clock.ts';
import type { ErrorCode } from '../core/error-catalogue.ts';
import { isCoded } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { confirmationKey } from './confirmation-key.ts';
import { type Grants, recogniseScope } from './grants.ts';
import { wrongForm } from './token-form.ts';

/** Why a token was refused, with the code that goes back. Only the code travels; the reason is for this device's own log. */
export const TOKEN_REFUSALS = {
  format_unsupported: COAP_CODE.unsupportedContentFormat,
  not_paired: COAP_CODE.unauthorized,
  too_large: COAP_CODE.requestEntityTooLarge,
  unparsable: COAP_CODE.badRequest,
  not_authentic: COAP_CODE.unauthorized,
  issuer_foreign: COAP_CODE.unauthorized,
  expiry_missing: COAP_CODE.unauthorized,
  expired: COAP_CODE.unauthorized,
  time_unknown: COAP_CODE.unauthorized,
  not_yet_valid: COAP_CODE.unauthorized,
  client_nonce_stale: COAP_CODE.unauthorized,
  audience_foreign: COAP_CODE.forbidden,
  scope_unknown: COAP_CODE.badRequest,
  claim_unsupported: COAP_CODE.badRequest,
  token_id_unusable: COAP_CODE.badRequest,
  confirmation_missing: COAP_CODE.badRequest,
  confirmation_unusable: COAP_CODE.badRequest,
  slots_full: COAP_CODE.serviceUnavailable,
} as const;
export type TokenRefusal = keyof typeof TOKEN_REFUSALS;

export interface JudgedToken {
  /** First 8 bytes of SHA-256 over the CWT: how requests name it. */
  readonly hash: Uint8Array;
  /** What names the token however it was wrapped: its cti, else its hash. Hexadecimal. */
  readonly identity: string;
  /** NumericDate seconds; on a device without a clock seconds since it was switched on. */
  readonly expiresAt: number;
  readonly issuedAt: number;
  /** Of a token with `exi`: its number among them (RFC 9200 §5.10.3). */
  readonly sequence: bigint | undefined;
  readonly grants: Grants;
  /** For people. */
  readonly scope: string;
  /** The client's key. A `KeyObject` does not print. */
  readonly key: CoseKey;
  /** All claims as decoded; a symmetric `cnf` key may be among them. */
  readonly claims: Secret<CwtClaims>;
  readonly bytes: number;
}

export type TokenVerdict =
  | { readonly kind: 'good'; readonly token: JudgedToken }
  | { readonly kind: 'refused'; readonly reason: TokenRefusal };

/** What a device without a clock uses in place of the time: it counts seconds, and has given nonces. */
export interface Uptime {
  /** Whole seconds since it was switched on. */
  readonly seconds: number;
  /** The same of when it gave this nonce, where that is not too long ago. */
  readonly givenAt: (cnonce: Uint8Array) => number | undefined;
}

/** Errors of the codecs that say "altered, or by a stranger"; every other one says "not a token". */
const NOT_AUTHENTIC: ReadonlySet<ErrorCode> = new Set([
  'cose_verification_failed',
  'cose_key_unknown',
  'cose_algorithm_refused',
] as const);

/** @param uptime of a device that has no clock; then `now` is only what is past for certain */
export function judgeToken(bytes: Uint8Array, trust: TrustFile, now: TimeBounds, uptime?: Uptime): TokenVerdict {
  if (bytes.length > trust.maxTokenBytes) return refused('too_large');

  let claims: CwtClaims;
  try {
    const form = wrongForm(bytes, trust);
    if (form !== undefined) return refused(form);
    // The wrap is part of the trust: a device that checks MACs takes no signed token, nor one with a layer less.
    ({ claims } = openCwt(bytes, { keys: trust.keys, expected: trust.wrap }));
  } catch (error) {
    if (!isCoded(error)) throw error;
    return refused(NOT_AUTHENTIC.has(error.code) ? 'not_authentic' : 'unparsable');
  }

  const wrong = firstWrongClaim(claims, trust, now, uptime);
  if (wrong !== undefined) return refused(wrong);
  const scope = recogniseScope(claims.scope, trust);
  if (scope === undefined) return refused('scope_unknown');
  const life = uptime === undefined ? lifeByCalendar(claims) : lifeByUptime(claims, trust, uptime);
  if (typeof life === 'string') return refused(life);
  // Every holder of a token without `cnf` could use it, and this device takes requests with a proof only.
  if (claims.confirmation === undefined) return refused('confirmation_missing');

  let key: CoseKey;
  try {
    key = confirmationKey(claims.confirmation, trust);
  } catch (error) {
    if (!isCoded(error)) throw error;
    return refused('confirmation_unusable');
  }
  const hash = tokenHash(bytes);
  return {
    kind: 'good',
    token: {
      hash,
      identity: hex(claims.cwtId ?? hash),
      ...life,
      issuedAt: claims.issuedAt ?? 0,
      grants: scope.grants,
      scope: scope.text,
      key,
      claims: new Secret(claims),
      bytes: bytes.length,
    },
  };
}

type Life = Pick<JudgedToken, 'expiresAt' | 'sequence'>;

/**
 * `exi` needs a count of all tokens before it (RFC 9200 §5.10.3) and `cnonce` a nonce that this device gave (§5.3). One
 * with a clock keeps neither, and to pass over them would widen what the issuer meant.
 */
function lifeByCalendar(claims: CwtClaims): Life | TokenRefusal {
  if (claims.expiresIn !== undefined || claims.cnonce !== undefined) return 'claim_unsupported';
  return { expiresAt: claims.expiresAt ?? 0, sequence: undefined };
}

/**
 * RFC 9200 §5.10.1.1 has the counter of `exi` start when the token is first verified: an attacker who holds one back would have it
 * live for longer. The token was issued after its nonce was given, so counted from there it ends when its issuer meant, or
 * before.
 */
function lifeByUptime(claims: CwtClaims, trust: TrustFile, uptime: Uptime): Life | TokenRefusal {
  const sequence = claims.cwtId === undefined ? undefined : readExiTokenId(claims.cwtId, trust.device);
  if (sequence === undefined) return 'token_id_unusable';
  const givenAt = claims.cnonce === undefined ? undefined : uptime.givenAt(claims.cnonce);
  if (givenAt === undefined) return 'client_nonce_stale';
  return { expiresAt: givenAt + (claims.expiresIn ?? 0), sequence };
}

/** iss, exp (with nbf beside it) and aud, in the order of priority of RFC 9200 §5.10.1.1. */
function firstWrongClaim(
  claims: CwtClaims,
  trust: TrustFile,
  now: TimeBounds,
  uptime: Uptime | undefined,
): TokenRefusal | undefined {
  // A slim token has no `iss`: the key that it is under is the anchor.
  if (claims.issuer !== undefined && !isTrusted(claims.issuer, trust)) return 'issuer_foreign';
  const wrong = uptime === undefined ? wrongDate(claims, now) : wrongAge(claims, now, uptime);
  if (wrong !== undefined) return wrong;
  return claims.audience === trust.audience ? undefined : 'audience_foreign';
}

function isTrusted(issuer: string, trust: TrustFile): boolean {
  if (trust.issuer !== undefined) return issuer === trust.issuer;
  return trust.issuers.some((known) => known.issuer === issuer);
}

function wrongDate(claims: CwtClaims, now: TimeBounds): TokenRefusal | undefined {
  if (claims.expiresAt === undefined) return 'expiry_missing';
  if (claims.expiresAt <= now.earliest) return 'expired';
  // A clock that was never set may stand anywhere after its floor: deny, until the clock is set.
  if (now.latest === undefined) return 'time_unknown';
  if (claims.expiresAt <= now.latest) return 'expired';
  if (claims.notBefore !== undefined && claims.notBefore > now.earliest) return 'not_yet_valid';
  return undefined;
}

/** Without a clock: RFC 9200 §5.3.1 and §5.10.3. Dates count as far as the past is certain. */
function wrongAge(claims: CwtClaims, now: TimeBounds, uptime: Uptime): TokenRefusal | undefined {
  if (claims.expiresIn === undefined) return 'expiry_missing';
  if (claims.expiresIn === 0) return 'expired';
  if (claims.expiresAt !== undefined && claims.expiresAt <= now.earliest) return 'expired';
  if (claims.notBefore !== undefined && claims.notBefore > now.earliest) return 'not_yet_valid';
  const givenAt = claims.cnonce === undefined ? undefined : uptime.givenAt(claims.cnonce);
  if (givenAt === undefined) return 'client_nonce_stale';
  return givenAt + claims.expiresIn <= uptime.seconds ? 'expired' : undefined;
}

function refused(reason: TokenRefusal): TokenVerdict {
  return { kind: 'refused', reason };
}

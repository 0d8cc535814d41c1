/** A verified JWT becomes the CWT of one device. The whole way of docs/protocol.md, "Translation". */

import type { CoseKey } from '../codec/cose/key.ts';
import { type CwtClaims, type CwtKeys, makeCwt } from '../codec/cwt.ts';
import { exiSequence, exiTokenId } from '../codec/exi-token-id.ts';
import { tokenHash } from '../codec/signed-request.ts';
import { fromUtf8 } from '../core/bytes.ts';
import { bestGuess, type Random, type TimeBounds } from '../core/clock.ts';
import type { DeviceProfile } from '../core/device-profile.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { Secret } from '../core/secret.ts';
import { listed, mismatch, shown } from '../core/shown.ts';
import type { VerifiedToken } from '../core/verified-token.ts';
import { type ClaimCosts, claimCosts, describeCosts } from './claim-costs.ts';
import { translateConfirmation } from './confirmation.ts';
import type { ConfirmationKey } from './confirmation-key.ts';
import { type WholeDates, wholeDates } from './dates.ts';
import { encodeScope, narrowScope } from './scope.ts';

/** What the seconds of a small device can hold: 32 bits. */
const LONGEST_LIFE = 0xffff_ffff;

export interface TranslationContext {
  readonly profile: DeviceProfile;
  /** The id of the device: the name that tokens with `exi` are numbered under. */
  readonly device: string;
  /** The `aud` value that names the device. */
  readonly audience: string;
  /** Keys of the device (codec/device-keys.ts), or the hub's private key as `authentication` of a Sign1. */
  readonly keys: CwtKeys;
  /** Public JWK that the presenter proved possession of (pop/dpop.ts). Needed for `cnf.jkt`. */
  readonly proofKey?: JsonObject | undefined;
  /** Whether a token without `cnf` is bound to `proofKey`, the key of its first presenter. */
  readonly bindsToPresenter?: boolean;
  /** Of `openConfirmationKey`: the symmetric key of a token that came encrypted. */
  readonly confirmationKey?: ConfirmationKey | undefined;
  readonly random: Pick<Random, 'bytes'>;
  /** The present: a token with `exi` is not to outlive its `exp`. */
  readonly time: TimeBounds;
}

/** What travels, and what the records keep of it. */
export class TranslatedToken {
  readonly cwt: Secret<Uint8Array>;
  /** A symmetric confirmation key may be among them. */
  readonly claims: Secret<CwtClaims>;
  /** The scope left for the device, as names. */
  readonly scope: readonly string[];
  readonly cti: Uint8Array;
  /** NumericDate, whole seconds: by then it must have come. */
  readonly expiresAt: number;
  /** Whole seconds that it lives at most from when it comes, on a device without a clock. */
  readonly expiresIn: number | undefined;
  /** `kid` of the hub key that it is signed with; undefined where it is not signed. */
  readonly hubKey: string | undefined;

  constructor(made: {
    cwt: Uint8Array;
    claims: CwtClaims;
    scope: readonly string[];
    cti: Uint8Array;
    expiresAt: number;
    expiresIn: number | undefined;
    hubKey: string | undefined;
  }) {
    this.cwt = new Secret(made.cwt);
    this.claims = new Secret(made.claims);
    this.scope = made.scope;
    this.cti = made.cti;
    this.expiresAt = made.expiresAt;
    this.expiresIn = made.expiresIn;
    this.hubKey = made.hubKey;
  }

  /** First 8 bytes of SHA-256 over the CWT: names the token in challenges and signed requests. */
  get tokenHash(): Uint8Array {
    return tokenHash(this.cwt.expose());
  }

  /** Bytes that each claim takes in the CWT. */
  get cost(): ClaimCosts {
    return claimCosts(this.claims.expose());
  }
}

/**
 * @throws {LatchkeyError} `audience_ambiguous`, `jwt_audience_mismatch`, `lifetime_empty`, `claim_not_translatable`,
 * `jwt_claim_missing`, `cnonce_missing`, `scope_empty`, those of `translateConfirmation`, `token_too_large_for_device`, and `profile_invalid` where a key that the wrap
 * needs is missing
 */
export function translate(token: VerifiedToken, context: TranslationContext): TranslatedToken {
  const { profile } = context;
  const nonce = nonceSource(context.random);
  checkAudience(token, context.audience);
  const dates = wholeDates(token);
  const scope = narrowScope(token.scope, profile.scopes);
  const life = profile.clock === 'none' ? lifeByArrival(token, dates, context) : lifeByDate(token, dates, profile);
  const full = profile.claims === 'full';
  const claims: CwtClaims = {
    issuer: full ? token.issuer : undefined,
    subject: full ? token.subject : undefined,
    audience: context.audience,
    expiresAt: life.expiresAt,
    // A token whose nbf was checked against a known time is valid from now on, and slim saves the bytes.
    notBefore: full || token.freshness.clock === 'unsure' ? dates.notBefore : undefined,
    issuedAt: dates.issuedAt,
    cwtId: life.cti,
    confirmation: translateConfirmation(token.confirmation, {
      profile,
      proofKey: context.proofKey,
      bindsToPresenter: context.bindsToPresenter ?? false,
      confirmationKey: context.confirmationKey,
      encryption: context.keys.encryption,
      nonce,
    }),
    scope: encodeScope(scope, profile),
    cnonce: life.cnonce,
    expiresIn: life.expiresIn,
  };
  const cwt = makeCwt(claims, {
    wrap: profile.wrap,
    keys: context.keys,
    cwtTag: profile.cwtTag,
    nonce: () => nonce(profile.encryption),
  });
  if (cwt.length > profile.maxTokenBytes) throw tooLarge(cwt.length, claims, profile);
  const { cti, expiresIn } = life;
  const hubKey = signerOf(profile, context.keys);
  return new TranslatedToken({ cwt, claims, scope, cti, expiresAt: dates.expiresAt, expiresIn, hubKey });
}

function signerOf({ wrap }: DeviceProfile, { authentication }: CwtKeys): string | undefined {
  const keyId = wrap.startsWith('sign1') ? authentication?.keyId : undefined;
  return keyId === undefined ? undefined : fromUtf8(keyId);
}

/** What limits the life of a token on the device, and names it there. */
interface Life {
  readonly expiresAt: number | undefined;
  readonly expiresIn: number | undefined;
  readonly cnonce: Uint8Array | undefined;
  readonly cti: Uint8Array;
}

/**
 * `exi` and `cnonce` stay behind: they are for devices that cannot read a calendar, and such a token has `exp` beside them.
 * The same JWT always makes the same cti, so the device knows a second copy of it (docs/protocol.md, "Translation").
 */
function lifeByDate(token: VerifiedToken, dates: WholeDates, profile: DeviceProfile): Life {
  const cti = token.digest.subarray(0, profile.ctiBytes);
  return { expiresAt: dates.expiresAt, expiresIn: undefined, cnonce: undefined, cti };
}

/** RFC 9200 §5.3.1 and §5.10.3. A device without a clock refuses what lacks either, so it is not troubled with it. */
function lifeByArrival(
  token: VerifiedToken,
  { expiresAt, issuedAt }: WholeDates,
  { device, time }: Pick<TranslationContext, 'device' | 'time'>,
): Life {
  const { cnonce, digest } = token;
  const expiresIn = token.expiresIn === undefined ? undefined : Math.floor(token.expiresIn);
  // First, whatever else is missing: the refusal brings the nonce that the client has to ask with.
  if (cnonce === undefined) throw new LatchkeyError('cnonce_missing');
  if (expiresIn === undefined) throw new LatchkeyError('jwt_claim_missing', 'exi');
  if (issuedAt === undefined) throw new LatchkeyError('jwt_claim_missing', 'iat');
  if (expiresIn > LONGEST_LIFE) throw new LatchkeyError('claim_not_translatable', 'exi');
  const cti = exiTokenId(device, exiSequence(issuedAt, digest));
  // No device is to keep it for longer than one that reads `exp`. Where the time is not known, `iat` bounds it at least.
  const left = Math.min(expiresIn, expiresAt - issuedAt, expiresAt - Math.ceil(bestGuess(time)));
  if (left <= 0) throw new LatchkeyError('lifetime_empty', 'exi');
  return { expiresAt: undefined, expiresIn: left, cnonce, cti };
}

/**
 * A bearer token with several audiences could be shown to all of them by each of them. One that the issuer bound to a key serves
 * the holder of that key alone, and its CWT names this device alone.
 */
function checkAudience({ audience: named, confirmation }: VerifiedToken, audience: string): void {
  if (named.length > 1 && confirmation === undefined) {
    throw new LatchkeyError('audience_ambiguous', `aud is ${shown([...named])}, and cnf is missing`);
  }
  if (!named.includes(audience)) {
    throw new LatchkeyError('jwt_audience_mismatch', mismatch('aud', listed(named), audience));
  }
}

/**
 * Nonces are random: nothing has to be remembered over a power cut. Keys are of one device, and after 2^32 tokens under
 * one key two of its 12 byte nonces are equal with a chance of 2^-33 (13 byte: 2^-41), a rate that no device can reach: one
 * token a second for 136 years (NIST SP 800-38D §8.3 sets the same bound).
 */
function nonceSource(random: Pick<Random, 'bytes'>): (algorithm: CoseKey['algorithm']) => Uint8Array {
  return (algorithm) => random.bytes(algorithm === 'A128GCM' ? 12 : 13);
}

function tooLarge(bytes: number, claims: CwtClaims, profile: DeviceProfile): LatchkeyError {
  return new LatchkeyError(
    'token_too_large_for_device',
    `${bytes} bytes, the device takes ${profile.maxTokenBytes}; ${describeCosts(claimCosts(claims))}`,
  );
}

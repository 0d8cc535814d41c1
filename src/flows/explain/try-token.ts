/** What would become of a token at one device under some settings of its issuer, without keys of the device and without a proof. */
import { generateKeyPairSync } from 'node:crypto';
import { type CoseKey, importJwk } from '../../codec/cose/key.ts';
import { coseKeyFromJwk } from '../../codec/cose/key-map.ts';
import type { CwtKeys } from '../../codec/cwt.ts';
import type { TimeBounds } from '../../core/clock.ts';
import type { DeviceProfile, WrapAlgorithm } from '../../core/device-profile.ts';
import { isCoded, LatchkeyError } from '../../core/errors.ts';
import { isJsonObject, type JsonObject } from '../../core/json.ts';
import { Secret } from '../../core/secret.ts';
import type { VerifiedToken } from '../../core/verified-token.ts';
import type { ConfirmationKey } from '../../token/confirmation-key.ts';
import { translate } from '../../token/translate.ts';
import type { DeviceNames } from '../../trust/addressee.ts';
import type { DecryptedJwt } from '../../trust/encrypted-jwt.ts';
import type { IssuerPolicy } from '../../trust/issuer-policy.ts';
import type { KeyRing } from '../../trust/key-ring.ts';
import { verifyJwtWithKeys } from '../../trust/verify-jwt.ts';

export interface TriedDevice {
  readonly id: string;
  readonly audience: string;
  readonly profile: DeviceProfile;
  /** Whether tokens are delivered to it; false for a connected device. */
  readonly takesTokens: boolean;
}

export interface Surroundings {
  /** With all algorithms, so that a setting can be tried that allows more. */
  readonly keys: KeyRing;
  readonly keysAge: number;
  readonly device: TriedDevice;
  readonly names: DeviceNames;
  readonly time: TimeBounds;
  /** The JWE that the token came in. */
  readonly decrypted?: DecryptedJwt | undefined;
}

export interface Trial {
  /** Undefined where the token would be accepted. */
  readonly error: LatchkeyError | undefined;
  readonly token: VerifiedToken | undefined;
  /** Bytes of the CWT, with keys of the device's kinds. */
  readonly bytes: number | undefined;
}

/** The presenter is taken to hold the key that it has to: there is no proof to look at. */
export function tryToken(
  jwt: string,
  policy: IssuerPolicy,
  { decrypted, device, keys, keysAge, names, time }: Surroundings,
): Trial {
  let token: VerifiedToken | undefined;
  try {
    token = verifyJwtWithKeys(jwt, {
      policy,
      keys,
      keysAge,
      decrypted,
      audience: device.audience,
      device: { id: device.id, audience: device.audience, names },
      time,
      whenUnsure: 'deny',
      withoutClock: device.profile.clock === 'none',
    });
    return {
      error: undefined,
      token,
      bytes: device.takesTokens ? sizeFor(token, device, time) : relayed(token, device),
    };
  } catch (error) {
    if (!isCoded(error) || error.code === 'internal') throw error;
    return { error, token, bytes: undefined };
  }
}

/** A connected device is told what the token says; all that it may lack is a key. */
function relayed(token: VerifiedToken, { profile }: TriedDevice): undefined {
  if (token.confirmation !== undefined || profile.bearer || isBound(token, profile)) return undefined;
  throw new LatchkeyError('confirmation_missing');
}

function isBound(token: VerifiedToken, { bind }: DeviceProfile): boolean {
  return token.confirmation === undefined && (bind === 'issuer' ? token.bind : bind) === 'first-presenter';
}

function sizeFor(token: VerifiedToken, { audience, id, profile }: TriedDevice, time: TimeBounds): number {
  const bindsToPresenter = isBound(token, profile);
  if (token.confirmation === undefined && !bindsToPresenter) {
    throw new LatchkeyError(token.audience.length > 1 ? 'audience_ambiguous' : 'confirmation_missing');
  }
  // The thumbprint of a key says nothing of the key; that of the proof will be one of the usual kind.
  const presented = token.confirmation?.jkt === undefined ? token : { ...token, confirmation: { jwk: standIn() } };
  const translated = translate(presented, {
    profile,
    device: id,
    audience,
    keys: keysLike(profile),
    proofKey: standIn(),
    bindsToPresenter,
    confirmationKey: secretIn(token),
    random: { bytes: (length) => new Uint8Array(length) },
    time,
  });
  return translated.cwt.expose().length;
}

/** A symmetric key that came encrypted is taken to be a good one: what it is changes nothing of the size. */
function secretIn({ confirmation, envelope }: VerifiedToken): ConfirmationKey | undefined {
  const isInside = envelope !== undefined && isJsonObject(confirmation?.jwk) && confirmation.jwk.kty === 'oct';
  if (confirmation?.jwe === undefined && !isInside) return undefined;
  return new Secret(coseKeyFromJwk({ kty: 'oct', k: Buffer.alloc(32).toString('base64url'), alg: 'HMAC 256/256' }));
}

let client: JsonObject | undefined;

function standIn(): JsonObject {
  client ??= generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' }) as JsonObject;
  return client;
}

const OCTETS: Partial<Record<WrapAlgorithm, number>> = { 'HMAC 256/64': 32, 'HMAC 256/256': 32 };
const CIPHER_BYTES = 16;

/** Keys that no device has: what is made with them is as long as with the device's own. */
function keysLike({ authentication, encryption, wrap }: DeviceProfile): CwtKeys {
  const cipher = { encryption: secretFor(encryption, 'e') };
  if (wrap === 'encrypt0') return cipher;
  return {
    authentication: authentication.startsWith('HMAC') ? secretFor(authentication, 'a') : signer(authentication),
    ...cipher,
  };
}

function secretFor(algorithm: WrapAlgorithm, keyId: string): CoseKey {
  const k = Buffer.alloc(OCTETS[algorithm] ?? CIPHER_BYTES).toString('base64url');
  return importJwk({ kty: 'oct', kid: keyId, k }, algorithm);
}

function signer(algorithm: WrapAlgorithm): CoseKey {
  const { privateKey } =
    algorithm === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519');
  return importJwk({ ...(privateKey.export({ format: 'jwk' }) as JsonObject), kid: 'hub-1' }, algorithm);
}

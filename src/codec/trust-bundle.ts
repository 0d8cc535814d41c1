/**
 * Trust bundles (docs/protocol.md, "Trust bundles"): what a device is to trust from now on, under a key that it trusts
 * already. A device that checks signatures gets a COSE_Sign1 by a key of the hub, every other one a COSE_Mac0 under a key of
 * its own. Its answer says which version it holds, so that the hub believes nobody else on the link.
 */
import { equal, sha256 } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import { type CborValue, decodeCbor, encodeCbor, isCborArray } from './cbor.ts';
import { kindOf } from './cose/algorithm.ts';
import type { CoseKey } from './cose/key.ts';
import { makeMac0, openMac0, verifyMac0 } from './cose/mac0.ts';
import { keyIdOf, parseMessage } from './cose/message.ts';
import { makeSign1, verifySign1 } from './cose/sign1.ts';
import { type DeviceTrust, decodeDeviceTrust, encodeDeviceTrust } from './device-trust-map.ts';
import { CONTENT_FORMAT } from './iana.ts';

/** Around the trust map: tag, headers with the longest kid, the heads of payload and signature, and 64 bytes of that. */
const COSE_BYTES = 256;
const HASH_BYTES = 32;

/** The largest bundle that is looked at. */
export const TRUST_BUNDLE_BYTES = LIMITS.deviceTrustBytes + COSE_BYTES;

export interface OpenedBundle {
  readonly trust: DeviceTrust;
  /** The trust map as it came: what stays the same whenever the same bundle is made again. */
  readonly payload: Uint8Array;
}

/** What a device answers to a bundle, and what the answer is about. */
interface AnswerContext {
  /** The device's answer key. */
  readonly key: CoseKey;
  readonly device: string;
  /** CoAP code of the answer as one byte: 2.04 is 0x44, 4.09 is 0x89. */
  readonly code: number;
  /** The bundle as it was sent. */
  readonly bundle: Uint8Array;
}

/** CoAP content format of a bundle under this key. */
export function bundleFormat(key: Pick<CoseKey, 'algorithm'>): number {
  return kindOf(key.algorithm) === 'sign1' ? CONTENT_FORMAT.coseSign1 : CONTENT_FORMAT.coseMac0;
}

/**
 * @param options.key a signing key of the hub that the device trusts, or the device's key of use `trust-bundle`
 * @param options.audience that the device answers to now: the new one, where it changes, is inside
 * @throws {LatchkeyError} `device_trust_invalid`, `jwk_invalid`; `cose_algorithm_refused` for a key that encrypts
 */
export function makeTrustBundle(options: {
  readonly trust: DeviceTrust;
  readonly key: CoseKey;
  readonly audience: string;
}): Uint8Array {
  const { audience, key, trust } = options;
  const make = kindOf(key.algorithm) === 'sign1' ? makeSign1 : makeMac0;
  return make({ payload: encodeDeviceTrust(trust), key, externalAad: bundleAad(audience) });
}

/**
 * Verifies a bundle under one of the keys that the device trusts for it, and reads it whole. Whether its version is above
 * that of the device is for the device to judge.
 * @param options.keys all of one kind: signing keys of hubs, or the one key for MACs
 * @throws {LatchkeyError} `request_too_large`, `cbor_*`, `cose_*`; `device_trust_invalid` for an authentic one that cannot be used
 */
export function openTrustBundle(
  bytes: Uint8Array,
  options: { readonly keys: readonly CoseKey[]; readonly audience: string },
): OpenedBundle {
  if (bytes.length > TRUST_BUNDLE_BYTES) throw new LatchkeyError('request_too_large', `${bytes.length} bytes`);
  const [first] = options.keys;
  if (first === undefined) throw new LatchkeyError('cose_key_unknown', 'no key for bundles');
  const kind = kindOf(first.algorithm) === 'sign1' ? 'sign1' : 'mac0';
  const message = parseMessage(bytes, kind);
  const keyId = keyIdOf(message);
  // It has to say whose it is: a device with several keys of the hub must not be made to try them all.
  const key = options.keys.find(
    (known) => known.keyId !== undefined && keyId !== undefined && equal(known.keyId, keyId),
  );
  if (key === undefined) throw new LatchkeyError('cose_key_unknown', 'not one for bundles');
  const verify = kind === 'sign1' ? verifySign1 : verifyMac0;
  const { payload } = verify(message, { key, externalAad: bundleAad(options.audience) });
  return { trust: decodeDeviceTrust(payload), payload };
}

/**
 * The device's word for the version that it holds, whatever it answers: after 2.04 that of the bundle, after 4.09 a higher
 * one, or the same with other contents.
 */
export function makeTrustAnswer(options: AnswerContext & { readonly version: number }): Uint8Array {
  const payload = encodeCbor([options.version, sha256(options.bundle)]);
  return makeMac0({ payload, key: options.key, externalAad: answerAad(options) });
}

/**
 * The version that the device holds.
 * @throws {LatchkeyError} `cbor_*`, `cose_*` for what the device did not make, or not for this bundle;
 *   `device_answer_invalid` for other contents under a good MAC
 */
export function openTrustAnswer(bytes: Uint8Array, options: AnswerContext): number {
  const { payload } = openMac0(bytes, { key: options.key, externalAad: answerAad(options) });
  const [version, hash, ...others] = answerMembers(payload);
  if (typeof version !== 'number' || version < 0 || version > LIMITS.deviceTrustVersion || others.length > 0)
    throw new LatchkeyError('device_answer_invalid', 'no version');
  if (!(hash instanceof Uint8Array) || hash.length !== HASH_BYTES)
    throw new LatchkeyError('device_answer_invalid', 'no hash of a bundle');
  if (!equal(hash, sha256(options.bundle))) throw new LatchkeyError('cose_invalid', 'the answer is to another bundle');
  return version;
}

function answerMembers(payload: Uint8Array): readonly CborValue[] {
  try {
    const members = decodeCbor(payload);
    return isCborArray(members) ? members : [];
  } catch (error) {
    throw new LatchkeyError('device_answer_invalid', 'no CBOR', { cause: error });
  }
}

function bundleAad(audience: string): Uint8Array {
  return encodeCbor(['latchkey-trust-1', audience]);
}

function answerAad({ code, device }: AnswerContext): Uint8Array {
  return encodeCbor(['latchkey-trust-answer-1', device, code]);
}

/**
 * How a device comes to trust a hub (docs/protocol.md, "Provisioning"): nonces from both sides; under the key of the setup
 * secret and both nonces what the device is to trust, and its word that it has it. The keys of what is agreed then protect
 * what follows (codec/device-order.ts).
 */
import { createSecretKey, hkdfSync } from 'node:crypto';
import { concat, EMPTY, equal } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import { type CborMap, type CborValue, decodeCbor, encodeCbor, isCborMap } from './cbor.ts';
import { nonceLength } from './cose/algorithm.ts';
import { makeEncrypt0, openEncrypt0 } from './cose/encrypt0.ts';
import type { CoseKey } from './cose/key.ts';
import { decodeProvisionedTrust, encodeProvisionedTrust, type ProvisionedTrust } from './device-trust-map.ts';
import { COSE_HEADER, PROVISION_CONFIRMATION, PROVISION_NONCE } from './iana.ts';

export const PROVISION_NONCE_BYTES = 16;
const ALGORITHM = 'AES-CCM-16-64-128';
const KEY_BYTES = 16;
const CHECK_BYTES = 8;
/** Who speaks, in the first byte of the IV: a key serves for one message of each. */
const HUB = 0;
const DEVICE = 1;

/** 16 fresh random bytes of each side. */
export interface ProvisionNonces {
  readonly hub: Uint8Array;
  readonly device: Uint8Array;
}

interface Exchange {
  /** The secret of the setup code, 16 bytes. */
  readonly setup: Secret<Uint8Array>;
  readonly nonces: ProvisionNonces;
}

/** The payload that brings a nonce, either way. @throws {LatchkeyError} `provisioning_invalid` for another size */
export function encodeNonce(nonce: Uint8Array): Uint8Array {
  return encodeCbor(new Map([[PROVISION_NONCE, requireNonce(nonce)]]));
}

/** @throws {LatchkeyError} `cbor_*`, `provisioning_invalid` */
export function decodeNonce(payload: Uint8Array): Uint8Array {
  const map = membersOf(payload, [PROVISION_NONCE]);
  return requireNonce(map.get(PROVISION_NONCE));
}

/**
 * What the device is to trust, for it alone.
 * @throws {LatchkeyError} `device_trust_invalid`, `jwk_invalid`
 */
export function sealProvisionedTrust(provisioned: ProvisionedTrust, exchange: Exchange): Uint8Array {
  const plaintext = encodeProvisionedTrust(provisioned);
  const sealed = seal(plaintext, HUB, exchange);
  plaintext.fill(0);
  return sealed;
}

/**
 * @throws {LatchkeyError} `cbor_*`, `cose_*` where it is not of whoever knows the setup secret, or of another exchange;
 *   `device_trust_invalid`
 */
export function openProvisionedTrust(message: Uint8Array, exchange: Exchange): ProvisionedTrust {
  const plaintext = open(message, HUB, exchange);
  try {
    return decodeProvisionedTrust(plaintext);
  } finally {
    plaintext.fill(0);
  }
}

/** The device's word that it holds what it was sent. */
export function sealConfirmation({ trust, rootKey }: ProvisionedTrust, exchange: Exchange): Uint8Array {
  const confirmation = new Map<number, CborValue>([
    [PROVISION_CONFIRMATION.version, trust.version],
    [PROVISION_CONFIRMATION.rootKeyCheck, rootKeyCheck(rootKey)],
  ]);
  return seal(encodeCbor(confirmation), DEVICE, exchange);
}

/**
 * Returns where the device holds the very thing that it was sent.
 * @throws {LatchkeyError} `cbor_*`, `cose_*`, `provisioning_invalid`
 */
export function checkConfirmation(message: Uint8Array, sent: ProvisionedTrust, exchange: Exchange): void {
  const { rootKeyCheck: label, version } = PROVISION_CONFIRMATION;
  const map = membersOf(open(message, DEVICE, exchange), [version, label]);
  const check = map.get(label);
  if (map.get(version) !== sent.trust.version) throw invalid('confirmation: version');
  if (!(check instanceof Uint8Array) || !equal(check, rootKeyCheck(sent.rootKey)))
    throw invalid('confirmation: root key');
}

/** Shows that the root key arrived, and says nothing of it: 8 bytes. */
function rootKeyCheck(rootKey: Secret<Uint8Array>): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', rootKey.expose(), EMPTY, 'latchkey-root-check-1', CHECK_BYTES));
}

function seal(plaintext: Uint8Array, speaker: number, exchange: Exchange): Uint8Array {
  return makeEncrypt0({
    plaintext,
    key: keyOf(exchange),
    nonce: ivOf(speaker),
    externalAad: aad(speaker, exchange.nonces),
  });
}

function open(message: Uint8Array, speaker: number, exchange: Exchange): Uint8Array {
  const { payload, unprotectedHeader } = openEncrypt0(message, {
    key: keyOf(exchange),
    externalAad: aad(speaker, exchange.nonces),
  });
  const iv = unprotectedHeader.get(COSE_HEADER.iv);
  if (!(iv instanceof Uint8Array) || !equal(iv, ivOf(speaker))) throw invalid('IV');
  return payload;
}

/** HKDF-SHA-256 (RFC 5869) over the setup secret, salted with both nonces: neither side alone can bring a key about twice. */
function keyOf({ nonces, setup }: Exchange): CoseKey {
  const salt = concat(requireNonce(nonces.hub), requireNonce(nonces.device));
  const okm = new Uint8Array(hkdfSync('sha256', setup.expose(), salt, 'latchkey-provision-1', KEY_BYTES));
  const key = createSecretKey(okm);
  okm.fill(0);
  return { algorithm: ALGORITHM, keyId: undefined, key };
}

function ivOf(speaker: number): Uint8Array {
  const iv = new Uint8Array(nonceLength(ALGORITHM));
  iv[0] = speaker;
  return iv;
}

function aad(speaker: number, { device, hub }: ProvisionNonces): Uint8Array {
  return encodeCbor(['latchkey-provision-1', speaker, hub, device]);
}

function membersOf(bytes: Uint8Array, labels: readonly number[]): CborMap {
  const map = decodeCbor(bytes);
  if (!isCborMap(map) || map.size !== labels.length || labels.some((label) => !map.has(label)))
    throw invalid('not a map of what belongs in it');
  return map;
}

function requireNonce(nonce: CborValue | undefined): Uint8Array {
  if (!(nonce instanceof Uint8Array) || nonce.length !== PROVISION_NONCE_BYTES) throw invalid('nonce');
  return nonce;
}

function invalid(detail: string): LatchkeyError {
  return new LatchkeyError('provisioning_invalid', detail);
}

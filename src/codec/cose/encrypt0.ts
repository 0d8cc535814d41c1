/** COSE_Encrypt0 (RFC 9052 §5.2) with AES-CCM-16-64-128 or A128GCM. */
import { LatchkeyError } from '../../core/errors.ts';
import { COSE_HEADER } from '../iana.ts';
import { nonceLength, requireKind } from './algorithm.ts';
import {
  assemble,
  type CoseMessage,
  keyFor,
  type MakeOptions,
  type OpenedCose,
  type OpenOptions,
  parseMessage,
  protectedBytesFor,
  toBeProtected,
  unprotectedBytesFor,
} from './message.ts';
import { type EncryptionAlgorithm, seal, unseal } from './primitives.ts';

export interface MakeEncrypt0Options extends MakeOptions {
  readonly plaintext: Uint8Array;
  /** Never used twice with one key: 13 bytes for AES-CCM-16-64-128, 12 for A128GCM. */
  readonly nonce: Uint8Array;
}

/** @throws {LatchkeyError} `cose_algorithm_refused` for a key that does not encrypt; `cose_invalid` for a nonce of another size */
export function makeEncrypt0(options: MakeEncrypt0Options): Uint8Array {
  const { key, plaintext, nonce } = options;
  requireKind(key.algorithm, 'encrypt0');
  if (nonce.length !== nonceLength(key.algorithm)) throw new LatchkeyError('cose_invalid', 'nonce of another size');
  const protectedBytes = protectedBytesFor(key.algorithm, options.protectedHeader);
  const additionalData = toBeProtected('encrypt0', protectedBytes, options.externalAad);
  const algorithm = key.algorithm as EncryptionAlgorithm;
  const ciphertext = seal({ algorithm, key: key.key, nonce, additionalData }, plaintext);
  const unprotectedBytes = unprotectedBytesFor(key, nonce, options.unprotectedHeader);
  return assemble('encrypt0', [protectedBytes, unprotectedBytes, ciphertext], options.tagged);
}

/**
 * Decrypts and verifies; `payload` is the plaintext. A missing tag 16 is accepted, another one is not.
 * @throws {LatchkeyError} `cbor_*`, `cose_invalid`, `cose_critical_unknown`, `cose_key_unknown`,
 *   `cose_algorithm_refused`, `cose_verification_failed`
 */
export function openEncrypt0(bytes: Uint8Array, options: OpenOptions): OpenedCose {
  return decryptEncrypt0(parseMessage(bytes, 'encrypt0'), options);
}

/** The same over a message that was taken apart already, of the kind `encrypt0`. */
export function decryptEncrypt0(message: CoseMessage, options: OpenOptions): OpenedCose {
  const key = keyFor(message, options.key);
  requireKind(key.algorithm, 'encrypt0');
  const { protectedHeader, unprotectedHeader } = message;
  const nonce = protectedHeader.get(COSE_HEADER.iv) ?? unprotectedHeader.get(COSE_HEADER.iv);
  if (!(nonce instanceof Uint8Array) || nonce.length !== nonceLength(key.algorithm)) {
    throw new LatchkeyError('cose_invalid', 'no IV of its size');
  }
  const additionalData = toBeProtected('encrypt0', message.protectedBytes, options.externalAad);
  const algorithm = key.algorithm as EncryptionAlgorithm;
  const payload = unseal({ algorithm, key: key.key, nonce, additionalData }, message.content);
  return { payload, protectedHeader, unprotectedHeader };
}

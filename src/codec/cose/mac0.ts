/** COSE_Mac0 (RFC 9052 §6.2) with HMAC-SHA-256, whole or cut to 64 bits. */
import { LatchkeyError } from '../../core/errors.ts';
import { requireKind } from './algorithm.ts';
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
import { checkMac, type MacAlgorithm, macBytes } from './primitives.ts';

/** @throws {LatchkeyError} `cose_algorithm_refused` for a key that does not MAC */
export function makeMac0(options: MakeOptions & { readonly payload: Uint8Array }): Uint8Array {
  const { key, payload } = options;
  requireKind(key.algorithm, 'mac0');
  const protectedBytes = protectedBytesFor(key.algorithm, options.protectedHeader);
  const mac = macBytes(
    key.algorithm as MacAlgorithm,
    key.key,
    toBeProtected('mac0', protectedBytes, options.externalAad, payload),
  );
  const unprotectedBytes = unprotectedBytesFor(key, undefined, options.unprotectedHeader);
  return assemble('mac0', [protectedBytes, unprotectedBytes, payload, mac], options.tagged);
}

/**
 * Verifies, and answers with what was MACed. A missing tag 17 is accepted, another one is not.
 * @throws {LatchkeyError} `cbor_*`, `cose_invalid`, `cose_critical_unknown`, `cose_key_unknown`,
 *   `cose_algorithm_refused`, `cose_verification_failed`
 */
export function openMac0(bytes: Uint8Array, options: OpenOptions): OpenedCose {
  return verifyMac0(parseMessage(bytes, 'mac0'), options);
}

/** The same over a message that was taken apart already, of the kind `mac0`. */
export function verifyMac0(message: CoseMessage, options: OpenOptions): OpenedCose {
  const key = keyFor(message, options.key);
  requireKind(key.algorithm, 'mac0');
  const maced = toBeProtected('mac0', message.protectedBytes, options.externalAad, message.content);
  if (!checkMac(key.algorithm as MacAlgorithm, key.key, maced, message.proof)) {
    throw new LatchkeyError('cose_verification_failed');
  }
  const { content: payload, protectedHeader, unprotectedHeader } = message;
  return { payload, protectedHeader, unprotectedHeader };
}

/** COSE_Sign1 (RFC 9052 §4.2) with ES256 or EdDSA over Ed25519. */
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
import { type SignatureAlgorithm, signBytes, verifyBytes, verifyBytesAside } from './primitives.ts';

/** @throws {LatchkeyError} `cose_algorithm_refused` for a key that does not sign */
export function makeSign1(options: MakeOptions & { readonly payload: Uint8Array }): Uint8Array {
  const { key, payload } = options;
  requireKind(key.algorithm, 'sign1');
  const protectedBytes = protectedBytesFor(key.algorithm, options.protectedHeader);
  const signature = signBytes(
    key.algorithm as SignatureAlgorithm,
    key.key,
    toBeProtected('sign1', protectedBytes, options.externalAad, payload),
  );
  const unprotectedBytes = unprotectedBytesFor(key, undefined, options.unprotectedHeader);
  return assemble('sign1', [protectedBytes, unprotectedBytes, payload, signature], options.tagged);
}

/**
 * Verifies, and answers with what was signed. A missing tag 18 is accepted, another one is not.
 * @throws {LatchkeyError} `cbor_*`, `cose_invalid`, `cose_critical_unknown`, `cose_key_unknown`,
 *   `cose_algorithm_refused`, `cose_verification_failed`
 */
export function openSign1(bytes: Uint8Array, options: OpenOptions): OpenedCose {
  return verifySign1(parseMessage(bytes, 'sign1'), options);
}

/** The same over a message that was taken apart already, of the kind `sign1`. */
export function verifySign1(message: CoseMessage, options: OpenOptions): OpenedCose {
  return opened(message, verifyBytes(...partsOf(message, options)));
}

/** The same with the signature verified on another thread (core/aside.ts). */
export async function verifySign1Aside(message: CoseMessage, options: OpenOptions): Promise<OpenedCose> {
  return opened(message, await verifyBytesAside(...partsOf(message, options)));
}

function partsOf(message: CoseMessage, options: OpenOptions): Parameters<typeof verifyBytes> {
  const { algorithm, key } = keyFor(message, options.key);
  requireKind(algorithm, 'sign1');
  const signed = toBeProtected('sign1', message.protectedBytes, options.externalAad, message.content);
  return [algorithm as SignatureAlgorithm, key, signed, message.proof];
}

function opened({ content: payload, protectedHeader, unprotectedHeader }: CoseMessage, isGood: boolean): OpenedCose {
  if (!isGood) throw new LatchkeyError('cose_verification_failed');
  return { payload, protectedHeader, unprotectedHeader };
}

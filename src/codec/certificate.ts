/** X.509 certificates as far as a thumbprint needs them: one DER structure, however it is spelled (RFC 7468 §5). */
import { LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';

const PEM = /^\s*-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----\s*$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const SEQUENCE = 0x30;

/**
 * The DER of one certificate given as PEM, or as its DER in base64 or base64url.
 * @throws {LatchkeyError} `certificate_invalid`
 */
export function certificateFromText(text: string): Uint8Array {
  // Base64 makes a third more of it; lines and frame take less than the rest.
  if (text.length > 2 * LIMITS.certificateBytes) throw new LatchkeyError('certificate_invalid', 'too long');
  const body = PEM.exec(text)?.[1]?.replaceAll(/\s/g, '') ?? text.replaceAll('-', '+').replaceAll('_', '/');
  const padded = body.endsWith('=') ? body : body.padEnd(Math.ceil(body.length / 4) * 4, '=');
  if (!BASE64.test(padded)) throw new LatchkeyError('certificate_invalid', 'not base64');
  return certificateDer(Buffer.from(padded, 'base64'));
}

/**
 * The same bytes, if they are one whole DER SEQUENCE and nothing after it: what is left out or added would change the
 * thumbprint, and nobody would see why.
 * @throws {LatchkeyError} `certificate_invalid`
 */
export function certificateDer(bytes: Uint8Array): Uint8Array {
  const [tag, first = 0] = bytes;
  // X.690 §8.1.3: the length in one byte, or in as many as the lower seven bits say. No certificate is under 128 bytes.
  const lengthBytes = first & 0x7f;
  if (tag !== SEQUENCE || first < 0x81 || lengthBytes > 3) throw new LatchkeyError('certificate_invalid', 'not DER');
  let length = 0;
  for (const byte of bytes.subarray(2, 2 + lengthBytes)) length = length * 256 + byte;
  if (length + 2 + lengthBytes !== bytes.length) throw new LatchkeyError('certificate_invalid', 'not one certificate');
  return bytes;
}

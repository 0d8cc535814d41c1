/** Mutual TLS between client and device (RFC 8705), judged for the device. */
import { equal } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { PresentedProof } from '../core/introspection.ts';

/**
 * The client proved possession in the TLS handshake with the device, whose word this is; what is left to judge is whether
 * the certificate is the one that the token is bound to (RFC 8705 §3). Compared in time that tells nothing.
 * @param bound `x5t#S256` of the token, 32 bytes
 * @throws {LatchkeyError} `proof_key_mismatch`
 */
export function judgeCertificate(
  presented: Extract<PresentedProof, { readonly kind: 'certificate' }>,
  bound: Uint8Array,
): void {
  if (!equal(presented.thumbprint, bound)) throw new LatchkeyError('proof_key_mismatch');
}

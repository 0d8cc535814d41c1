import { keyIdOf, readCose } from '../codec/cose/message.ts';
import { CBOR_TAG, COSE_HEADER } from '../codec/iana.ts';
import type { TrustFile } from '../codec/trust-file.ts';
import { equal } from '../core/bytes.ts';

/** Tag 61 as it is encoded (RFC 8392 §6). */
const CWT_TAG = new Uint8Array([0xd8, CBOR_TAG.cwt]);

/**
 * What is wrong with the parts of a token that are not signed. There is one way that a token may look to this device: with
 * tag 61 or without, and in the unprotected header of the outer layer the kid of a provisioned key, the IV of an Encrypt0
 * and nothing else. A device that passes over what it does not know there lets every peer give a token a second hash.
 * @throws {LatchkeyError} `cbor_*`, `cose_*` for what is no COSE message at all
 */
export function wrongForm(
  bytes: Uint8Array,
  trust: Pick<TrustFile, 'cwtTag' | 'keys'>,
): 'unparsable' | 'not_authentic' | undefined {
  const isTagged = equal(bytes.subarray(0, CWT_TAG.length), CWT_TAG);
  if (isTagged !== trust.cwtTag) return 'unparsable';
  const headers = readCose(isTagged ? bytes.subarray(CWT_TAG.length) : bytes);
  const allowed: readonly unknown[] =
    headers.kind === 'encrypt0' ? [COSE_HEADER.kid, COSE_HEADER.iv] : [COSE_HEADER.kid];
  for (const label of headers.unprotectedHeader.keys()) if (!allowed.includes(label)) return 'unparsable';
  const keyId = keyIdOf(headers);
  const isProvisioned = trust.keys.some((key) =>
    keyId === undefined || key.keyId === undefined ? keyId === key.keyId : equal(key.keyId, keyId),
  );
  return isProvisioned ? undefined : 'not_authentic';
}

/** The key that a token's `cnf` names, as this device can come by it (RFC 8747 §3, RFC 9200 §5.10.1). */
import { type CborValue, decodeCbor, encodeCbor, isCborMap } from '../codec/cbor.ts';
import { openEncrypt0 } from '../codec/cose/encrypt0.ts';
import { type CoseKey, importJwk } from '../codec/cose/key.ts';
import { jwkFromCoseKey } from '../codec/cose/key-map.ts';
import type { CwtConfirmation } from '../codec/cwt.ts';
import type { TrustFile } from '../codec/trust-file.ts';
import { equal } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';

/**
 * @throws {LatchkeyError} `cose_*`, `cbor_*` or `jwk_invalid` for a key that cannot be used; `cose_key_unknown` for a
 * `kid` that was not provisioned, and for `ckt`: a thumbprint names a key, and a device with no directory of keys cannot
 * come by the key itself
 */
export function confirmationKey(
  confirmation: CwtConfirmation,
  trust: Pick<TrustFile, 'confirmationKeys' | 'keys'>,
): CoseKey {
  switch (confirmation.method) {
    case 'COSE_Key':
      return fromCoseKey(confirmation.key);
    case 'Encrypted_COSE_Key':
      return fromCoseKey(decodeCbor(decrypt(confirmation.message, trust.keys)));
    case 'kid': {
      const { keyId } = confirmation;
      const known = trust.confirmationKeys.find((key) => key.keyId !== undefined && equal(key.keyId, keyId));
      if (known === undefined) throw new LatchkeyError('cose_key_unknown', 'cnf.kid');
      return known;
    }
    case 'ckt':
      throw new LatchkeyError('cose_key_unknown', 'cnf.ckt');
  }
}

function fromCoseKey(value: CborValue): CoseKey {
  if (!isCborMap(value)) throw new LatchkeyError('cose_key_invalid', 'not a map');
  const jwk = jwkFromCoseKey(value);
  // A shared secret whose issuer did not say what it is for serves as an HMAC 256/256 key (docs/protocol.md).
  return importJwk(jwk, jwk.kty === 'oct' && jwk.alg === undefined ? 'HMAC 256/256' : undefined);
}

/** RFC 8747 §3.3: a COSE_Encrypt0 for the key that this device shares with the hub. */
function decrypt(message: CborValue, keys: readonly CoseKey[]): Uint8Array {
  const encryption = keys.find(({ algorithm }) => algorithm === 'AES-CCM-16-64-128' || algorithm === 'A128GCM');
  if (encryption === undefined) throw new LatchkeyError('cose_key_unknown', 'no encryption key was provisioned');
  return openEncrypt0(encodeCbor(message), { key: encryption }).payload;
}

/** Claims of a CWT as JSON, for people, for `token translate --json` and for what other programs compare with. */

import { encodeCbor } from '../codec/cbor.ts';
import { jwkFromCoseKey } from '../codec/cose/key-map.ts';
import type { CwtClaims, CwtConfirmation } from '../codec/cwt.ts';
import { base64url, fromUtf8, hex } from '../core/bytes.ts';
import { isCoded } from '../core/errors.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';

/**
 * Names as in the IANA registry; `cti` and a scope of bytes in hexadecimal. `cnf` is `{"jwk": {…}}` for a COSE_Key,
 * `{"kid": "…"}`, `{"ckt": "<base64url>"}`, or `{"encrypted": n}` with the bytes of an encrypted key. A symmetric key is
 * shown without its `k`: this form is made to be printed.
 */
export function claimsToJson(claims: CwtClaims): JsonObject {
  const members: Readonly<Record<string, JsonValue | undefined>> = {
    iss: claims.issuer,
    sub: claims.subject,
    aud: claims.audience,
    exp: claims.expiresAt,
    nbf: claims.notBefore,
    iat: claims.issuedAt,
    cti: claims.cwtId === undefined ? undefined : hex(claims.cwtId),
    cnf: claims.confirmation === undefined ? undefined : confirmationToJson(claims.confirmation),
    scope: claims.scope instanceof Uint8Array ? hex(claims.scope) : claims.scope,
    ace_profile: claims.aceProfile,
    cnonce: claims.cnonce === undefined ? undefined : hex(claims.cnonce),
    exi: claims.expiresIn,
  };
  const present = Object.entries(members).filter((entry): entry is [string, JsonValue] => entry[1] !== undefined);
  return Object.fromEntries(present);
}

function confirmationToJson(confirmation: CwtConfirmation): JsonObject {
  switch (confirmation.method) {
    case 'COSE_Key': {
      const { k: _withheld, ...shown } = jwkFromCoseKey(confirmation.key);
      return { jwk: shown };
    }
    case 'Encrypted_COSE_Key':
      return { encrypted: encodeCbor(confirmation.message).length };
    case 'kid':
      return { kid: textOrHex(confirmation.keyId) };
    case 'ckt':
      return { ckt: base64url(confirmation.thumbprint) };
  }
}

/** A `kid` from a JWT is text; one of another maker may be any bytes (RFC 8747 §3.4). */
function textOrHex(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch (error) {
    if (!isCoded(error, 'utf8_invalid')) throw error;
    return hex(bytes);
  }
}

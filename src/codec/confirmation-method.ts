/** Which way a `cnf` claim binds a token (RFC 7800 §3.1). */
import { LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { shown } from '../core/shown.ts';

/** Confirmation methods that are known here (IANA "JWT Confirmation Methods"). */
const METHODS = ['jwk', 'jwe', 'jkt', 'kid', 'jku', 'x5t#S256'] as const;
export type ConfirmationMethod = (typeof METHODS)[number];

/** What servers write beside `jkt` for a client that has a certificate as well (RFC 8705 §3.1). */
const BESIDE_THUMBPRINT: ConfirmationMethod = 'x5t#S256';

/**
 * RFC 7800 §3.1 has members that are not understood ignored, and one key only: two that are understood may be two keys, and one
 * of them would not be checked.
 *
 * Of `jkt` and `x5t#S256` together it is `jkt`: the proof of that key can be checked wherever the token is presented. The certificate
 * cannot: the hub and its offline devices see none.
 * @throws {LatchkeyError} `confirmation_invalid` for no member or for other combinations, `confirmation_unsupported` for unknown ones
 */
export function confirmationMethod(confirmation: JsonObject): ConfirmationMethod {
  let only: ConfirmationMethod | undefined;
  for (const method of METHODS) {
    if (!Object.hasOwn(confirmation, method)) continue;
    if (only === 'jkt' && method === BESIDE_THUMBPRINT) continue;
    if (only !== undefined) throw new LatchkeyError('confirmation_invalid', `${only} and ${method}`);
    only = method;
  }
  if (only !== undefined) return only;
  const members = Object.keys(confirmation);
  throw new LatchkeyError(
    members.length === 0 ? 'confirmation_invalid' : 'confirmation_unsupported',
    `cnf has ${shown(members)}, expected one of ${METHODS.join(', ')}`,
  );
}

/** SHA-256 in base64url without padding. */
const THUMBPRINT = /^[A-Za-z0-9_-]{43}$/;

/**
 * The confirmation of an issuer whose `kid` is a JWK thumbprint (RFC 7638), as Entra writes it: `{"kid": …, "xms_ksl": "sw"}`. It
 * says the same as `jkt` (RFC 9449 §6.1). A `kid` of another form, or one beside another key, stays what it is.
 */
export function withKeyIdAsThumbprint(confirmation: JsonObject): JsonObject {
  const { kid, ...others } = confirmation;
  if (typeof kid !== 'string' || !THUMBPRINT.test(kid)) return confirmation;
  const hasOtherKey = METHODS.some((method) => method !== BESIDE_THUMBPRINT && Object.hasOwn(others, method));
  return hasOtherKey ? confirmation : { ...others, jkt: kid };
}

/** Which way a `cnf` claim binds a token (RFC 7800 §3.1). */
import { LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';

/** Confirmation methods that are known here (IANA "JWT Confirmation Methods"). */
const METHODS = ['jwk', 'jwe', 'jkt', 'kid', 'jku', 'x5t#S256'] as const;
export type ConfirmationMethod = (typeof METHODS)[number];

/**
 * RFC 7800 §3.1 has members that are not understood ignored, and one key only: two that are understood may be two keys,
 * and whoever judges would check one of them.
 * @throws {LatchkeyError} `confirmation_invalid` for no or several members, `confirmation_unsupported` for unknown ones
 */
export function confirmationMethod(confirmation: JsonObject): ConfirmationMethod {
  let only: ConfirmationMethod | undefined;
  for (const method of METHODS) {
    if (!Object.hasOwn(confirmation, method)) continue;
    if (only !== undefined) throw new LatchkeyError('confirmation_invalid', `${only} and ${method}`);
    only = method;
  }
  if (only !== undefined) return only;
  if (Object.keys(confirmation).length === 0) throw new LatchkeyError('confirmation_invalid', 'no member');
  throw new LatchkeyError('confirmation_unsupported', 'no known member');
}

import type { ErrorCode } from '../core/error-catalogue.ts';
import { LatchkeyError } from '../core/errors.ts';
import { HubRefusal } from './hub-answer.ts';

/**
 * Whether this is an error of the catalogue, and of this code. A refusal by the hub has two codes: the client's own, such as
 * `client_delivery_failed`, and the hub's, such as `delivery_expired`. Either counts.
 */
export function isCoded(error: unknown, code?: ErrorCode): error is LatchkeyError {
  if (!(error instanceof LatchkeyError)) return false;
  return code === undefined || error.code === code || (error instanceof HubRefusal && error.hubCode === code);
}

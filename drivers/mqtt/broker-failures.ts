import { LatchkeyError } from '../../src/core/errors.ts';
import { codeOfFailure } from '../as/failures.ts';

/** Reason codes of a CONNACK or DISCONNECT that say that the hub may not, not that the broker cannot (MQTT 5.0 §2.4). */
const REFUSALS = new Map([
  [0x82, 'protocol error'],
  [0x84, 'it does not speak MQTT 5.0'],
  [0x85, 'client id not accepted'],
  [0x86, 'user name or password not accepted'],
  [0x87, 'not authorized'],
  [0x8a, 'banned'],
  [0x8c, 'authentication method not accepted'],
  [0x8e, 'another client has the same client id'],
  [0x95, 'packet too large'],
  [0x9d, 'it has moved'],
]);

/** The coded form of what ended a connection, or kept it from coming about: an error, or a reason code. */
export function brokerFailure(cause: unknown): LatchkeyError {
  const reason = reasonCodeOf(cause);
  if (reason !== undefined) {
    const words = REFUSALS.get(reason);
    const number = `reason code 0x${reason.toString(16)}`;
    if (words !== undefined) return new LatchkeyError('broker_refused', `${words} (${number})`);
    return new LatchkeyError('broker_unreachable', number);
  }
  const code = codeOfFailure(cause) === 'as_tls_untrusted' ? 'broker_tls_untrusted' : 'broker_unreachable';
  return new LatchkeyError(code, cause instanceof Error ? detailOf(cause) : 'the connection ended', { cause });
}

function reasonCodeOf(cause: unknown): number | undefined {
  if (typeof cause !== 'object' || cause === null) return undefined;
  if ('reasonCode' in cause && typeof cause.reasonCode === 'number') return cause.reasonCode;
  return 'code' in cause && typeof cause.code === 'number' ? cause.code : undefined;
}

/** Node's own code where it has one: messages hold addresses, and go through more hands than they need to. */
function detailOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
}

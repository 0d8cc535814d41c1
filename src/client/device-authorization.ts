/** The device authorization grant (RFC 8628): for a client without a browser, such as a terminal at a machine. */
import { bestGuess } from '../core/clock.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { ClientEnvironment } from './environment.ts';
import { ServerRefusal } from './server-refusal.ts';
import type { TokenRequest } from './token-request.ts';

/** Show address and code to the person; keep it until the answer comes. */
export interface PendingDeviceAuthorization {
  readonly userCode: string;
  /** Where the person enters the code, in a browser on another machine. */
  readonly verificationUri: string;
  /** The same with the code in it, for a QR code; undefined where the server has none. */
  readonly verificationUriComplete: string | undefined;
  /** NumericDate seconds, by the clock of this machine. */
  readonly expiresAt: number;
  /** Seconds between two questions. */
  readonly interval: number;
  readonly deviceCode: Secret<string>;
  readonly request: TokenRequest;
}

/** RFC 8628 §3.2. */
interface DeviceAuthorizationAnswer {
  readonly device_code: string;
  readonly user_code: string;
  readonly verification_uri: string;
  readonly verification_uri_complete?: string;
  readonly expires_in: number;
  readonly interval?: number;
}

/** RFC 8628 §3.2, where the server names none. */
const DEFAULT_INTERVAL = 5;
/** RFC 8628 §3.5: what `slow_down` adds, for all questions that follow. */
const SLOW_DOWN = 5;
/** Seconds: a server that is back is noticed within a minute. */
const SLOWEST = 60;

export function pendingDeviceAuthorization(
  answer: DeviceAuthorizationAnswer,
  request: TokenRequest,
  { clock }: Pick<ClientEnvironment, 'clock'>,
): PendingDeviceAuthorization {
  return {
    userCode: answer.user_code,
    verificationUri: answer.verification_uri,
    verificationUriComplete: answer.verification_uri_complete,
    expiresAt: bestGuess(clock.now()) + answer.expires_in,
    interval: answer.interval ?? DEFAULT_INTERVAL,
    deviceCode: new Secret(answer.device_code),
    request,
  };
}

/**
 * Asks until the person has decided (RFC 8628 §3.5): not sooner than the server allows, ever more slowly while it cannot be
 * reached, and not beyond the end of the code.
 * @throws {LatchkeyError} what `ask` throws for good; `client_token_refused` with `expired_token` at the end of the code;
 *   `client_cancelled`
 */
export async function untilDecided<T>(
  ask: () => Promise<T>,
  pending: Pick<PendingDeviceAuthorization, 'interval' | 'expiresAt'>,
  { environment, signal }: { readonly environment: ClientEnvironment; readonly signal?: AbortSignal | undefined },
): Promise<T> {
  let { interval } = pending;
  let wait = interval;
  for (;;) {
    const left = pending.expiresAt - bestGuess(environment.clock.now());
    await pause(Math.min(wait, left), environment, signal);
    if (wait > left) throw new ServerRefusal('client_token_refused', { error: 'expired_token' });
    try {
      return await ask();
    } catch (error) {
      const verdict = verdictOf(error);
      if (verdict === 'slow_down') interval += SLOW_DOWN;
      if (verdict === 'unreachable') interval = Math.max(interval, Math.min(interval * 2, SLOWEST));
      const asked = isCoded(error) ? (error.retryAfter ?? 0) : 0;
      wait = Math.max(interval, asked);
    }
  }
}

/** @throws what ends the questions */
function verdictOf(error: unknown): 'pending' | 'slow_down' | 'unreachable' {
  if (error instanceof ServerRefusal && error.oauthError === 'authorization_pending') return 'pending';
  if (error instanceof ServerRefusal && error.oauthError === 'slow_down') return 'slow_down';
  if (isCoded(error, 'client_unreachable') || isCoded(error, 'client_server_failed')) return 'unreachable';
  throw error;
}

/** @throws {LatchkeyError} `client_cancelled` */
function pause(seconds: number, { timers }: ClientEnvironment, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = () => {
      cancel();
      reject(new LatchkeyError('client_cancelled'));
    };
    const cancel = timers.after(Math.max(0, seconds) * 1_000, () => {
      signal?.removeEventListener('abort', end);
      resolve();
    });
    if (signal?.aborted === true) end();
    else signal?.addEventListener('abort', end, { once: true });
  });
}

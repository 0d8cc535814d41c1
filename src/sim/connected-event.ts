/** What happens on the simulated connected device, for the operator of it. Nothing in here is a key, a token or a proof. */
import { isoDate } from './device-event.ts';

export type ConnectedEvent =
  | { readonly event: 'broker_up' }
  | { readonly event: 'broker_down'; readonly code: string; readonly detail?: string }
  | {
      readonly event: 'client_admitted';
      /** Hash of the token, hexadecimal: names it and opens nothing. */
      readonly token: string;
      readonly scope: string;
      /** Names the key that both hold. */
      readonly key: string;
      /** NumericDate seconds. */
      readonly expiresAt: number;
      /** Seconds since the AS confirmed the token. */
      readonly age: number;
      /** What crossed the broker, without its framing. */
      readonly bytes: { readonly question: number; readonly answer: number };
    }
  | { readonly event: 'client_refused'; readonly token: string; readonly code: string; readonly detail?: string }
  | { readonly event: 'message_answered'; readonly key: string; readonly bytes: number }
  | { readonly event: 'message_refused'; readonly code: string };

/** One line for people. */
export function describeConnected(event: ConnectedEvent): string {
  switch (event.event) {
    case 'broker_up':
      return 'connected to the broker';
    case 'broker_down':
      return `the broker is away: ${reason(event)}`;
    case 'client_admitted':
      return `client with token ${event.token} admitted: scope "${event.scope}", the AS confirmed it ${event.age} s ago; key ${event.key} until ${isoDate(event.expiresAt)}; asked with ${event.bytes.question} bytes, answered with ${event.bytes.answer}`;
    case 'client_refused':
      return `client with token ${event.token} refused: ${reason(event)}`;
    case 'message_answered':
      return `message of ${event.bytes} bytes under key ${event.key} answered`;
    case 'message_refused':
      return `message refused: ${event.code}`;
  }
}

function reason({ code, detail }: { readonly code: string; readonly detail?: string }): string {
  return detail === undefined ? code : `${code} (${detail})`;
}

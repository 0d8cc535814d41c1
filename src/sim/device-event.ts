/** What happens on the simulated device, for the operator of it. Nothing in here is a key, a token or a proof. */
import { codeText } from '../codec/coap/codes.ts';
import { COAP_METHOD } from '../codec/iana.ts';
import type { BundleRefusal } from './judge-bundle.ts';
import type { RequestRefusal } from './judge-request.ts';
import type { TokenRefusal } from './judge-token.ts';
import type { SetupRefusal } from './setup-refusals.ts';

export type DeviceEvent =
  | {
      readonly event: 'token_accepted' | 'token_known';
      /** Token hash in base64url, as clients and the hub's log have it: names the token and opens nothing. */
      readonly token: string;
      readonly scope: string;
      readonly expiresAt: number;
      readonly bytes: number;
    }
  | {
      readonly event: 'token_refused';
      readonly reason: TokenRefusal;
      readonly code: string;
      readonly bytes: number;
    }
  | { readonly event: 'challenge_given'; readonly token: string }
  | { readonly event: 'challenge_refused'; readonly code: string }
  | {
      readonly event: 'request_served';
      readonly token: string;
      readonly method: string;
      readonly path: string;
      readonly code: string;
    }
  | {
      readonly event: 'request_refused';
      readonly reason: RequestRefusal | 'not_found' | 'not_paired';
      readonly method: string;
      readonly path: string;
      readonly code: string;
    }
  | { readonly event: 'trust_taken' | 'trust_known'; readonly version: number; readonly bytes: number }
  | { readonly event: 'trust_refused'; readonly reason: BundleRefusal; readonly code: string; readonly bytes: number }
  /** NumericDate seconds. */
  | { readonly event: 'time_told'; readonly time: number }
  | { readonly event: 'time_not_told'; readonly code: string }
  | { readonly event: 'pairing_begun' | 'unpaired' | 'identified' }
  | { readonly event: 'trust_received'; readonly version: number }
  | {
      readonly event: 'paired';
      readonly version: number;
      readonly device: string;
      readonly audience: string;
    }
  | { readonly event: 'setup_refused'; readonly reason: SetupRefusal; readonly code: string }
  | { readonly event: 'failed'; readonly error: string };

export function methodName(method: number): string {
  return Object.entries(COAP_METHOD).find(([, number]) => number === method)?.[0] ?? codeText(method);
}

/** One line for people. */
export function describe(event: DeviceEvent): string {
  switch (event.event) {
    case 'token_accepted':
      return `token ${event.token} accepted: ${event.bytes} bytes, scope "${event.scope}", until ${isoDate(event.expiresAt)}`;
    case 'token_known':
      return `token ${event.token} is here already: answered again, nothing changed`;
    case 'token_refused':
      return `token of ${event.bytes} bytes refused with ${event.code}: ${event.reason}`;
    case 'challenge_given':
      return `challenge given to the holder of token ${event.token}`;
    case 'challenge_refused':
      return `challenge refused with ${event.code}`;
    case 'request_served':
      return `${event.method} /${event.path} answered ${event.code} to the holder of token ${event.token}`;
    case 'request_refused':
      return `${event.method} /${event.path} refused with ${event.code}: ${event.reason}`;
    case 'trust_taken':
      return `trust bundle of ${event.bytes} bytes taken: version ${event.version}`;
    case 'trust_known':
      return `trust bundle of version ${event.version} is here already: answered again, nothing changed`;
    case 'trust_refused':
      return `trust bundle of ${event.bytes} bytes refused with ${event.code}: ${event.reason}`;
    case 'time_told':
      return `the hub says that it is ${isoDate(event.time)}`;
    case 'time_not_told':
      return `the hub did not say what time it is: ${event.code}`;
    case 'pairing_begun':
      return 'a peer begins to pair this device';
    case 'trust_received':
      return `trust of version ${event.version} received; what was trusted before still is`;
    case 'paired':
      return `paired as ${event.device}: trust of version ${event.version} is in use, for ${event.audience}`;
    case 'unpaired':
      return 'unpaired: the device trusts no peer, until a reset by hand makes the setup code good again';
    case 'identified':
      return 'blinking: this is the device';
    case 'setup_refused':
      return `pairing refused with ${event.code}: ${event.reason}`;
    case 'failed':
      return `failed: ${event.error}`;
  }
}

export function isoDate(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? `second ${seconds}` : date.toISOString();
}

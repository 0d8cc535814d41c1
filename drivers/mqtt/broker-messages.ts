/** What the hub and the process of its embedded broker say to each other. */
import type { ErrorCode } from '../../src/core/error-catalogue.ts';
import { isObject } from '../child-messages.ts';
import type { ConnectionLimits } from '../http/connections.ts';

/** As a device id this would not do, so no device can log in as the hub. */
export const HUB_USER = '@hub';

/** The process has no secret: it asks the hub about each login. */
export type ToBroker =
  | {
      readonly kind: 'open';
      readonly listen: { readonly host: string; readonly port: number };
      readonly topicPrefix: string;
      readonly connections: ConnectionLimits;
    }
  /** To a login; undefined for who is not let in. */
  | { readonly kind: 'verdict'; readonly login: number; readonly role: Role | undefined }
  /** Ends the connections of a device whose credentials do not count any more. */
  | { readonly kind: 'end'; readonly device: string };

export type Role = 'hub' | 'device';

export type FromBroker =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'failed'; readonly code: FailureCode; readonly detail: string | undefined }
  | Login
  | RefusedWord
  | { readonly kind: 'refused_more' | 'connections_refused'; readonly count: number };

export interface Login {
  readonly kind: 'login';
  readonly login: number;
  readonly username: string;
  readonly password: string;
  readonly address: string | undefined;
}

/** What a client may not do. The topic is as the client wrote it, cut to a length. */
export interface RefusedWord {
  readonly kind: 'refused';
  readonly code: RefusalCode;
  readonly username: string;
  readonly address: string | undefined;
  readonly detail: string;
  readonly topic: string | undefined;
}

type RefusalCode = Extract<ErrorCode, 'topic_refused' | 'mqtt_packet_refused'>;
type FailureCode = (typeof FAILURES)[number];

/** Why it does not listen. `internal` is a defect. */
const FAILURES = [
  'address_unavailable',
  'embedded_broker_missing',
  'embedded_broker_down',
  'internal',
] as const satisfies readonly ErrorCode[];

const MOST_LENGTH = 4_096;

/** Undefined for what is none: the process may be in any state. */
export function readFromBroker(message: unknown): FromBroker | undefined {
  if (!isObject(message)) return undefined;
  const { address: from, code, count, detail, kind, login, password, port, topic, username } = message;
  const address = textOf(from);
  if (from !== undefined && address === undefined) return undefined;
  switch (kind) {
    case 'listening':
      return isWhole(port) && port > 0 && port <= 65_535 ? { kind, port } : undefined;
    case 'failed':
      return isFailureCode(code) ? { kind, code, detail: textOf(detail) } : undefined;
    case 'login':
      return isWhole(login) && isText(username) && isText(password)
        ? { kind, login, username, password, address }
        : undefined;
    case 'refused':
      if (topic !== undefined && !isText(topic)) return undefined;
      return (code === 'topic_refused' || code === 'mqtt_packet_refused') && isText(username) && isText(detail)
        ? { kind, code, username, address, detail, topic }
        : undefined;
    case 'refused_more':
    case 'connections_refused':
      return isWhole(count) ? { kind, count } : undefined;
    default:
      return undefined;
  }
}

export function isFailureCode(code: unknown): code is FailureCode {
  return FAILURES.some((known) => known === code);
}

function textOf(value: unknown): string | undefined {
  return isText(value) ? value : undefined;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MOST_LENGTH;
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

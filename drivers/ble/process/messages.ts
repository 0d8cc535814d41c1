/**
 * What the hub and the process of its radio say to each other: one JSON object a message. Each side reads the other's by
 * these tables and takes nothing that is not in them: the process parses what strangers send, and may be in their hands.
 */
import { parseStrictJsonObject } from '../../../src/codec/strict-json.ts';
import { base64url, fromBase64url, utf8 } from '../../../src/core/bytes.ts';
import type { ErrorCode } from '../../../src/core/error-catalogue.ts';
import { LatchkeyError } from '../../../src/core/errors.ts';
import type { JsonValue } from '../../../src/core/json.ts';
import { LIMITS } from '../../../src/core/limits.ts';

/** Reads one member. @throws {LatchkeyError} */
type Reader<T> = (value: JsonValue | undefined) => T;
type Table = Readonly<Record<string, Readonly<Record<string, Reader<unknown>>>>>;
type MessageOf<T extends Table> = {
  [Type in keyof T & string]: { readonly type: Type } & {
    readonly [Name in keyof T[Type]]: T[Type][Name] extends Reader<infer Value> ? Value : never;
  };
}[keyof T & string];

function refuse(what: string): never {
  throw new LatchkeyError('radio_process_failed', `a message between the hub and it cannot be read: ${what}`);
}

const text =
  (most: number): Reader<string> =>
  (value) =>
    typeof value === 'string' && value.length <= most ? value : refuse('text');
const matching =
  (pattern: RegExp): Reader<string> =>
  (value) =>
    typeof value === 'string' && pattern.test(value) ? value : refuse('text');
const optional =
  <T>(reader: Reader<T>): Reader<T | undefined> =>
  (value) =>
    value === undefined ? undefined : reader(value);
const whole =
  (least: number, most: number): Reader<number> =>
  (value) =>
    typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most ? value : refuse('number');

const flag: Reader<boolean> = (value) => (typeof value === 'boolean' ? value : refuse('flag'));

const address = matching(/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/);
const addresses: Reader<readonly string[]> = (value) => (Array.isArray(value) ? value.map(address) : refuse('list'));
const count = whole(0, Number.MAX_SAFE_INTEGER);
const milliseconds = whole(0, 2 ** 31 - 1);
/** Number of a link that the hub asked for. */
const link = whole(1, Number.MAX_SAFE_INTEGER);
const detail = optional(text(LIMITS.radioTextLength));
const bytes: Reader<Uint8Array> = (value) => {
  if (typeof value !== 'string' || value.length > 2 * LIMITS.gattValueBytes) return refuse('bytes');
  let read: Uint8Array;
  try {
    read = fromBase64url(value);
  } catch {
    // Not base64url, and the caller learns no more than that.
    return refuse('bytes');
  }
  return read.length <= LIMITS.gattValueBytes ? read : refuse('bytes');
};
const uuid = matching(/^[0-9a-fA-F-]{1,36}$/);

/** The only codes that the process may give: it cannot have the hub say that a token was refused. */
const CODES = [
  'link_down',
  'link_busy',
  'radio_missing',
  'radio_blocked',
  'radio_down',
  'radio_permission',
  'radio_unsupported',
  'radio_failed',
  'internal',
] as const satisfies readonly ErrorCode[];
type RadioCode = (typeof CODES)[number];
const code: Reader<RadioCode> = (value) => CODES.find((each) => each === value) ?? refuse('code');

const TO_PROCESS = {
  /** Opens the adapter; answered by `on` or `failed`. */
  open: {
    adapter: text(4_096),
    baudRate: count,
    mtu: whole(1, 65_535),
    service: uuid,
    downstream: uuid,
    upstream: uuid,
    duty: whole(1, 100),
  },
  /** Percent of the time to listen in: with a scan that begins now, or with the next one. */
  duty: { duty: whole(1, 100), now: flag },
  /** The addresses that are of interest; answers `asks`. */
  keep: { addresses },
  /** Answered by `connected` or `refused`. */
  connect: { link, address, connectTimeout: milliseconds, operationTimeout: milliseconds },
  send: { link, value: bytes },
  /** Sends what waits, and lets go; answered by `released`. */
  release: { link },
  /** Answered by `pong`. */
  ping: {},
  /** Lets go of all links and ends. */
  close: {},
} as const satisfies Table;

const TO_HUB = {
  /** The stack is loaded. */
  ready: {},
  on: { address },
  failed: { code, detail },
  /** Of `on`: the adapter is gone. Nothing else comes after it but the ends of links. */
  lost: { code, detail },
  heard: { name: text(LIMITS.radioTextLength), address, rssi: whole(-128, 127) },
  /** Which addresses are of interest? */
  asks: {},
  cutOff: { address },
  connected: { link },
  refused: { link, code, detail },
  value: { link, value: bytes },
  ended: { link, code, detail },
  released: { link },
  /** So many packets that broke a rule of the gate, and who sent one of them last. */
  broken: { rule: matching(/^[\x20-\x7e]{1,80}$/), address: optional(address), count },
  pong: {},
} as const satisfies Table;

export type ToProcess = MessageOf<typeof TO_PROCESS>;
export type ToHub = MessageOf<typeof TO_HUB>;

/** @throws {LatchkeyError} `radio_process_failed` */
export function readToProcess(message: Uint8Array): ToProcess {
  return read(TO_PROCESS, message) as ToProcess;
}

/** @throws {LatchkeyError} `radio_process_failed` */
export function readToHub(message: Uint8Array): ToHub {
  return read(TO_HUB, message) as ToHub;
}

export function written(message: ToProcess | ToHub): Uint8Array {
  const members = 'value' in message ? { ...message, value: base64url(message.value) } : message;
  return utf8(JSON.stringify(members));
}

/** An error as the other side may hear it. */
export function toldError(error: LatchkeyError): { readonly code: RadioCode; readonly detail: string | undefined } {
  const known = CODES.find((each) => each === error.code);
  // What is no code of the radio is a defect; its words help who has to find it.
  const words =
    known === undefined || known === 'internal' ? `${error.detail ?? ''} ${error.cause ?? ''}` : error.detail;
  return { code: known ?? 'internal', detail: words?.trim().slice(0, LIMITS.radioTextLength) };
}

function read(table: Table, message: Uint8Array): unknown {
  const object = parseStrictJsonObject(message, { code: 'radio_process_failed', maxItems: LIMITS.radioAddresses });
  const { type } = object;
  const readers = typeof type === 'string' && Object.hasOwn(table, type) ? table[type] : undefined;
  if (readers === undefined) refuse('type');
  const members = Object.entries(readers).map(([name, reader]) => [name, reader(object[name])]);
  return { type, ...Object.fromEntries(members) };
}

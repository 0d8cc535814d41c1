/** Reading what the hub answered: typed values, or a coded error. */

import { retryAfterOf } from '../codec/retry-after.ts';
import { fromBase64url, fromHex, fromUtf8 } from '../core/bytes.ts';
import type { ErrorCode } from '../core/error-catalogue.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { printable } from '../core/printable.ts';
import type { HttpAnswer } from './http.ts';

/** AS Request Creation Hints (RFC 9200 §5.3). The device gave them, and they are not authenticated. */
export interface CreationHints {
  readonly authorizationServer: string | undefined;
  readonly audience: string | undefined;
  readonly cnonce: Uint8Array | undefined;
}

/** Members of problem details (RFC 9457) for people; `detail` only for a token whose signature the hub has verified. */
export interface Explanation {
  readonly title?: string;
  readonly detail?: string;
  readonly fix?: string;
  /** Address of a page that says more, for a person to open; `urn:latchkey:error:` and the code where there is none. */
  readonly type?: string;
}

/** The hub, the device behind it or a connected device said no. `hubCode` is the code that it gave, out of docs/errors.md. */
export class HubRefusal extends LatchkeyError {
  readonly status: number;
  readonly hubCode: string;
  /** What the hub says of it in words, where it does: what happened, why, and what to do. Show it, branch on no word of it. */
  readonly explanation: Explanation;
  /** Names the request in the hub's log. */
  readonly requestId: string | undefined;
  /** CoAP code of the device's answer, such as "4.03", where the device was asked at all. */
  readonly deviceCode: string | undefined;
  /** What the next token must hold, where the device has no clock: see `TokenRequest.cnonce`. */
  readonly creationHints: CreationHints | undefined;

  constructor(
    code: Extract<ErrorCode, 'client_delivery_failed' | 'client_request_failed'>,
    problem: {
      status: number;
      code: string;
      id?: string | undefined;
      deviceCode?: string | undefined;
      creationHints?: CreationHints | undefined;
      explanation?: Explanation;
      retryAfter?: number | undefined;
    },
  ) {
    super(
      code,
      `${problem.code} (${problem.status}${problem.deviceCode === undefined ? '' : `, device ${problem.deviceCode}`})`,
      problem.retryAfter === undefined ? {} : { retryAfter: problem.retryAfter },
    );
    this.name = 'HubRefusal';
    this.status = problem.status;
    this.hubCode = problem.code;
    this.explanation = problem.explanation ?? {};
    this.requestId = problem.id;
    this.deviceCode = problem.deviceCode;
    this.creationHints = problem.creationHints;
  }
}

const LONGEST_EXPLANATION = 500;

const STATES = ['queued', 'delivered', 'refused', 'expired', 'cancelled'] as const;

export interface Delivery {
  readonly id: string;
  readonly state: (typeof STATES)[number];
  readonly device: string;
  readonly audience: string;
  /** 8 bytes; names the token in challenges and signed requests. */
  readonly tokenHash: Uint8Array;
  readonly cti: Uint8Array;
  /** NumericDate seconds. */
  readonly expiresAt: number;
  readonly scope: string;
  /** Why it ended without success, or `device_full` where it waits for room on the device: a code of docs/errors.md. */
  readonly hubCode: string | undefined;
  /** CoAP code that the device answered with. */
  readonly deviceCode: string | undefined;
  /** The device's own receipt was checked by the hub. */
  readonly receipt: boolean;
  readonly bytes: { readonly jwt: number; readonly cwt: number };
  /** How fresh the hub's knowledge was when it verified the token; `keysAge` in seconds. */
  readonly freshness: { readonly keysAge: number; readonly clock: 'sure' | 'unsure' };
}

/** @throws {LatchkeyError} `client_answer_invalid` */
export function readDelivery(answer: Pick<HttpAnswer, 'body'>): Delivery {
  const json = readJson(answer);
  const bytes = object(json, 'bytes');
  const freshness = object(json, 'freshness');
  const state = STATES.find((known) => known === json.state);
  if (state === undefined) throw invalid('state');
  return {
    id: text(json, 'delivery'),
    state,
    device: text(json, 'device'),
    audience: text(json, 'audience'),
    tokenHash: tokenHash(json),
    cti: decoded(json, 'cti', fromHex),
    expiresAt: number(json, 'expires_at'),
    scope: text(json, 'scope'),
    hubCode: optionalText(json, 'code'),
    deviceCode: optionalText(json, 'device_code'),
    receipt: json.receipt === true,
    bytes: { jwt: number(bytes, 'jwt'), cwt: number(bytes, 'cwt') },
    freshness: { keysAge: number(freshness, 'keys_age'), clock: freshness.clock === 'sure' ? 'sure' : 'unsure' },
  };
}

/**
 * The refusal in an answer that is no success (RFC 9457).
 * @returns `client_answer_invalid` where it is not the hub that answered
 */
export function readRefusal(code: ConstructorParameters<typeof HubRefusal>[0], answer: HttpAnswer): LatchkeyError {
  try {
    const json = readJson(answer);
    return new HubRefusal(code, {
      status: answer.status,
      code: text(json, 'code'),
      id: optionalText(json, 'id'),
      deviceCode: optionalText(json, 'device_code'),
      explanation: { ...readExplanation(json), ...readType(json, answer.url) },
      // The hub writes seconds, never a date.
      retryAfter: retryAfterOf(answer.headers.get('retry-after') ?? undefined, undefined),
      creationHints: json.creation_hints === undefined ? undefined : readHints(object(json, 'creation_hints')),
    });
  } catch (error) {
    if (!isCoded(error)) throw error;
    return new LatchkeyError('client_answer_invalid', `status ${answer.status} without a problem document`);
  }
}

/** For people alone, so one of another type is no reason to lose the code beside it. */
function readExplanation(json: JsonObject): Explanation {
  const told = (['title', 'detail', 'fix'] as const).flatMap((name) => {
    const value = json[name];
    return typeof value === 'string' ? [[name, printable(value.slice(0, LONGEST_EXPLANATION))]] : [];
  });
  return Object.fromEntries(told);
}

/** Of a page, or a mere name. A link of another kind could do something where it is opened. */
const TYPES: ReadonlySet<string> = new Set(['https:', 'http:', 'urn:']);

/** RFC 9457 §3.1.1: it may be relative to the address that was asked. */
function readType({ type }: JsonObject, asked: URL): Pick<Explanation, 'type'> {
  if (typeof type !== 'string' || type.length > LONGEST_EXPLANATION || !URL.canParse(type, asked.href)) return {};
  const url = new URL(type, asked);
  return TYPES.has(url.protocol) ? { type: url.href } : {};
}

function readHints(json: JsonObject): CreationHints {
  return {
    authorizationServer: optionalText(json, 'AS'),
    audience: optionalText(json, 'audience'),
    cnonce: json.cnonce === undefined ? undefined : decoded(json, 'cnonce', fromBase64url),
  };
}

export function isSuccess(answer: HttpAnswer): boolean {
  return answer.status >= 200 && answer.status < 300;
}

/** @throws {LatchkeyError} `client_answer_invalid` */
export function readJson(answer: Pick<HttpAnswer, 'body'>): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(answer.body));
  } catch (error) {
    if (!(error instanceof SyntaxError) && !isCoded(error)) throw error;
    throw new LatchkeyError('client_answer_invalid', 'not JSON');
  }
  if (!isJsonObject(value)) throw new LatchkeyError('client_answer_invalid', 'not a JSON object');
  return value;
}

function tokenHash(json: JsonObject): Uint8Array {
  const bytes = decoded(json, 'token_hash', fromBase64url);
  if (bytes.length !== 8) throw invalid('token_hash');
  return bytes;
}

function decoded(json: JsonObject, name: string, decode: (text: string) => Uint8Array): Uint8Array {
  try {
    return decode(text(json, name));
  } catch (error) {
    throw isCoded(error) ? invalid(name) : error;
  }
}

function object(json: JsonObject, name: string): JsonObject {
  const value: JsonValue | undefined = json[name];
  if (!isJsonObject(value)) throw invalid(name);
  return value;
}

function text(json: JsonObject, name: string): string {
  const value = json[name];
  if (typeof value !== 'string') throw invalid(name);
  return value;
}

function optionalText(json: JsonObject, name: string): string | undefined {
  return json[name] === undefined ? undefined : text(json, name);
}

function number(json: JsonObject, name: string): number {
  const value = json[name];
  if (typeof value !== 'number') throw invalid(name);
  return value;
}

function invalid(name: string): LatchkeyError {
  return new LatchkeyError('client_answer_invalid', `member ${name}`);
}

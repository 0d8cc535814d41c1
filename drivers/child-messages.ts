/**
 * What the hub and a child process of it say to each other beside the messages of the part itself: one JSON object a message. The
 * child parses what strangers send, and may be in their hands.
 */
import { parseStrictJsonObject } from '../src/codec/strict-json.ts';
import { utf8 } from '../src/core/bytes.ts';
import type { ErrorCode } from '../src/core/error-catalogue.ts';
import { LatchkeyError } from '../src/core/errors.ts';

export type ToChild = { readonly kind: 'heartbeat' } | { readonly kind: 'message'; readonly message: unknown };

export type FromChild =
  | { readonly kind: 'heartbeat'; readonly memory: number }
  | { readonly kind: 'message'; readonly message: unknown }
  | { readonly kind: 'crash'; readonly frames: string };

const MOST_FRAMES_LENGTH = 1_000;

export function written(message: ToChild | FromChild): Uint8Array {
  return utf8(JSON.stringify(message, wellFormed));
}

/**
 * Reads what the hub says.
 * @throws {LatchkeyError} `internal`
 */
export function readToChild(bytes: Uint8Array): ToChild {
  const { kind, message } = parseStrictJsonObject(bytes, { code: 'internal' });
  return kind === 'heartbeat' ? { kind } : { kind: 'message', message };
}

/**
 * Reads what a child says, which may be in any state.
 * @throws {LatchkeyError} `code` for what is no message
 */
export function readFromChild(bytes: Uint8Array, code: ErrorCode): FromChild {
  const { frames, kind, memory, message } = parseStrictJsonObject(bytes, { code });
  if (kind === 'message') return { kind, message };
  if (kind === 'heartbeat') return { kind, memory: typeof memory === 'number' ? memory : 0 };
  if (kind === 'crash' && typeof frames === 'string') return { kind, frames: frames.slice(0, MOST_FRAMES_LENGTH) };
  throw new LatchkeyError(code, 'a message of no kind that the hub knows');
}

/** Where the exception comes from, without its message: that may hold what a peer sent. */
export function framesOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return typeof thrown;
  const frames = (thrown.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return [thrown.name, ...frames.map((line) => line.trim())].join(' | ').slice(0, MOST_FRAMES_LENGTH);
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Text that was cut may end in half a surrogate pair, which strict JSON does not take: U+FFFD stands for it. */
function wellFormed(_: string, value: unknown): unknown {
  return typeof value === 'string' ? Buffer.from(value).toString() : value;
}

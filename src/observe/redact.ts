/**
 * The last line of defence between a secret and the log. Secrets are typed (`Secret<T>`) and should never get this far;
 * what does by mistake is replaced here, by its name, its type or its look.
 */
import { KeyObject } from 'node:crypto';
import { LatchkeyError } from '../core/errors.ts';
import { printable } from '../core/printable.ts';
import { Secret } from '../core/secret.ts';
import { withoutSetupCodes } from './setup-code-redaction.ts';

const SECRET = '[secret]';

/** Names of fields that hold secrets, whole or as the last word: `key`, `answer_key`, `answerKey`, but not `key_id`. */
const SECRET_NAME =
  /(?:^|[_-])(?:authorization|dpop|tokens?|jwt|jwe|cwt|proof|secret|password|keys?|jwk|jwks|cookie|setup_?code|assertion)$/i;

/** A JOSE header in base64url begins with `{"`, `{ ` or a line end behind `{`. Parts may be missing where text was cut. */
const JOSE = /\be(?:yJ|yA|yI|wo|w0)[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,4}/g;
/** Longer than any digest in hexadecimal (64): a CWT, a signature, a key. */
const LONG_RUN = /[A-Za-z0-9_-]{80,}/g;
/** In words that are not ours, anything that looks like 16 random bytes. */
const RANDOM_RUN =
  /\b(?:[0-9a-fA-F]{32,}|(?=[A-Za-z_-]*\d)(?=[a-z0-9_-]*[A-Z])(?=[A-Z0-9_-]*[a-z])[A-Za-z0-9_-]{20,})/g;

const MAX_DEPTH = 8;
const MAX_ITEMS = 256;
/** Characters of one text, and of all the texts and names of one line. The rest is left out, and its length told. */
const MAX_TEXT = 1_024;
const MAX_LINE = 4_096;
/** What is looked at past the cut, so that no secret lies across it: longer than anything that is known by its look. */
const PAST_CUT = 256;

/** What a line has room for yet, in characters. */
interface Room {
  left: number;
}

/** Also takes out what would begin a line or steer the terminal in which an operator reads the log, and cuts what is long. */
export function redactText(text: string, most = MAX_TEXT): string {
  const seen = text.length > most + PAST_CUT ? text.slice(0, most + PAST_CUT) : text;
  const safe = printable(withoutSetupCodes(seen.replace(JOSE, SECRET), SECRET).replace(LONG_RUN, SECRET));
  if (safe.length <= most && seen === text) return safe;
  return `${safe.slice(0, most)}… (${text.length} characters)`;
}

function fill(room: Room, text: string): string {
  const safe = redactText(text, Math.min(MAX_TEXT, room.left));
  room.left = Math.max(0, room.left - safe.length - 4);
  return safe;
}

function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name) || SECRET_NAME.test(name.replace(/([a-z0-9])([A-Z])/g, '$1_$2'));
}

/** A copy that is safe to print: text, numbers, lists and plain objects only. */
export function redact(value: unknown, depth = 0, room: Room = { left: MAX_LINE }): unknown {
  if (typeof value === 'string') return fill(room, value);
  if (typeof value === 'bigint') return fill(room, value.toString());
  if (typeof value === 'function' || typeof value === 'symbol') return undefined;
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Secret) return SECRET;
  if (value instanceof KeyObject) return '[key]';
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (depth >= MAX_DEPTH) return '[deep]';
  if (value instanceof Error) return errorFields(value, depth, room);
  if (Array.isArray(value)) return listed(value, depth, room);
  if (value instanceof Map || value instanceof Set) return `[${value.size} entries]`;
  if ('toJSON' in value && typeof value.toJSON === 'function') return redact(value.toJSON(), depth + 1, room);
  return redactFields(value, depth, room);
}

function listed(items: readonly unknown[], depth: number, room: Room): unknown[] {
  const safe: unknown[] = [];
  for (const item of items.slice(0, MAX_ITEMS)) {
    if (room.left <= 0) break;
    room.left -= 4;
    safe.push(redact(item, depth + 1, room));
  }
  return safe;
}

/** As `redact`, by name too: what stands under the name of a secret is not looked at. */
export function redactFields(fields: object, depth = 0, room: Room = { left: MAX_LINE }): Record<string, unknown> {
  const safe: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields).slice(0, MAX_ITEMS)) {
    if (room.left <= 0) break;
    const isCountOrFlag = typeof value === 'number' || typeof value === 'boolean' || value === undefined;
    const shown = fill(room, name);
    safe[shown] = isSecretName(name) && !isCountOrFlag ? SECRET : redact(value, depth + 1, room);
  }
  return safe;
}

/**
 * What the log says about an error. A coded one speaks in our words. Another one's message may quote what it was given,
 * so it is redacted more sharply, and that of a SyntaxError (JSON.parse quotes its input) is left out.
 */
function errorFields(error: Error, depth: number, room: Room): Record<string, unknown> {
  const isOurs = error instanceof LatchkeyError;
  const message = isOurs ? error.detail : foreignMessage(error);
  const code = 'code' in error && typeof error.code === 'string' ? fill(room, error.code) : undefined;
  return {
    ...(isOurs ? {} : { type: fill(room, error.name) }),
    ...(code === undefined ? {} : { code }),
    ...(message === undefined ? {} : { [isOurs ? 'detail' : 'message']: fill(room, message) }),
    stack: frames(error, room),
    ...(error.cause instanceof Error && depth < MAX_DEPTH ? { cause: redact(error.cause, depth + 1, room) } : {}),
  };
}

function foreignMessage(error: Error): string | undefined {
  return error instanceof SyntaxError ? undefined : error.message.slice(0, 1_000).replace(RANDOM_RUN, SECRET);
}

/** Where it came from, without the message that heads a stack. */
function frames(error: Error, room: Room): readonly string[] {
  const lines = (error.stack ?? '').split('\n').filter((line) => /^ {4}at /.test(line));
  return lines.slice(0, 12).flatMap((line) => (room.left <= 0 ? [] : [fill(room, line.trim())]));
}

/**
 * The last line of defence between a secret and the log. Secrets are typed (`Secret<T>`) and should never get this far;
 * what does by mistake is replaced here, by its name, its type or its look.
 */
import { KeyObject } from 'node:crypto';
import { LatchkeyError } from '../core/errors.ts';
import { printable } from '../core/printable.ts';
import { Secret } from '../core/secret.ts';

const SECRET = '[secret]';

/** Names of fields that hold secrets, whole or as the last word: `key`, `answer_key`, `answerKey`, but not `key_id`. */
const SECRET_NAME =
  /(?:^|[_-])(?:authorization|dpop|tokens?|jwt|jwe|cwt|proof|secret|password|keys?|jwk|jwks|cookie|setup_?code|assertion)$/i;

/** A JOSE header in base64url begins with `{"`, `{ ` or a line end behind `{`. Parts may be missing where text was cut. */
const JOSE = /\be(?:yJ|yA|yI|wo|w0)[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,4}/g;
/** Longer than any digest in hexadecimal (64): a CWT, a signature, a key. */
const LONG_RUN = /[A-Za-z0-9_-]{80,}/g;
/** A setup code, as QR text or with its dashes as people type it (docs/protocol.md, "Provisioning"). */
const SETUP_CODE = /\blatchkey:1\?[^\s"]*|\b(?:[0-9A-Z]{5}-){5}[0-9A-Z][0-9A-Z*~$=]?/gi;
/** In words that are not ours, anything that looks like 16 random bytes. */
const RANDOM_RUN =
  /\b(?:[0-9a-fA-F]{32,}|(?=[A-Za-z_-]*\d)(?=[a-z0-9_-]*[A-Z])(?=[A-Z0-9_-]*[a-z])[A-Za-z0-9_-]{20,})/g;

const MAX_DEPTH = 8;
const MAX_ITEMS = 256;

/** Also takes out what would steer the terminal in which somebody reads the log. */
export function redactText(text: string): string {
  return printable(text.replace(JOSE, SECRET).replace(SETUP_CODE, SECRET).replace(LONG_RUN, SECRET));
}

function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name) || SECRET_NAME.test(name.replace(/([a-z0-9])([A-Z])/g, '$1_$2'));
}

/** A copy that is safe to print: text, numbers, lists and plain objects only. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'function' || typeof value === 'symbol') return undefined;
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Secret) return SECRET;
  if (value instanceof KeyObject) return '[key]';
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (depth >= MAX_DEPTH) return '[deep]';
  if (value instanceof Error) return errorFields(value, depth);
  if (Array.isArray(value)) return value.slice(0, MAX_ITEMS).map((item) => redact(item, depth + 1));
  if (value instanceof Map || value instanceof Set) return `[${value.size} entries]`;
  if ('toJSON' in value && typeof value.toJSON === 'function') return redact(value.toJSON(), depth + 1);
  return redactFields(value, depth);
}

/** As `redact`, by name too: what stands under the name of a secret is not looked at. */
export function redactFields(fields: object, depth = 0): Record<string, unknown> {
  const safe: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields).slice(0, MAX_ITEMS)) {
    const isCountOrFlag = typeof value === 'number' || typeof value === 'boolean' || value === undefined;
    safe[redactText(name)] = isSecretName(name) && !isCountOrFlag ? SECRET : redact(value, depth + 1);
  }
  return safe;
}

/**
 * What the log says about an error. A coded one speaks in our words. Another one's message may quote what it was given,
 * so it is redacted more sharply, and that of a SyntaxError (JSON.parse quotes its input) is left out.
 */
function errorFields(error: Error, depth: number): Record<string, unknown> {
  const isOurs = error instanceof LatchkeyError;
  const message = isOurs ? error.detail : foreignMessage(error);
  const code = 'code' in error && typeof error.code === 'string' ? redactText(error.code) : undefined;
  return {
    ...(isOurs ? {} : { type: redactText(error.name) }),
    ...(code === undefined ? {} : { code }),
    ...(message === undefined ? {} : { [isOurs ? 'detail' : 'message']: redactText(message) }),
    stack: frames(error),
    ...(error.cause instanceof Error && depth < MAX_DEPTH ? { cause: redact(error.cause, depth + 1) } : {}),
  };
}

function foreignMessage(error: Error): string | undefined {
  return error instanceof SyntaxError ? undefined : error.message.slice(0, 1_000).replace(RANDOM_RUN, SECRET);
}

/** Where it came from, without the message that heads a stack. */
function frames(error: Error): readonly string[] {
  const lines = (error.stack ?? '').split('\n').filter((line) => /^ {4}at /.test(line));
  return lines.slice(0, 12).map((line) => redactText(line.trim()));
}

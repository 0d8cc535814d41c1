/** Bodies of requests on the admin socket, each member checked for its type. All throw `request_invalid`. */
import { fromUtf8 } from '../../src/core/bytes.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../src/core/json.ts';

export function parse(bytes: Uint8Array): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(bytes));
  } catch (error) {
    throw new LatchkeyError('request_invalid', 'the body is not JSON', { cause: error });
  }
  if (!isJsonObject(value)) throw new LatchkeyError('request_invalid', 'the body is not an object');
  return value;
}

export function text(value: JsonValue | undefined, name: string): string {
  if (typeof value !== 'string') throw new LatchkeyError('request_invalid', name);
  return value;
}

export function optionalText(value: JsonValue | undefined, name: string): string | undefined {
  return value === undefined ? undefined : text(value, name);
}

function texts(value: JsonValue): readonly string[] {
  if (!Array.isArray(value) || value.some((item) => typeof item !== 'string'))
    throw new LatchkeyError('request_invalid', 'issuers');
  return value as readonly string[];
}

/** The member `issuers` of a new device. */
export function issuersOf(value: JsonValue): readonly string[] | 'any' {
  return value === 'any' ? value : texts(value);
}

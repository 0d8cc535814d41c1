/**
 * Introspection requests on the wire, read by the hub and written by devices: a form (RFC 7662 §2.1), a JSON object with
 * the same names for MQTT, and a CBOR map (RFC 9200 §5.9.1). Parameters that are not known are passed over (RFC 6749
 * §3.2); whatever is known must be there once, in its form and in its size.
 */
import { fromBase64url, fromUtf8, utf8 } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { IntrospectionQuestion } from '../core/introspection.ts';
import type { JsonObject } from '../core/json.ts';
import { LIMITS } from '../core/limits.ts';
import { type CborKey, type CborValue, decodeCbor, encodeCbor, isCborMap } from './cbor.ts';
import { certificateFromText } from './certificate.ts';
import { readForm } from './form.ts';
import {
  checkedValue,
  invalid,
  isParameterName,
  PARAMETERS,
  type Parameter,
  type ParameterName,
  parametersOf,
  questionOf,
  textForm,
} from './introspection-parameters.ts';
import { parseStrictJsonObject } from './strict-json.ts';

const ENTRIES = Object.entries(PARAMETERS) as readonly (readonly [ParameterName, Parameter])[];

/**
 * From application/x-www-form-urlencoded.
 * @throws {LatchkeyError} `request_invalid`, `request_too_large`, `base64url_invalid`, `certificate_invalid`
 */
export function readIntrospectionForm(body: Uint8Array): IntrospectionQuestion {
  requireSize(body);
  return fromTexts(readForm(body, LIMITS.introspectionParameters));
}

/**
 * From a JSON object of texts.
 * @throws {LatchkeyError} `request_invalid`, `request_too_large`, `json_invalid`, `base64url_invalid`, `certificate_invalid`
 */
export function readIntrospectionJson(body: Uint8Array): IntrospectionQuestion {
  requireSize(body);
  const members = parseStrictJsonObject(body, { maxItems: LIMITS.introspectionParameters });
  const texts = new Map<string, string>();
  for (const [name, value] of Object.entries(members)) {
    if (!isParameterName(name)) continue;
    if (typeof value !== 'string') throw invalid(name, 'no text');
    texts.set(name, value);
  }
  return fromTexts(texts);
}

/**
 * From a CBOR map, application/ace+cbor.
 * @throws {LatchkeyError} `cbor_*`, `request_invalid`, `request_too_large`, `certificate_invalid`
 */
export function readIntrospectionCbor(body: Uint8Array): IntrospectionQuestion {
  requireSize(body);
  const map = decodeCbor(body);
  if (!isCborMap(map)) throw new LatchkeyError('request_invalid', 'not a CBOR map');
  const values = new Map<ParameterName, string | Uint8Array>();
  for (const [name, parameter] of ENTRIES) {
    const value = map.get(parameter.label);
    if (value === undefined) continue;
    const decoded = fromCbor(name, parameter, value);
    if (parameter.kind !== 'hint') values.set(name, checkedValue(name, decoded));
  }
  return questionOf(values);
}

/** The form that `readIntrospectionForm` reads. */
export function writeIntrospectionForm(question: IntrospectionQuestion): Uint8Array {
  const form = new URLSearchParams();
  for (const [name, value] of parametersOf(question)) form.set(name, textForm(value));
  return utf8(form.toString());
}

/** The object that `readIntrospectionJson` reads. */
export function writeIntrospectionJson(question: IntrospectionQuestion): Uint8Array {
  const members: JsonObject = Object.fromEntries(
    Array.from(parametersOf(question), ([name, value]) => [name, textForm(value)]),
  );
  return utf8(JSON.stringify(members));
}

/** The map that `readIntrospectionCbor` reads. */
export function writeIntrospectionCbor(question: IntrospectionQuestion): Uint8Array {
  const map = new Map<CborKey, CborValue>();
  for (const [name, value] of parametersOf(question)) {
    const { kind, label, words }: Parameter = PARAMETERS[name];
    map.set(label, kind === 'token' ? utf8(value as string) : (words?.[value as string] ?? value));
  }
  return encodeCbor(map);
}

function fromTexts(texts: ReadonlyMap<string, string>): IntrospectionQuestion {
  const values = new Map<ParameterName, string | Uint8Array>();
  for (const [name, parameter] of ENTRIES) {
    const text = texts.get(name);
    if (text === undefined) continue;
    const decoded = fromText(parameter, text);
    if (parameter.kind !== 'hint') values.set(name, checkedValue(name, decoded));
  }
  return questionOf(values);
}

function fromText({ kind }: Parameter, text: string): string | Uint8Array {
  if (kind === 'bytes') return new Uint8Array(fromBase64url(text));
  return kind === 'certificate' ? certificateFromText(text) : text;
}

function fromCbor(name: ParameterName, { kind, words }: Parameter, value: CborValue): string | Uint8Array {
  switch (kind) {
    case 'bytes':
    case 'certificate':
      if (value instanceof Uint8Array) return value;
      break;
    case 'token':
      if (value instanceof Uint8Array) return tokenText(value);
      break;
    case 'word': {
      const word = Object.entries(words ?? {}).find(([, number]) => number === value)?.[0];
      if (word !== undefined) return word;
      break;
    }
    case 'hint':
      // RFC 9200 writes it as a number in its example and calls it text in its table; it changes nothing here.
      if (typeof value === 'string') return value;
      if (typeof value === 'number') return String(value);
      break;
    case 'text':
      if (typeof value === 'string') return value;
      break;
  }
  throw invalid(name, 'of another type');
}

function tokenText(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch {
    // A token that is no text, such as a CWT, comes from an AS that this hub cannot ask.
    throw invalid('token', 'not an access token (RFC 6749 appendix A.12)');
  }
}

function requireSize(body: Uint8Array): void {
  if (body.length > LIMITS.introspectionRequestBytes) throw new LatchkeyError('request_too_large');
}

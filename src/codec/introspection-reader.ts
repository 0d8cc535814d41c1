/** Introspection answers as a device reads them, from JSON or CBOR. The other half of introspection-answer.ts. */
import { base64url, fromBase64url, fromUtf8 } from '../core/bytes.ts';
import { coded, LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { type CborKey, type CborMap, type CborValue, decodeCbor, isCborArray, isCborMap } from './cbor.ts';
import { jwkFromCoseKey } from './cose/key-map.ts';
import {
  CONFIRMATION,
  CONFIRMATION_PRIVATE,
  INTROSPECTION,
  INTROSPECTION_PRIVATE,
  LATCHKEY_ANSWER,
  LATCHKEY_FRESHNESS,
  LATCHKEY_SESSION_KEY,
  LATCHKEY_WORDS,
  TOKEN_TYPE,
} from './iana.ts';
import { parseStrictJsonObject } from './strict-json.ts';

/** The names are those of the JSON form in both. Nothing in it is trusted further than the way it came. */
export interface IntrospectionReading {
  readonly active: boolean;
  /** RFC 7662 §2.2, without `active` and `latchkey`. */
  readonly members: JsonObject;
  readonly freshness: JsonObject | undefined;
  /** What kind of proof was verified: `dpop`, `cose`, `x5t` or `none`. */
  readonly proof: string | undefined;
  /** Why the answer is inactive: a code of the catalogue. */
  readonly code: string | undefined;
  readonly sessionKey: ReadSessionKey | undefined;
}

interface ReadSessionKey {
  readonly keyId: string;
  readonly expiresAt: number;
  readonly forDevice: Uint8Array;
  readonly forClient: string | Uint8Array | undefined;
}

/** @throws {LatchkeyError} `json_invalid`, `client_answer_invalid` */
export function readIntrospectionJsonAnswer(body: Uint8Array): IntrospectionReading {
  const { active, latchkey, ...members } = parseStrictJsonObject(body);
  if (typeof active !== 'boolean') throw invalid('active');
  const details = isJsonObject(latchkey) ? latchkey : {};
  const { code, freshness, proof, session_key: sessionKey } = details;
  return {
    active,
    members,
    freshness: isJsonObject(freshness) ? freshness : undefined,
    proof: optionalText(proof, 'proof'),
    code: optionalText(code, 'code'),
    sessionKey: sessionKey === undefined ? undefined : sessionKeyFromJson(sessionKey),
  };
}

/** @throws {LatchkeyError} `cbor_*`, `client_answer_invalid` */
export function readIntrospectionCborAnswer(body: Uint8Array): IntrospectionReading {
  const map = decodeCbor(body);
  if (!isCborMap(map)) throw invalid('not a map');
  const active = map.get(INTROSPECTION.active);
  if (typeof active !== 'boolean') throw invalid('active');
  const details = mapAt(map, INTROSPECTION_PRIVATE.latchkey) ?? new Map<CborKey, CborValue>();
  const freshness = mapAt(details, LATCHKEY_ANSWER.freshness);
  const sessionKey = mapAt(details, LATCHKEY_ANSWER.session_key);
  const code = details.get(LATCHKEY_ANSWER.code);
  return {
    active,
    members: membersFrom(map),
    freshness: freshness === undefined ? undefined : freshnessFrom(freshness),
    proof: wordOf(LATCHKEY_WORDS.proof, details.get(LATCHKEY_ANSWER.proof)),
    code: typeof code === 'string' ? code : undefined,
    sessionKey: sessionKey === undefined ? undefined : sessionKeyFromCbor(sessionKey),
  };
}

function sessionKeyFromJson(value: JsonValue): ReadSessionKey {
  if (!isJsonObject(value)) throw invalid('session_key');
  const { client, device, exp, kid } = value;
  if (typeof device !== 'string' || typeof kid !== 'string' || typeof exp !== 'number') throw invalid('session_key');
  const forClient = optionalText(client, 'client');
  return {
    keyId: kid,
    expiresAt: exp,
    forDevice: fromText(device),
    // A compact JWE has its dots; COSE is plain base64url.
    forClient: forClient === undefined || forClient.includes('.') ? forClient : fromText(forClient),
  };
}

function sessionKeyFromCbor(map: CborMap): ReadSessionKey {
  const forDevice = map.get(LATCHKEY_SESSION_KEY.device);
  const forClient = map.get(LATCHKEY_SESSION_KEY.client);
  const keyId = map.get(LATCHKEY_SESSION_KEY.kid);
  const expiresAt = map.get(LATCHKEY_SESSION_KEY.exp);
  if (!(forDevice instanceof Uint8Array) || typeof keyId !== 'string' || typeof expiresAt !== 'number') {
    throw invalid('session_key');
  }
  if (forClient !== undefined && typeof forClient !== 'string' && !(forClient instanceof Uint8Array)) {
    throw invalid('session_key');
  }
  return { keyId, expiresAt, forDevice, forClient };
}

function freshnessFrom(map: CborMap): JsonObject {
  const source = wordOf(LATCHKEY_WORDS.source, map.get(LATCHKEY_FRESHNESS.source));
  const clock = wordOf(LATCHKEY_WORDS.clock, map.get(LATCHKEY_FRESHNESS.clock));
  const age = map.get(LATCHKEY_FRESHNESS.age);
  const stale = map.get(LATCHKEY_FRESHNESS.stale);
  if (source === undefined || clock === undefined || typeof age !== 'number' || typeof stale !== 'boolean') {
    throw invalid('freshness');
  }
  return { source, age, stale, clock };
}

function membersFrom(map: CborMap): JsonObject {
  const members: Record<string, JsonValue> = {};
  const copy = (name: string, value: JsonValue | undefined) => {
    if (value !== undefined) members[name] = value;
  };
  for (const name of ['iss', 'sub', 'scope', 'client_id', 'username'] as const) {
    const value = map.get(INTROSPECTION[name]);
    if (typeof value === 'string') copy(name, value);
  }
  for (const name of ['exp', 'nbf', 'iat', 'exi', 'ace_profile'] as const) {
    const value = map.get(INTROSPECTION[name]);
    if (typeof value === 'number') copy(name, value);
  }
  const audience = map.get(INTROSPECTION.aud);
  if (typeof audience === 'string') copy('aud', audience);
  else if (isCborArray(audience)) {
    copy(
      'aud',
      audience.filter((item) => typeof item === 'string'),
    );
  }
  const cti = map.get(INTROSPECTION.cti);
  if (cti instanceof Uint8Array) copy('jti', textOf(cti));
  const cnonce = map.get(INTROSPECTION.cnonce);
  if (cnonce instanceof Uint8Array) copy('cnonce', base64url(cnonce));
  copy('token_type', wordOf(TOKEN_TYPE, map.get(INTROSPECTION.token_type)));
  const confirmation = mapAt(map, INTROSPECTION.cnf);
  if (confirmation !== undefined) copy('cnf', confirmationFrom(confirmation));
  return members;
}

function confirmationFrom(map: CborMap): JsonObject {
  const key = mapAt(map, CONFIRMATION.coseKey);
  const keyId = map.get(CONFIRMATION.kid);
  const hashes = Object.entries(CONFIRMATION_PRIVATE).flatMap(([name, label]) => {
    const hash = map.get(label);
    return hash instanceof Uint8Array ? [[name, base64url(hash)] as const] : [];
  });
  return {
    ...(key === undefined ? {} : { jwk: jwkFromCoseKey(key) }),
    ...(keyId instanceof Uint8Array ? { kid: textOf(keyId) } : {}),
    ...Object.fromEntries(hashes),
  };
}

function wordOf(words: Readonly<Record<string, number>>, value: CborValue | undefined): string | undefined {
  return Object.entries(words).find(([, number]) => number === value)?.[0];
}

function mapAt(map: CborMap, label: number): CborMap | undefined {
  const value = map.get(label);
  if (value !== undefined && !isCborMap(value)) throw invalid(`label ${label} is no map`);
  return value;
}

function optionalText(value: JsonValue | undefined, name: string): string | undefined {
  if (value !== undefined && typeof value !== 'string') throw invalid(name);
  return value;
}

function fromText(text: string): Uint8Array {
  return new Uint8Array(fromBase64url(text));
}

function textOf(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch (error) {
    throw new LatchkeyError('client_answer_invalid', 'text', { cause: coded(error) });
  }
}

function invalid(detail: string): LatchkeyError {
  return new LatchkeyError('client_answer_invalid', detail);
}

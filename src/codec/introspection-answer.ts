/**
 * Introspection answers as JSON (RFC 7662 §2.2) and as a CBOR map (RFC 9200 §5.9.2). What is ours to say stands in one
 * member, `latchkey`; an inactive answer to a request without a proof says nothing but that (RFC 7662 §2.2).
 */
import { base64url, fromBase64url, utf8 } from '../core/bytes.ts';
import { isCoded } from '../core/errors.ts';
import type { PresentedProof, RelayAnswer, RelayFreshness, SessionKeyCopies } from '../core/introspection.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { type CborKey, type CborMap, type CborValue, encodeCbor } from './cbor.ts';
import { coseKeyFromJwk } from './cose/key-map.ts';
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

/** How proofs are called on the wire: as in `proof_type`. */
const PROOF_NAMES = { none: 'none', dpop: 'dpop', cose: 'cose', certificate: 'x5t' } as const;

interface MemberForm {
  readonly label: number;
  /** Undefined for a value that CBOR has no form for. */
  readonly encode: (value: JsonValue) => CborValue | undefined;
}

/** RFC 7662 §2.2 and RFC 9200 §5.9.2 by their JSON names. */
const MEMBERS: Readonly<Record<string, MemberForm>> = {
  iss: { label: INTROSPECTION.iss, encode: text },
  sub: { label: INTROSPECTION.sub, encode: text },
  aud: { label: INTROSPECTION.aud, encode: audience },
  exp: { label: INTROSPECTION.exp, encode: wholeBefore },
  nbf: { label: INTROSPECTION.nbf, encode: wholeAfter },
  iat: { label: INTROSPECTION.iat, encode: wholeBefore },
  jti: { label: INTROSPECTION.cti, encode: textBytes },
  cnf: { label: INTROSPECTION.cnf, encode: confirmationMap },
  scope: { label: INTROSPECTION.scope, encode: text },
  client_id: { label: INTROSPECTION.client_id, encode: text },
  token_type: { label: INTROSPECTION.token_type, encode: tokenType },
  username: { label: INTROSPECTION.username, encode: text },
  ace_profile: { label: INTROSPECTION.ace_profile, encode: wholeBefore },
  cnonce: { label: INTROSPECTION.cnonce, encode: bytes },
  exi: { label: INTROSPECTION.exi, encode: wholeBefore },
};

export interface AnswerOptions {
  /** Whether the request carried a proof: then the device learns why its answer is inactive. */
  readonly withProof: boolean;
}

/** The members of the JSON answer. */
export function introspectionJson(answer: RelayAnswer, options: AnswerOptions): JsonObject {
  if (!answer.active) {
    if (!options.withProof) return { active: false };
    const { code, freshness } = answer;
    return {
      active: false,
      latchkey: { ...(freshness === undefined ? {} : { freshness: freshnessJson(freshness) }), code },
    };
  }
  const { freshness, members, proof, sessionKey } = answer;
  const { active, cnf, latchkey, ...others } = members;
  const confirmation = publicConfirmation(cnf);
  return {
    active: true,
    ...others,
    ...(confirmation === undefined ? {} : { cnf: confirmation }),
    latchkey: {
      freshness: freshnessJson(freshness),
      proof: PROOF_NAMES[proof],
      ...(sessionKey === undefined ? {} : { session_key: sessionKeyJson(sessionKey) }),
    },
  };
}

/** The CBOR answer. Members that have no number in the registry, or another type there, are not in it. */
export function introspectionCbor(answer: RelayAnswer, options: AnswerOptions): Uint8Array {
  const map = new Map<CborKey, CborValue>([[INTROSPECTION.active, answer.active]]);
  if (answer.active) {
    for (const [name, value] of Object.entries(answer.members)) putMember(map, name, value);
    map.set(INTROSPECTION_PRIVATE.latchkey, activeDetails(answer.proof, answer.freshness, answer.sessionKey));
  } else if (options.withProof) {
    const details = new Map<CborKey, CborValue>([[LATCHKEY_ANSWER.code, answer.code]]);
    if (answer.freshness !== undefined) details.set(LATCHKEY_ANSWER.freshness, freshnessMap(answer.freshness));
    map.set(INTROSPECTION_PRIVATE.latchkey, details);
  }
  return encodeCbor(map);
}

function freshnessJson({ source, age, stale, clock }: RelayFreshness): JsonObject {
  return { source, age, stale, clock };
}

function sessionKeyJson({ expiresAt, forClient, forDevice, keyId }: SessionKeyCopies): JsonObject {
  return {
    device: base64url(forDevice),
    ...(forClient === undefined ? {} : { client: typeof forClient === 'string' ? forClient : base64url(forClient) }),
    kid: keyId,
    exp: expiresAt,
  };
}

/** A secret in `cnf` (RFC 9200 §5.9.2 has one) never leaves the hub unsealed, whoever put it there. */
function publicConfirmation(cnf: JsonValue | undefined): JsonValue | undefined {
  if (!isJsonObject(cnf) || !isJsonObject(cnf.jwk)) return cnf;
  const { jwk, ...others } = cnf;
  if (jwk.k !== undefined || jwk.d !== undefined) return Object.keys(others).length === 0 ? undefined : others;
  return cnf;
}

function activeDetails(
  proof: PresentedProof['kind'] | 'none',
  freshness: RelayFreshness,
  sessionKey: SessionKeyCopies | undefined,
): CborMap {
  const details = new Map<CborKey, CborValue>([
    [LATCHKEY_ANSWER.freshness, freshnessMap(freshness)],
    [LATCHKEY_ANSWER.proof, LATCHKEY_WORDS.proof[PROOF_NAMES[proof]]],
  ]);
  if (sessionKey === undefined) return details;
  const copies = new Map<CborKey, CborValue>([
    [LATCHKEY_SESSION_KEY.device, sessionKey.forDevice],
    [LATCHKEY_SESSION_KEY.kid, sessionKey.keyId],
    [LATCHKEY_SESSION_KEY.exp, sessionKey.expiresAt],
  ]);
  if (sessionKey.forClient !== undefined) copies.set(LATCHKEY_SESSION_KEY.client, sessionKey.forClient);
  return details.set(LATCHKEY_ANSWER.session_key, copies);
}

function freshnessMap({ age, clock, source, stale }: RelayFreshness): CborMap {
  return new Map<CborKey, CborValue>([
    [LATCHKEY_FRESHNESS.source, LATCHKEY_WORDS.source[source]],
    [LATCHKEY_FRESHNESS.age, age],
    [LATCHKEY_FRESHNESS.stale, stale],
    [LATCHKEY_FRESHNESS.clock, LATCHKEY_WORDS.clock[clock]],
  ]);
}

function putMember(map: Map<CborKey, CborValue>, name: string, value: JsonValue): void {
  const form = Object.hasOwn(MEMBERS, name) ? MEMBERS[name] : undefined;
  const encoded = form?.encode(value);
  if (form !== undefined && encoded !== undefined) map.set(form.label, encoded);
}

function text(value: JsonValue): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** One audience is a text (RFC 8392 §3.1.3), several are a list. */
function audience(value: JsonValue): CborValue | undefined {
  if (!Array.isArray(value)) return text(value);
  const all: readonly JsonValue[] = value;
  const texts = all.filter((item) => typeof item === 'string');
  return texts.length === 1 ? texts[0] : texts.length === all.length && all.length > 0 ? texts : undefined;
}

/** Devices have no floats: an end is rounded down and a beginning up, so nothing lives longer than it should. */
function wholeBefore(value: JsonValue): number | undefined {
  return typeof value === 'number' ? countable(Math.floor(value)) : undefined;
}

function wholeAfter(value: JsonValue): number | undefined {
  return typeof value === 'number' ? countable(Math.ceil(value)) : undefined;
}

function countable(value: number): number | undefined {
  return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

/** RFC 8392 §3.1.7: a `cti` is a `jti` in bytes. */
function textBytes(value: JsonValue): Uint8Array | undefined {
  return typeof value === 'string' ? utf8(value) : undefined;
}

function bytes(value: JsonValue): Uint8Array | undefined {
  if (typeof value !== 'string') return undefined;
  try {
    return new Uint8Array(fromBase64url(value));
  } catch (error) {
    if (isCoded(error, 'base64url_invalid')) return undefined;
    throw error;
  }
}

/** ACE knows tokens for whoever bears them and tokens with a key (RFC 9200 §8.7); a DPoP token is of the latter. */
function tokenType(value: JsonValue): number | undefined {
  const name = typeof value === 'string' ? value.toLowerCase() : undefined;
  if (name === 'bearer') return TOKEN_TYPE.bearer;
  return name === 'pop' || name === 'dpop' ? TOKEN_TYPE.pop : undefined;
}

function confirmationMap(value: JsonValue): CborMap | undefined {
  const confirmation = publicConfirmation(value);
  if (!isJsonObject(confirmation)) return undefined;
  const map = new Map<CborKey, CborValue>();
  const { jkt, jwk, kid, 'x5t#S256': certificate } = confirmation;
  if (isJsonObject(jwk)) {
    const key = publicKeyMap(jwk);
    if (key !== undefined) map.set(CONFIRMATION.coseKey, key);
  }
  if (typeof kid === 'string') map.set(CONFIRMATION.kid, utf8(kid));
  for (const [label, hash] of [
    [CONFIRMATION_PRIVATE.jkt, bytes(jkt ?? null)],
    [CONFIRMATION_PRIVATE['x5t#S256'], bytes(certificate ?? null)],
  ] as const) {
    if (hash !== undefined) map.set(label, hash);
  }
  return map.size === 0 ? undefined : map;
}

/** A key of a kind that devices have no algorithm for, such as RSA, is left out: the hub has judged the proof. */
function publicKeyMap(jwk: JsonObject): CborMap | undefined {
  try {
    return coseKeyFromJwk(jwk);
  } catch (error) {
    if (isCoded(error, 'jwk_invalid') || isCoded(error, 'cose_key_invalid')) return undefined;
    throw error;
  }
}

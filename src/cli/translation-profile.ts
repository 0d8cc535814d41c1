/** The profile of `token translate`: a device profile, and beside it the keys, used as they stand. */
import { type CoseKey, importJwk } from '../codec/cose/key.ts';
import type { CwtKeys } from '../codec/cwt.ts';
import { importJweKey, type JweKey } from '../codec/jwe-key.ts';
import { parseStrictJsonObject } from '../codec/strict-json.ts';
import { nearest } from '../config/nearest.ts';
import type { DeviceProfile, WrapAlgorithm } from '../core/device-profile.ts';
import { coded, LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { profileFromJson } from '../devices/profile.ts';

/** Members that describe the device, as `latchkey devices add` takes them. */
const DEVICE_MEMBERS = [
  'wrap',
  'claims',
  'scopes',
  'scopeForm',
  'permissions',
  'maxTokenBytes',
  'cwtTag',
  'ctiBytes',
  'bearer',
  'bind',
  'receipt',
  'clock',
] as const;

/** Members that hold keys, or say how they are used; `algorithm` and `encryptionAlgorithm` name them by their key. */
const KEY_MEMBERS = [
  'key',
  'authentication',
  'algorithm',
  'encryptionKey',
  'encryption',
  'encryptionAlgorithm',
  'hubKey',
  'proofKey',
] as const;

export const MEMBERS: readonly string[] = [...DEVICE_MEMBERS, ...KEY_MEMBERS, 'device', 'tokenTypes'];

/** What an oct key is for, where neither its `alg` nor the profile says it. */
const DEFAULT_MAC: WrapAlgorithm = 'HMAC 256/64';
const DEFAULT_CIPHER: WrapAlgorithm = 'AES-CCM-16-64-128';

export interface TranslationProfile {
  readonly device: DeviceProfile;
  /** The id of the device: in the `cti` of tokens with `exi`. */
  readonly deviceId: string;
  readonly keys: CwtKeys;
  /** Decrypt `cnf.jwe`, and a token that is encrypted as a whole. */
  readonly hubKeys: readonly JweKey[];
  /** The presenter's public key, for `cnf.jkt`: there is no proof on a command line. */
  readonly proofKey: JsonObject | undefined;
  /** Values of the JWT's `typ` that are taken, or undefined for the default. */
  readonly tokenTypes: readonly string[] | undefined;
}

/** @throws {LatchkeyError} `profile_invalid` naming the member; never any part of a key */
export function readTranslationProfile(text: Uint8Array): TranslationProfile {
  const json = parseStrictJsonObject(text, { code: 'profile_invalid' });
  for (const name of Object.keys(json)) if (!MEMBERS.includes(name)) throw unknown(name);
  const wrap = json.wrap ?? 'mac0';
  if (typeof wrap !== 'string') throw invalid('wrap', 'not text');
  const keys = readKeys(json, wrap);
  const device = readDevice(json, keys);
  if (device.clock === 'none' && json.device === undefined)
    throw invalid('device', 'missing, and the device has no clock');
  return {
    device,
    deviceId: json.device === undefined ? '' : nameOf(json),
    keys,
    hubKeys: json.hubKey === undefined ? [] : [named('hubKey', () => importJweKey(object(json, 'hubKey')))],
    proofKey: json.proofKey === undefined ? undefined : object(json, 'proofKey'),
    tokenTypes: json.tokenTypes === undefined ? undefined : texts(json, 'tokenTypes'),
  };
}

function readDevice(json: JsonObject, keys: CwtKeys): DeviceProfile {
  const members = DEVICE_MEMBERS.flatMap((name) => (json[name] === undefined ? [] : [[name, json[name]] as const]));
  try {
    return profileFromJson({
      ...(Object.fromEntries(members) as JsonObject),
      ...(keys.authentication === undefined ? {} : { authentication: keys.authentication.algorithm }),
      ...(keys.encryption === undefined ? given(json, 'encryption') : { encryption: keys.encryption.algorithm }),
    });
  } catch (error) {
    throw new LatchkeyError('profile_invalid', coded(error).detail, { cause: error });
  }
}

function given(json: JsonObject, member: string): JsonObject {
  const value = json[member];
  return value === undefined ? {} : { [member]: value };
}

/** `key` is the key of the wrap; of two layers the inner one, and `encryptionKey` is the outer one's. */
function readKeys(json: JsonObject, wrap: string): CwtKeys {
  if (wrap === 'encrypt0') {
    if (json.authentication !== undefined) throw invalid('authentication', 'encrypt0 has no signature and no MAC');
    return { encryption: readKey(json, 'key', either(json, 'encryption', 'algorithm'), DEFAULT_CIPHER) };
  }
  const cipher = either(json, 'encryption', 'encryptionAlgorithm');
  const encryption =
    json.encryptionKey === undefined ? {} : { encryption: readKey(json, 'encryptionKey', cipher, DEFAULT_CIPHER) };
  if (wrap.endsWith('+encrypt0') && json.encryptionKey === undefined) throw invalid('encryptionKey', 'missing');
  const authentication = readKey(json, 'key', either(json, 'authentication', 'algorithm'), DEFAULT_MAC);
  if (authentication.key.type === 'public') throw invalid('key', 'a public key signs nothing');
  return { authentication, ...encryption };
}

/** One algorithm by either of its names. */
function either(json: JsonObject, name: string, alias: string): JsonValue | undefined {
  if (json[name] !== undefined && json[alias] !== undefined && json[name] !== json[alias])
    throw invalid(alias, `differs from ${name}`);
  return json[name] ?? json[alias];
}

function readKey(json: JsonObject, member: string, asked: JsonValue | undefined, fallback: WrapAlgorithm): CoseKey {
  const jwk = object(json, member);
  const algorithm = asked ?? jwk.alg ?? (jwk.kty === 'oct' ? fallback : undefined);
  return named(member, () => importJwk(algorithm === undefined ? jwk : { ...jwk, alg: algorithm }));
}

function named<T>(member: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new LatchkeyError('profile_invalid', `${member}: ${coded(error).detail ?? coded(error).code}`);
  }
}

function object(json: JsonObject, member: string): JsonObject {
  const value = json[member];
  if (value === undefined) throw invalid(member, 'missing');
  if (!isJsonObject(value)) throw invalid(member, 'not a JWK');
  return value;
}

function nameOf({ device }: JsonObject): string {
  if (typeof device !== 'string' || device === '') throw invalid('device', 'not text');
  return device;
}

function texts(json: JsonObject, member: string): readonly string[] {
  const value = json[member];
  const list: readonly JsonValue[] = Array.isArray(value) ? value : [];
  if (list.length === 0 || !list.every((entry) => typeof entry === 'string'))
    throw invalid(member, 'not a list of texts');
  return list as readonly string[];
}

function unknown(name: string): LatchkeyError {
  const meant = nearest(name, MEMBERS);
  return invalid(name, `no such member${meant === undefined ? '' : `; did you mean ${meant}?`}`);
}

function invalid(member: string, what: string): LatchkeyError {
  return new LatchkeyError('profile_invalid', `${member}: ${what}`);
}

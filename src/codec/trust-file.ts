/**
 * The trust file: everything that a device is provisioned with, as JSON. It is a JWK Set (RFC 7517 §5) with more members,
 * so that whatever reads JWK Sets finds the keys that tokens are checked with. It holds secret keys.
 */
import { type DeviceProfile, SCOPE_FORMS, type ScopeForm, WRAPS, type Wrap } from '../core/device-profile.ts';
import { coded, isCoded, LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { kindOf } from './cose/algorithm.ts';
import { type CoseKey, importJwk } from './cose/key.ts';
import type { NamedKeys } from './device-trust-members.ts';
import { COAP_METHOD } from './iana.ts';

const FORMAT = 'latchkey-trust-1';
const RECEIPTS = ['mac0', 'none'] as const;
const MEMBERS: ReadonlySet<string> = new Set([
  'format',
  'version',
  'device',
  'audience',
  'wrap',
  'cwtTag',
  'scopeForm',
  'maxTokenBytes',
  'issuer',
  'keys',
  'confirmationKeys',
  'answerKey',
  'timeKey',
  'bundleKey',
  'issuers',
  'receipt',
  'permissions',
]);

interface TrustSettings {
  /** Only ever rises; a bundle with a lower one is old. */
  readonly version: number;
  readonly device: string;
  readonly audience: string;
  /** The only wrap that the device takes tokens in. */
  readonly wrap: Wrap;
  readonly cwtTag: boolean;
  readonly scopeForm: ScopeForm;
  readonly maxTokenBytes: number;
  /** Where tokens carry `iss`: the only one that is good. */
  readonly issuer?: string | undefined;
  readonly receipt: DeviceProfile['receipt'];
}

export interface TrustFile extends TrustSettings {
  /** What the layers of a token are checked with. */
  readonly keys: readonly CoseKey[];
  /** What `cnf.kid` may name. */
  readonly confirmationKeys: readonly CoseKey[];
  /** What the device authenticates its answers and receipts with. */
  readonly answerKey: CoseKey;
  /** What the hub's word for the time is under; undefined where the device is not to ask. */
  readonly timeKey: CoseKey | undefined;
  /** What trust bundles are under, for a device that does not check signatures; undefined where it is to take none. */
  readonly bundleKey: CoseKey | undefined;
  /**
   * Authorization servers with those of their public JWKs that travel; where tokens carry `iss`, the only ones that are good.
   * An empty list has none, and so has a file without one.
   */
  readonly issuers: readonly NamedKeys[];
  /** What each scope permits: paths, and for each the names of CoAP methods. */
  readonly permissions: Readonly<Record<string, readonly (readonly [path: string, methods: readonly string[]])[]>>;
}

export interface TrustFileContents extends TrustSettings {
  /** Public keys, and secrets that the device shares. Each is written with its `alg`. */
  readonly keys: readonly JsonObject[];
  readonly confirmationKeys: readonly JsonObject[];
  readonly answerKey: JsonObject;
  readonly timeKey?: JsonObject | undefined;
  readonly bundleKey?: JsonObject | undefined;
  readonly issuers?: readonly NamedKeys[] | undefined;
  /** As the device profile has them: bit (code − 1) for each CoAP method. The file names the methods. */
  readonly permissions: DeviceProfile['permissions'];
}

/**
 * The text of a trust file. It holds the device's secret keys: for mode 0600 and the way to the device only.
 * @throws {LatchkeyError} `trust_file_invalid` where `readTrustFile` would refuse it
 */
export function writeTrustFile(contents: TrustFileContents): string {
  const { bundleKey, issuer, issuers = [], timeKey } = contents;
  const file: JsonObject = {
    format: FORMAT,
    version: contents.version,
    device: contents.device,
    audience: contents.audience,
    wrap: contents.wrap,
    cwtTag: contents.cwtTag,
    scopeForm: contents.scopeForm,
    maxTokenBytes: contents.maxTokenBytes,
    ...(issuer === undefined ? {} : { issuer }),
    keys: contents.keys.map(withAlgorithm),
    confirmationKeys: contents.confirmationKeys.map(withAlgorithm),
    answerKey: withAlgorithm(contents.answerKey),
    ...(timeKey === undefined ? {} : { timeKey: withAlgorithm(timeKey) }),
    ...(bundleKey === undefined ? {} : { bundleKey: withAlgorithm(bundleKey) }),
    receipt: contents.receipt,
    issuers: issuers.map((named) => ({ issuer: named.issuer, keys: named.keys.map(withAlgorithm) })),
    permissions: Object.fromEntries(
      Object.entries(contents.permissions).map(([scope, rows]) => [
        scope,
        rows.map(([path, methods]) => [path, methodNames(methods)]),
      ]),
    ),
  };
  const text = `${JSON.stringify(file, undefined, 2)}\n`;
  readTrustFile(text);
  return text;
}

/**
 * A trust file's settings with its keys imported.
 * @throws {LatchkeyError} `trust_file_invalid`, naming the member and never its value
 */
export function readTrustFile(text: string): TrustFile {
  const file = parse(text);
  const unknown = Object.keys(file).find((name) => !MEMBERS.has(name));
  if (unknown !== undefined) throw invalid('unknown member', unknown);
  if (file.format !== FORMAT) throw invalid(`not ${FORMAT}`, 'format');
  const issuer = file.issuer === undefined ? undefined : textMember(file, 'issuer');
  const wrap = oneOf(file, 'wrap', WRAPS);
  const keys = keyList(file, 'keys');
  for (const kind of wrap.split('+')) {
    if (!keys.some(({ algorithm }) => kindOf(algorithm) === kind)) throw invalid(`none for ${kind}`, 'keys');
  }
  return {
    version: wholeMember(file, 'version', 0),
    device: textMember(file, 'device'),
    audience: textMember(file, 'audience'),
    wrap,
    cwtTag: booleanMember(file, 'cwtTag'),
    scopeForm: oneOf(file, 'scopeForm', SCOPE_FORMS),
    maxTokenBytes: wholeMember(file, 'maxTokenBytes', 1),
    ...(issuer === undefined ? {} : { issuer }),
    keys,
    confirmationKeys: keyList(file, 'confirmationKeys'),
    answerKey: macKey(file.answerKey, 'answerKey'),
    timeKey: file.timeKey === undefined ? undefined : macKey(file.timeKey, 'timeKey'),
    bundleKey: file.bundleKey === undefined ? undefined : macKey(file.bundleKey, 'bundleKey'),
    receipt: oneOf(file, 'receipt', RECEIPTS),
    issuers: issuersOf(file.issuers),
    permissions: permissions(file.permissions),
  };
}

function parse(text: string): JsonObject {
  let value: JsonValue;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's message quotes the text around the fault, which may be a key.
    throw new LatchkeyError('trust_file_invalid', 'not JSON');
  }
  if (!isJsonObject(value)) throw new LatchkeyError('trust_file_invalid', 'not a JSON object');
  return value;
}

function keyList(file: JsonObject, name: string): readonly CoseKey[] {
  const value = file[name];
  if (!Array.isArray(value)) throw invalid('not an array', name);
  return value.map((jwk: JsonValue, index) => key(jwk, `${name}[${index}]`));
}

function key(value: JsonValue | undefined, name: string): CoseKey {
  if (!isJsonObject(value)) throw invalid('not a JWK', name);
  if (value.d !== undefined) throw invalid('a private key, which no device needs from outside', name);
  try {
    return importJwk(value);
  } catch (error) {
    throw isCoded(error) ? invalid(error.detail ?? error.code, name) : coded(error);
  }
}

function issuersOf(value: JsonValue | undefined): readonly NamedKeys[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw invalid('not an array', 'issuers');
  return value.map((row: JsonValue, index) => {
    const name = `issuers[${index}]`;
    if (!isJsonObject(row) || typeof row.issuer !== 'string' || !Array.isArray(row.keys))
      throw invalid('no issuer with its keys', name);
    const keys: readonly JsonValue[] = row.keys;
    for (const jwk of keys) {
      if (kindOf(key(jwk, name).algorithm) !== 'sign1') throw invalid('a key that signs nothing', name);
    }
    return { issuer: row.issuer, keys: keys.filter(isJsonObject) };
  });
}

function macKey(value: JsonValue | undefined, name: string): CoseKey {
  const read = key(value, name);
  if (kindOf(read.algorithm) !== 'mac0') throw invalid('no HMAC key', name);
  return read;
}

function permissions(value: JsonValue | undefined): TrustFile['permissions'] {
  if (!isJsonObject(value)) throw invalid('not an object', 'permissions');
  return Object.fromEntries(
    Object.entries(value).map(([scope, rows]) => {
      if (!Array.isArray(rows)) throw invalid('not an array', `permissions.${scope}`);
      return [scope, rows.map((row: JsonValue) => permission(row, `permissions.${scope}`))];
    }),
  );
}

function permission(row: JsonValue, name: string): readonly [string, readonly string[]] {
  const [path, methods, ...rest]: readonly JsonValue[] = Array.isArray(row) ? row : [];
  if (typeof path !== 'string' || !Array.isArray(methods) || methods.length === 0 || rest.length > 0) {
    throw invalid('not a path with its methods', name);
  }
  return [
    path,
    methods.map((method: JsonValue) => {
      if (typeof method !== 'string' || !Object.hasOwn(COAP_METHOD, method)) throw invalid('not a CoAP method', name);
      return method;
    }),
  ];
}

/** Not every reader of JWK infers the algorithm from the curve. */
function withAlgorithm(jwk: JsonObject): JsonObject {
  return { ...jwk, alg: importJwk(jwk).algorithm };
}

function methodNames(methods: number): readonly string[] {
  return Object.entries(COAP_METHOD)
    .filter(([, code]) => (methods & (1 << (code - 1))) !== 0)
    .map(([name]) => name);
}

function textMember(file: JsonObject, name: string): string {
  const value = file[name];
  if (typeof value !== 'string' || value === '') throw invalid('missing or no text', name);
  return value;
}

function wholeMember(file: JsonObject, name: string, least: number): number {
  const value = file[name];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least)
    throw invalid('no whole number', name);
  return value;
}

function booleanMember(file: JsonObject, name: string): boolean {
  const value = file[name];
  if (typeof value !== 'boolean') throw invalid('neither true nor false', name);
  return value;
}

function oneOf<T extends string>(file: JsonObject, name: string, choices: readonly T[]): T {
  const choice = choices.find((known) => known === file[name]);
  if (choice === undefined) throw invalid(`none of ${choices.join(', ')}`, name);
  return choice;
}

function invalid(reason: string, member: string): LatchkeyError {
  return new LatchkeyError('trust_file_invalid', `${member}: ${reason}`);
}

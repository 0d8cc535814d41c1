/** Device profiles as JSON: what `latchkey devices add` takes and the registry keeps. */
import {
  CIPHERS,
  CTI_BYTES,
  DEVICE_BIND_MODES,
  type DeviceProfile,
  MACS,
  MAX_TOKEN_BYTES,
  SCOPE_FORMS,
  type ScopeForm,
  SIGNATURES,
  WRAPS,
  type Wrap,
  type WrapAlgorithm,
} from '../core/device-profile.ts';
import { LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../core/json.ts';

/** CoAP bodies on a small device: one kibibyte is what Block1 on RIOT and Zephyr takes by default. */
const DEFAULT_MAX_TOKEN_BYTES = 1024;
const MAX_SCOPES = 64;

const MEMBERS = [
  'wrap',
  'authentication',
  'encryption',
  'claims',
  'scopes',
  'scopeForm',
  'permissions',
  'maxTokenBytes',
  'cwtTag',
  'ctiBytes',
  'bearer',
  'checksProofs',
  'bind',
  'receipt',
  'clock',
] as const;

function invalid(member: string, what: string): LatchkeyError {
  return new LatchkeyError('device_invalid', `profile.${member}: ${what}`);
}

/**
 * A whole profile from the members that were given.
 * @param options.takesTokens whether tokens are delivered to the device; false for one that only asks about tokens
 * @throws {LatchkeyError} `device_invalid` naming the member
 */
export function profileFromJson(
  value: JsonValue | undefined,
  { takesTokens }: { readonly takesTokens: boolean } = { takesTokens: true },
): DeviceProfile {
  if (!isJsonObject(value)) throw new LatchkeyError('device_invalid', 'profile: not an object');
  for (const name of Object.keys(value)) {
    if (!MEMBERS.some((member) => member === name))
      throw invalid(name, `no such member; there are ${MEMBERS.join(', ')}`);
  }
  const wrap = oneOf<Wrap>('wrap', value.wrap ?? 'mac0', WRAPS);
  const signed = wrap.startsWith('sign1');
  const authentication = oneOf<WrapAlgorithm>(
    'authentication',
    value.authentication ?? (signed ? 'ES256' : 'HMAC 256/64'),
    [...SIGNATURES, ...MACS],
  );
  const encryption = oneOf<WrapAlgorithm>('encryption', value.encryption ?? 'AES-CCM-16-64-128', CIPHERS);
  if (wrap === 'encrypt0' && value.authentication !== undefined) {
    throw invalid('authentication', 'encrypt0 has no signature and no MAC; its algorithm is that of the encryption');
  }
  if (wrap !== 'encrypt0' && !(signed ? SIGNATURES : MACS).some((known) => known === authentication)) {
    throw invalid('authentication', `${authentication} does not go with ${wrap}`);
  }
  const permissions = readPermissions(value.permissions ?? {});
  const scopes = readScopes(value.scopes ?? Object.keys(permissions));
  if (scopes.length === 0 && takesTokens) throw invalid('scopes', 'name at least one scope, or no token is ever taken');
  const bearer = flag('bearer', value.bearer ?? false);
  if (bearer && takesTokens) throw invalid('bearer', 'an offline device needs a key in each token; see bind');
  const checksProofs = flag('checksProofs', value.checksProofs ?? false);
  if (checksProofs && takesTokens) throw invalid('checksProofs', 'for connected devices alone');
  const bind = oneOf('bind', value.bind ?? 'issuer', DEVICE_BIND_MODES);
  if (bearer && bind === 'first-presenter') throw invalid('bind', 'not beside bearer');
  return Object.freeze({
    wrap,
    authentication,
    encryption,
    claims: oneOf<'slim' | 'full'>('claims', value.claims ?? 'slim', ['slim', 'full']),
    scopes,
    scopeForm: oneOf<ScopeForm>('scopeForm', value.scopeForm ?? 'text', SCOPE_FORMS),
    permissions,
    maxTokenBytes: integer('maxTokenBytes', value.maxTokenBytes ?? DEFAULT_MAX_TOKEN_BYTES, MAX_TOKEN_BYTES),
    cwtTag: flag('cwtTag', value.cwtTag ?? false),
    ctiBytes: integer('ctiBytes', value.ctiBytes ?? CTI_BYTES.most, CTI_BYTES),
    bearer,
    checksProofs,
    bind,
    receipt: oneOf<'mac0' | 'none'>('receipt', value.receipt ?? 'mac0', ['mac0', 'none']),
    clock: oneOf<'own' | 'none'>('clock', value.clock ?? 'own', ['own', 'none']),
  });
}

/** What `profileFromJson` takes: an algorithm that the wrap has no use for is not in it. */
export function profileToJson({ authentication, permissions, ...profile }: DeviceProfile): JsonObject {
  return {
    ...profile,
    ...(profile.wrap === 'encrypt0' ? {} : { authentication }),
    permissions: permissions as unknown as JsonObject,
  };
}

function readScopes(value: JsonValue): readonly string[] {
  if (!Array.isArray(value) || value.length > MAX_SCOPES)
    throw invalid('scopes', `a list of up to ${MAX_SCOPES} scopes`);
  for (const scope of value) {
    // scope-token of RFC 6749 §3.3
    if (typeof scope !== 'string' || !/^[\x21\x23-\x5b\x5d-\x7e]{1,64}$/.test(scope))
      throw invalid('scopes', 'not a scope token of RFC 6749');
  }
  return Object.freeze([...new Set(value as readonly string[])]);
}

function readPermissions(value: JsonValue): DeviceProfile['permissions'] {
  if (!isJsonObject(value)) throw invalid('permissions', 'not an object of scopes');
  const permitted = Object.entries(value).map(([scope, rows]) => {
    if (!Array.isArray(rows)) throw invalid('permissions', `${scope}: not a list of [path, method set]`);
    const read = (rows as readonly JsonValue[]).map((row) => {
      const [path, methods] = Array.isArray(row) ? (row as readonly JsonValue[]) : [];
      if (
        typeof path !== 'string' ||
        typeof methods !== 'number' ||
        !Number.isInteger(methods) ||
        methods < 1 ||
        methods > 127
      ) {
        throw invalid('permissions', `${scope}: a row is [path, method set of RFC 9237, 1 to 127]`);
      }
      return [path, methods] as const;
    });
    return [scope, read] as const;
  });
  // Defines members rather than setting them: a scope may be called `__proto__`.
  return Object.freeze(Object.fromEntries(permitted));
}

function oneOf<T extends string>(member: string, value: JsonValue, allowed: readonly T[]): T {
  const found = allowed.find((candidate) => candidate === value);
  if (found === undefined) throw invalid(member, `one of ${allowed.join(', ')}`);
  return found;
}

function integer(
  member: string,
  value: JsonValue,
  { least, most }: { readonly least: number; readonly most: number },
): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most)
    throw invalid(member, `an integer from ${least} to ${most}`);
  return value;
}

function flag(member: string, value: JsonValue): boolean {
  if (typeof value !== 'boolean') throw invalid(member, 'true or false');
  return value;
}

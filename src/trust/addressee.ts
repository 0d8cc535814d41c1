/** Which device a token is for, where one audience of its issuer stands for many devices. */
import { claimReaders } from '../codec/claim-values.ts';
import { LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { ownMember } from '../core/member-demand.ts';
import { namedScope, type ScopePattern } from '../core/scope-pattern.ts';
import { shown } from '../core/shown.ts';

export type DeviceNaming =
  | { readonly by: 'scope'; readonly pattern: ScopePattern }
  /** A claim that holds the id of the device. */
  | { readonly by: 'claim'; readonly claim: string }
  /** RFC 9396: objects of one type, whose `actions` are the scope. */
  | { readonly by: 'authorization_details'; readonly type: string };

export interface SharedAudience {
  readonly audience: string;
  readonly naming: DeviceNaming;
}

/** What is registered. */
export interface DeviceNames {
  has(id: string): boolean;
  /** The id of the device that this `aud` value names. */
  withAudience(audience: string): string | undefined;
}

/** The device that a token is presented for. */
export interface AskedDevice {
  readonly id: string;
  /** The `aud` value that names it alone. */
  readonly audience: string;
  readonly names: DeviceNames;
}

/** What of a token may be other for the one device than for its issuer. */
interface Addressed {
  readonly audience: readonly string[];
  readonly scope: readonly string[];
  /** `cnf`; undefined for a bearer token. */
  readonly confirmation: JsonObject | undefined;
}

/** What a token says about devices. */
interface Named {
  /** The scope for each registered device that it names. */
  readonly registered: ReadonlyMap<string, readonly string[]>;
  /** Whether it names, or may mean, something that is not registered. */
  readonly hasOthers: boolean;
}

/**
 * A token with the shared audience as one for the device that it names: with that device's audience in place of the shared one, and
 * with the scope that is for that device. Its other audiences name no device.
 * @param claims all claims of the token, or all members of an introspection answer
 * @throws {LatchkeyError} `device_unnamed`, `device_ambiguous`; `jwt_audience_mismatch` where it names another device;
 * `jwt_claim_invalid`, `claim_not_translatable`
 */
export function addressedTo<T extends Addressed>(
  token: T,
  claims: JsonObject,
  { audience, naming }: SharedAudience,
  device: AskedDevice,
): T {
  const { hasOthers, registered } = namedBy(naming, token, claims, device.names);
  const [first, ...more] = registered;
  const namesOther = () => `${namingOf(naming, token, claims)}, expected one that names "${device.id}"`;
  if (first === undefined) throw new LatchkeyError('device_unnamed', namesOther());
  if (more.length > 0) throw new LatchkeyError('device_ambiguous', `${registered.size} devices: ${namesOther()}`);
  // A copy of a bearer token serves whatever else it names, such as a device of another hub.
  if (hasOthers && token.confirmation === undefined) {
    throw new LatchkeyError('device_ambiguous', `a bearer token that names more: ${namesOther()}`);
  }
  const [id, scope] = first;
  if (id !== device.id) throw new LatchkeyError('jwt_audience_mismatch', namesOther());
  return { ...token, audience: inPlaceOf(audience, device.audience, token.audience), scope };
}

/** The audiences of a token with that of a device in place of the shared one, each once. */
export function inPlaceOf(shared: string, own: string, named: readonly string[]): readonly string[] {
  return [...new Set(named.map((each) => (each === shared ? own : each)))];
}

const SHOWN_SCOPES = 64;

/** Where the token names devices, and what is there. */
function namingOf(naming: DeviceNaming, { scope }: Addressed, claims: JsonObject): string {
  switch (naming.by) {
    case 'scope':
      // A line has no room for the thousand that a token may have.
      return `scope is ${shown(scope.slice(0, SHOWN_SCOPES).join(' '))}`;
    case 'claim':
      return `${naming.claim} is ${shown(ownMember(claims, naming.claim))}`;
    case 'authorization_details':
      return `${DETAILS} is ${shown(claims.authorization_details)}`;
  }
}

function namedBy(naming: DeviceNaming, token: Addressed, claims: JsonObject, names: DeviceNames): Named {
  switch (naming.by) {
    case 'scope':
      return byScope(token.scope, naming.pattern, names);
    case 'claim':
      return byClaim(naming.claim, claims, token.scope, names);
    case 'authorization_details':
      return byDetails(naming.type, claims.authorization_details, names);
  }
}

/** The scopes of a device, of those that a token has. */
export function scopesOf(device: string, scope: readonly string[], pattern: ScopePattern): readonly string[] {
  return scope.flatMap((text) => {
    const named = namedScope(text, pattern);
    return named?.device === device ? [named.scope] : [];
  });
}

/** The scope that `authorization_details` have for a device. */
export function detailsScopeOf({ id, names }: AskedDevice, details: JsonValue, type: string): readonly string[] {
  return byDetails(type, details, names).registered.get(id) ?? [];
}

/** Names that do not fit the pattern, such as `openid`, are for no device. */
function byScope(scope: readonly string[], pattern: ScopePattern, names: DeviceNames): Named {
  // One pass: a token can name a thousand devices.
  const registered = new Map<string, string[]>();
  let hasOthers = false;
  for (const text of scope) {
    const named = namedScope(text, pattern);
    if (named === undefined) continue;
    const scopes = registered.get(named.device);
    if (scopes !== undefined) scopes.push(named.scope);
    else if (names.has(named.device)) registered.set(named.device, [named.scope]);
    else hasOthers = true;
  }
  return { registered, hasOthers };
}

function byClaim(claim: string, claims: JsonObject, scope: readonly string[], names: DeviceNames): Named {
  const value = Object.hasOwn(claims, claim) ? claims[claim] : undefined;
  const ids = textsOf(value, claim);
  const registered = ids.filter((id) => names.has(id));
  return { registered: new Map(registered.map((id) => [id, scope])), hasOthers: registered.length < ids.length };
}

const DETAILS = 'authorization_details';
/** Members that mean something here. Another one may limit what is authorized, and no device could keep to it. */
const MEMBERS: ReadonlySet<string> = new Set(['type', 'identifier', 'locations', 'actions']);

const { scopeOrList } = claimReaders('jwt_claim_invalid');

function byDetails(type: string, details: JsonValue | undefined, names: DeviceNames): Named {
  if (details !== undefined && !Array.isArray(details)) throw invalid();
  const registered = new Map<string, readonly string[]>();
  let hasOthers = false;
  for (const detail of (details ?? []) as readonly JsonValue[]) {
    if (!isJsonObject(detail) || typeof detail.type !== 'string') throw invalid();
    if (detail.type !== type) continue;
    const unknown = Object.keys(detail).find((member) => !MEMBERS.has(member));
    if (unknown !== undefined)
      throw new LatchkeyError('claim_not_translatable', `${DETAILS}: a member beside ${[...MEMBERS].join(', ')}`);
    const { ids, isOther } = devicesOf(detail, names);
    hasOthers ||= isOther;
    const { actions = [] } = detail;
    if (!Array.isArray(actions)) throw invalid();
    const scope = scopeOrList(actions, DETAILS);
    for (const id of ids) registered.set(id, [...new Set([...(registered.get(id) ?? []), ...scope])]);
  }
  return { registered, hasOthers };
}

/**
 * `identifier` is the id of a device, each of `locations` the audience of one. Beside an `identifier` locations may say where the
 * hub is; one that is the audience of another device makes two. An `identifier` that is no id may be a part of a device, and what is
 * authorized for a part is not for the whole.
 */
function devicesOf(
  { identifier, locations = [] }: JsonObject,
  names: DeviceNames,
): { readonly ids: ReadonlySet<string>; readonly isOther: boolean } {
  if (identifier !== undefined && typeof identifier !== 'string') throw invalid();
  if (!Array.isArray(locations)) throw invalid();
  const places = textsOf(locations, DETAILS);
  const there = places.flatMap((place) => names.withAudience(place) ?? []);
  if (identifier === undefined) {
    return { ids: new Set(there), isOther: places.length === 0 || there.length < places.length };
  }
  return names.has(identifier)
    ? { ids: new Set([identifier, ...there]), isOther: false }
    : { ids: new Set(), isOther: true };
}

function textsOf(value: JsonValue | undefined, name: string): readonly string[] {
  const list = value === undefined ? [] : Array.isArray(value) ? (value as readonly JsonValue[]) : [value];
  if (!list.every((each) => typeof each === 'string')) throw new LatchkeyError('jwt_claim_invalid', name);
  return list as readonly string[];
}

function invalid(): LatchkeyError {
  return new LatchkeyError('jwt_claim_invalid', DETAILS);
}

/**
 * What a device should trust now, out of what it holds and what changed since. It always keeps a key that it holds for
 * certain until a newer one is confirmed, so that the next bundle finds its way however much happened meanwhile.
 */
import { type DeviceTrust, deviceTrustContents } from '../codec/device-trust-map.ts';
import type { NamedKeys } from '../codec/device-trust-members.ts';
import { equal } from '../core/bytes.ts';
import type { JsonObject } from '../core/json.ts';
import { LIMITS } from '../core/limits.ts';
import type { Device } from './device.ts';
import { type HubSigningKeys, type SigningKey, trustOf } from './device-trust.ts';
import type { TrustRecord } from './trust-record.ts';

/** Keys of an issuer that a device may take tokens of; undefined while none were ever fetched. */
export interface IssuerForDevices {
  readonly issuer: string;
  readonly keys: readonly JsonObject[] | undefined;
}

export interface WantedInputs {
  readonly device: Device;
  readonly record: TrustRecord;
  readonly hubKeys: HubSigningKeys;
  /** All that are configured. */
  readonly issuers: readonly IssuerForDevices[];
  /** Hub keys that tokens are signed with which still wait for the device. */
  readonly signedWith: ReadonlySet<string>;
}

/**
 * The keys of the hub that this device trusts whichever bundle it took last, the newest first. None where it checks MACs,
 * and where the hub has lost what the device trusts.
 */
export function certainHubKeys(device: Device, record: TrustRecord, hubKeys: HubSigningKeys): readonly SigningKey[] {
  const held = keyIds(record.held);
  const pending = record.pending === undefined ? held : keyIds(record.pending.trust);
  return signingKeysOf(device, hubKeys).filter(({ keyId }) => held.has(keyId) && pending.has(keyId));
}

/**
 * The hub's keys as they serve one device: signed with the newest that it is certain to trust. Where there is none the
 * current one stands in, and the device refuses what it signs.
 */
export function hubKeysFor(device: Device, record: TrustRecord, hubKeys: HubSigningKeys): HubSigningKeys {
  const [certain] = certainHubKeys(device, record, hubKeys);
  return certain === undefined
    ? hubKeys
    : { signingKey: () => certain, signingKeys: (algorithm) => hubKeys.signingKeys(algorithm) };
}

/** The kids of the hub keys in what a device trusts. */
export function keyIds({ hubKeys }: DeviceTrust): ReadonlySet<string> {
  return new Set(hubKeys.map(({ kid }) => String(kid)));
}

/** What the device should hold. Version and time are those of what it holds: they are not compared. */
export function wantedTrust({ device, hubKeys, issuers, record, signedWith }: WantedInputs): DeviceTrust {
  const { held } = record;
  const wanted = trustOf(device, hubKeys, { issuers: issuersFor(device, issuers, held.issuers), time: held.time });
  const kept = keptHubKeys(device, record, hubKeys, signedWith);
  return { ...wanted, version: held.version, hubKeys: kept.map(({ publicJwk }) => publicJwk) };
}

/** What was encoded to be compared, for as long as it is in use: thousands of devices are compared whenever a key changes. */
const encoded = new WeakMap<DeviceTrust, Uint8Array>();

/** Whether both say the same, but for version and time. Neither is checked. */
export function sameContents(a: DeviceTrust, b: DeviceTrust): boolean {
  return a === b || equal(plainBytes(a), plainBytes(b));
}

function plainBytes(trust: DeviceTrust): Uint8Array {
  const known = encoded.get(trust) ?? deviceTrustContents(trust);
  encoded.set(trust, known);
  return known;
}

/**
 * Whether tokens have to wait for the change. They wait for what the device needs for a token: the keys of the hub, its
 * settings and, where tokens carry `iss`, the names of its issuers. No device checks a token by the key of an issuer, so those
 * come behind. With a bundle on its way the device holds one of two, and both count.
 */
export function isUrgent({ profile }: Device, { held, pending }: TrustRecord, wanted: DeviceTrust): boolean {
  const needed = (trust: DeviceTrust): DeviceTrust => ({
    ...trust,
    issuers: profile.claims === 'full' ? trust.issuers.map(({ issuer }) => ({ issuer, keys: [] })) : [],
  });
  const goal = needed(wanted);
  const possible = pending === undefined ? [held] : [held, pending.trust];
  return possible.some((trust) => !sameContents(needed(trust), goal));
}

/** Whether the device knows so high a version that no further bundle can be above it. */
export function leavesNoVersion({ highest, pending }: TrustRecord, wanted: DeviceTrust): boolean {
  if (highest < LIMITS.deviceTrustVersion) return false;
  return pending?.trust.version !== highest || !sameContents(pending.trust, wanted);
}

/** The current key; one that the device is certain to hold, where that is another; and those of tokens that wait for it. */
function keptHubKeys(
  device: Device,
  record: TrustRecord,
  hubKeys: HubSigningKeys,
  signedWith: ReadonlySet<string>,
): readonly SigningKey[] {
  const all = signingKeysOf(device, hubKeys);
  const certain = certainHubKeys(device, record, hubKeys);
  const [current] = all;
  const [newest] = certain;
  return all
    .filter((key) => key === current || key === newest || (signedWith.has(key.keyId) && certain.includes(key)))
    .slice(0, LIMITS.trustedHubKeys);
}

function signingKeysOf({ profile }: Device, hubKeys: HubSigningKeys): readonly SigningKey[] {
  return profile.wrap.startsWith('sign1') ? hubKeys.signingKeys(profile.authentication) : [];
}

/**
 * The issuers whose tokens the device takes, each with those of its keys that travel. An issuer whose keys do not travel (RSA)
 * is there by its name alone, since the name is what `iss` is compared with. One that was never reached keeps what the device
 * holds of it: not to know a key is no reason to take it away.
 */
export function issuersFor(
  device: Device,
  issuers: readonly IssuerForDevices[],
  held: DeviceTrust['issuers'],
): readonly NamedKeys[] {
  return chosen(device, issuers, held)
    .slice(0, LIMITS.trustedIssuers)
    .map(({ issuer, keys }) => ({ issuer, keys: keys ?? held.find((other) => other.issuer === issuer)?.keys ?? [] }))
    .sort(byName);
}

/** Names of those for which a device has no room: it refuses their tokens. */
export function issuersLeftOut(
  device: Device,
  issuers: readonly IssuerForDevices[],
  held: DeviceTrust['issuers'],
): readonly string[] {
  if (issuers.length <= LIMITS.trustedIssuers) return [];
  return chosen(device, issuers, held)
    .slice(LIMITS.trustedIssuers)
    .map(({ issuer }) => issuer);
}

/** Those that the device has come first: another one in the configuration takes none of them away. */
function chosen(
  device: Device,
  issuers: readonly IssuerForDevices[],
  held: DeviceTrust['issuers'],
): readonly IssuerForDevices[] {
  const known = new Set(held.map(({ issuer }) => issuer));
  const wanted = issuers
    .filter(({ issuer }) => device.issuers === undefined || device.issuers.includes(issuer))
    .sort(byName);
  return [...wanted.filter(({ issuer }) => known.has(issuer)), ...wanted.filter(({ issuer }) => !known.has(issuer))];
}

function byName(a: { readonly issuer: string }, b: { readonly issuer: string }): number {
  return a.issuer < b.issuer ? -1 : 1;
}

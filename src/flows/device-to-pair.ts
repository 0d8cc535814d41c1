/** The device that a request to pair makes, held against configuration and registry before any device is asked. */
import { LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { checkName, type Device } from '../devices/device.ts';
import type { Registry } from '../devices/registry.ts';
import type { PairCandidate, PairDraft } from '../ports/pairing.ts';
import { type NewDeviceSurroundings, newDeviceOf } from './new-device.ts';

type Surroundings = NewDeviceSurroundings & { readonly registry: Registry };

export interface DeviceToPair {
  readonly device: Device;
  /** The record that an earlier attempt at this device left, unfinished. */
  readonly earlier: Device | undefined;
}

/** @throws {LatchkeyError} `device_invalid`, `device_exists`, `audience_taken` */
export function deviceToPair(
  draft: PairDraft,
  { name, place }: Pick<PairCandidate, 'name' | 'place'>,
  surroundings: Surroundings,
): DeviceToPair {
  const id = draft.id ?? (place.ble === undefined ? undefined : name);
  if (id === undefined) throw new LatchkeyError('device_invalid', 'id: the code does not say it');
  const device = deviceOf(draft, id, place, surroundings);
  return { device, earlier: checkRegistered(device, surroundings) };
}

/**
 * As much of that as can be said before anybody has shown up.
 * @throws {LatchkeyError} as `deviceToPair`
 */
export function checkDraft(draft: PairDraft, surroundings: Surroundings): void {
  const [line] = surroundings.lines;
  const place = line === undefined ? { ble: { name: UNKNOWN } } : { line };
  const { profile, profileName } = draft;
  const isSaid = permitsSomething(profile) || profileName !== undefined;
  // What is asked for in the window may be a profile, which may say whose tokens are taken.
  const asked = isSaid
    ? draft
    : {
        ...draft,
        profile: { ...profile, scopes: [UNKNOWN] },
        ...(surroundings.profiles.length === 0 ? {} : { issuers: draft.issuers ?? ('any' as const) }),
      };
  const device = deviceOf(asked, draft.id ?? UNKNOWN, place, surroundings);
  // By what name it will be heard is not known yet.
  if (draft.id !== undefined) checkRegistered({ ...device, ble: undefined }, surroundings);
}

/** Whether it says itself what tokens may permit. */
export function permitsSomething(profile: JsonObject): boolean {
  return 'scopes' in profile || 'permissions' in profile;
}

/** Stands for what a device says once it is there; never registered. */
const UNKNOWN = 'unknown';

function deviceOf(draft: PairDraft, id: string, place: PairCandidate['place'], surroundings: Surroundings): Device {
  const { name, ...asked } = draft;
  if (name !== undefined) checkName(name);
  const device = { ...newDeviceOf({ ...asked, ...place, id }, surroundings), paired: true };
  return name === undefined ? device : { ...device, name };
}

/** @returns the record that it will replace */
function checkRegistered(device: Device, { registry }: Surroundings): Device | undefined {
  const known = registry.find(device.id);
  const earlier = known?.pairing === undefined ? undefined : known;
  registry.check(device, earlier);
  return earlier;
}

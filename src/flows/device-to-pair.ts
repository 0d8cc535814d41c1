/** The device that a request to pair makes, held against configuration and registry before any device is asked. */
import { LatchkeyError } from '../core/errors.ts';
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
  const { profile } = draft;
  const asked = 'scopes' in profile || 'permissions' in profile ? profile : { ...profile, scopes: [UNKNOWN] };
  const device = deviceOf({ ...draft, profile: asked }, draft.id ?? UNKNOWN, place, surroundings);
  // By what name it will be heard is not known yet.
  if (draft.id !== undefined) checkRegistered({ ...device, ble: undefined }, surroundings);
}

/** Stands for what a device says once it is there; never registered. */
const UNKNOWN = 'unknown';

function deviceOf(draft: PairDraft, id: string, place: PairCandidate['place'], surroundings: Surroundings): Device {
  const { audience = `coap://${id}`, name, ...asked } = draft;
  if (name !== undefined) checkName(name);
  const device = newDeviceOf({ ...asked, ...place, id, audience }, surroundings);
  return name === undefined ? device : { ...device, name };
}

/** @returns the record that it will replace */
function checkRegistered(device: Device, { registry }: Surroundings): Device | undefined {
  const known = registry.find(device.id);
  const earlier = known?.pairing === undefined ? undefined : known;
  registry.check(device, earlier);
  return earlier;
}

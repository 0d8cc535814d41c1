/** Profiles of the configuration: what devices of one kind take, by name. */
import type { DeviceProfile } from '../core/device-profile.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { profileToJson } from './profile.ts';

export interface NamedProfile {
  readonly name: string;
  /** The members that the configuration sets. */
  readonly members: JsonObject;
  /** With its defaults. */
  readonly profile: DeviceProfile;
  /** `{id}` stands for the id of the device. */
  readonly audience: string;
  /** Undefined for the only one that is configured. */
  readonly issuers: readonly string[] | 'any' | undefined;
}

/** @throws {LatchkeyError} `profile_unknown` */
export function profileNamed<T extends { readonly name: string }>(profiles: readonly T[], name: string): T {
  const found = profiles.find((profile) => profile.name === name);
  if (found !== undefined) return found;
  const known = profiles.map((profile) => profile.name).join(', ');
  throw new LatchkeyError('profile_unknown', `"${name}"; [[profiles]] has ${known || 'none yet'}`);
}

/** The members of a named profile under those that were given: an algorithm goes with its wrap. */
export function membersOver({ members }: NamedProfile, given: JsonObject): JsonObject {
  const { authentication, ...others } = members;
  const keeps = authentication !== undefined && given.wrap === undefined;
  return { ...others, ...(keeps ? { authentication } : {}), ...given };
}

export function audienceFor({ audience }: Pick<NamedProfile, 'audience'>, id: string): string {
  return audience.replace('{id}', () => id);
}

/** Whether a device has something else than the profile says now. */
export function differs(copy: DeviceProfile, named: NamedProfile | undefined): boolean {
  return named === undefined || JSON.stringify(profileToJson(copy)) !== JSON.stringify(profileToJson(named.profile));
}

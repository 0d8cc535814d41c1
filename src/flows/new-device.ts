/** A device as it is registered, out of what an operator says of it, held against the configuration. */
import { certificateFromText } from '../codec/certificate.ts';
import { sha256 } from '../core/bytes.ts';
import { bestGuess, type Clock, type Random } from '../core/clock.ts';
import { LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import { Secret } from '../core/secret.ts';
import { checkDeviceNames, type Device, ROOT_KEY_BYTES, takesTokens } from '../devices/device.ts';
import { audienceFor, membersOver, type NamedProfile, profileNamed } from '../devices/named-profile.ts';
import { profileFromJson } from '../devices/profile.ts';
import type { NewDevice } from '../ports/admin.ts';

export interface NewDeviceSurroundings {
  readonly clock: Clock;
  readonly random: Random;
  /** Names of what the configuration has, to refuse a device that could never work. */
  readonly lines: readonly string[];
  /** Whether there is a radio. */
  readonly radio: boolean;
  readonly issuers: readonly string[];
  /** Audiences that stand for many devices: no single one may have them. */
  readonly sharedAudiences?: readonly string[];
  /** A reload changes them. */
  readonly profiles: readonly NamedProfile[];
}

/** Under a fresh root key. @throws {LatchkeyError} `device_invalid`, `profile_unknown`, `audience_taken` */
export function newDeviceOf(asked: NewDevice, surroundings: NewDeviceSurroundings): Device {
  const { clock, issuers, lines, profiles, radio, random, sharedAudiences = [] } = surroundings;
  const named = asked.profileName === undefined ? undefined : profileNamed(profiles, asked.profileName);
  const request = {
    ...asked,
    audience: asked.audience ?? audienceFor(named ?? OF_NO_PROFILE, asked.id),
    issuers: asked.issuers ?? named?.issuers,
    profile: named === undefined ? asked.profile : membersOver(named, asked.profile),
  };
  const ble = request.ble === undefined ? undefined : { name: request.ble.name ?? request.id };
  checkDeviceNames({ ...request, ble });
  if (sharedAudiences.includes(request.audience))
    throw new LatchkeyError('audience_taken', `${request.audience} is the shared_audience of an issuer`);
  if (request.line !== undefined && !lines.includes(request.line))
    throw new LatchkeyError('device_invalid', `line: ${known(request.line, lines, '[[lines]]')}`);
  if (ble !== undefined && !radio)
    throw new LatchkeyError('device_invalid', 'ble: the configuration has no radio yet; see [ble]');
  const addedAt = Math.floor(bestGuess(clock.now()));
  return {
    id: request.id,
    audience: request.audience,
    line: request.line,
    ble,
    profile: profileFromJson(request.profile, { takesTokens: takesTokens(request) }),
    profileName: named?.name,
    paired: false,
    issuers: issuersOf(request, issuers),
    certificate: request.certificate === undefined ? undefined : thumbprintOf(request.certificate),
    rootKey: new Secret(random.bytes(ROOT_KEY_BYTES)),
    // A device that is provisioned again begins above every bundle of the time before: one that was recorded, under a hub key
    // that still counts, is an old one then.
    trustVersion: Math.max(1, addedAt),
    addedAt,
  };
}

const OF_NO_PROFILE = { audience: 'coap://{id}' };

function thumbprintOf(certificate: string): Uint8Array {
  return sha256(certificateFromText(certificate));
}

/**
 * The issuers whose tokens open the device: those named, else the only one that is configured. With several it has to be
 * said which: the least trusted of them could otherwise mint tokens for every device.
 */
function issuersOf(
  request: Pick<NewDevice, 'line' | 'ble'> & { readonly issuers: NewDevice['issuers'] | undefined },
  configured: readonly string[],
): readonly string[] | undefined {
  const named = request.issuers === 'any' ? configured : (request.issuers ?? []);
  if (takesTokens(request) && new Set(named).size > LIMITS.trustedIssuers)
    throw new LatchkeyError('device_invalid', `issuer: a device has room for ${LIMITS.trustedIssuers}; name those`);
  if (request.issuers === 'any') return undefined;
  if (request.issuers === undefined) {
    if (configured.length === 1) return configured;
    throw new LatchkeyError(
      'device_invalid',
      `issuer: name those whose tokens open the device, or any; [[issuers]] has ${configured.join(', ') || 'none yet'}`,
    );
  }
  for (const issuer of request.issuers) {
    if (!configured.includes(issuer))
      throw new LatchkeyError('device_invalid', `issuer: ${known(issuer, configured, '[[issuers]]')}`);
  }
  return request.issuers;
}

function known(asked: string, names: readonly string[], table: string): string {
  return names.length === 0
    ? `"${asked}" is not configured; the configuration has no ${table} yet`
    : `"${asked}" is not configured; ${table} has ${names.join(', ')}`;
}

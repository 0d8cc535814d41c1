/** What a device trusts and what it waits for, in words for operators. */
import type { DeviceTrust } from '../codec/device-trust-map.ts';
import type { ErrorCode } from '../core/error-catalogue.ts';
import type { Device } from '../devices/device.ts';
import type { TrustRecord } from '../devices/trust-record.ts';
import {
  type IssuerForDevices,
  issuersLeftOut,
  keyIds,
  leavesNoVersion,
  sameContents,
} from '../devices/wanted-trust.ts';
import type { TrustView } from '../ports/admin.ts';
import type { BundleFailure } from './bundle-failures.ts';

export function viewTrust(facts: {
  readonly device: Device;
  readonly record: TrustRecord;
  readonly wanted: DeviceTrust;
  /** All issuers of the configuration. */
  readonly configured: readonly IssuerForDevices[];
  readonly state: TrustView['state'];
  readonly failure: BundleFailure | undefined;
  readonly signsWith: string | undefined;
  /** NumericDate: since when it waits, where no bundle was made yet. */
  readonly since: number | undefined;
}): TrustView {
  const { configured, device, failure, record, signsWith, since, wanted } = facts;
  const { held, heldSince, pending } = record;
  const changes = changesOf(held, wanted);
  const state = facts.state === 'by_hand' && changes.length === 0 ? 'current' : facts.state;
  const leftOut = issuersLeftOut(device, configured, held.issuers);
  const isRefused = state === 'waiting' && failure !== undefined;
  const code = isRefused ? failure.code : state === 'lost' ? lossOf(record, wanted) : undefined;
  return {
    device: device.id,
    state: isRefused ? 'refused' : state,
    version: held.version,
    held_since: heldSince,
    ...(pending === undefined ? {} : { pending: pending.trust.version }),
    ...waitingSince(state, pending?.since ?? since),
    changes,
    ...(leftOut.length === 0 ? {} : { issuers_left_out: leftOut }),
    ...(code === undefined ? {} : { code }),
    ...(isRefused && failure.deviceCode !== undefined ? { device_code: failure.deviceCode } : {}),
    ...(signsWith === undefined ? {} : { signed_by: signsWith }),
  };
}

function waitingSince(state: TrustView['state'], since: number | undefined): Pick<TrustView, 'waiting_since'> {
  return since === undefined || state === 'current' || state === 'by_hand' ? {} : { waiting_since: since };
}

function lossOf(record: TrustRecord, wanted: DeviceTrust): ErrorCode {
  return leavesNoVersion(record, wanted) ? 'trust_versions_spent' : 'trust_key_lost';
}

/** What becomes different, one part each. Names of keys are public. */
function changesOf(held: DeviceTrust, wanted: DeviceTrust): readonly string[] {
  // Nearly all devices, nearly always.
  if (sameContents(held, wanted)) return [];
  const changes = [...difference('hub key', keyIds(held), keyIds(wanted))];
  changes.push(...difference('issuer', issuersIn(held), issuersIn(wanted)));
  const issuers = new Set([...held.issuers, ...wanted.issuers].map(({ issuer }) => issuer));
  for (const issuer of issuers) {
    changes.push(...difference(`key of ${issuer}`, namesOf(held, issuer), namesOf(wanted, issuer)));
  }
  const isSettled = sameContents({ ...held, hubKeys: wanted.hubKeys, issuers: wanted.issuers }, wanted);
  return isSettled ? changes : [...changes, 'settings'];
}

function difference(what: string, before: ReadonlySet<string>, after: ReadonlySet<string>): readonly string[] {
  const added = [...after].filter((name) => !before.has(name));
  const gone = [...before].filter((name) => !after.has(name));
  return [...added.map((name) => `+ ${what} ${name}`), ...gone.map((name) => `- ${what} ${name}`)];
}

function issuersIn({ issuers }: DeviceTrust): ReadonlySet<string> {
  return new Set(issuers.map(({ issuer }) => issuer));
}

function namesOf({ issuers }: DeviceTrust, issuer: string): ReadonlySet<string> {
  const keys = issuers.find((known) => known.issuer === issuer)?.keys ?? [];
  return new Set(keys.map(({ kid, x }) => String(kid ?? `x=${String(x).slice(0, 8)}`)));
}

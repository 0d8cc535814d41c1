/** What a device trusts and what it waits for, in words for operators. */
import type { DeviceTrust } from '../codec/device-trust-map.ts';
import type { Device } from '../devices/device.ts';
import type { TrustRecord } from '../devices/trust-record.ts';
import { keyIds, sameContents } from '../devices/wanted-trust.ts';
import type { TrustView } from '../ports/admin.ts';

export function viewTrust(facts: {
  readonly device: Device;
  readonly record: TrustRecord;
  readonly wanted: DeviceTrust;
  readonly state: TrustView['state'];
  readonly refusedWith: string | undefined;
  readonly signsWith: string | undefined;
  /** NumericDate: since when it waits, where no bundle was made yet. */
  readonly since: number | undefined;
}): TrustView {
  const { device, record, refusedWith, signsWith, since, state, wanted } = facts;
  const { held, heldSince, pending } = record;
  const changes = changesOf(held, wanted);
  return {
    device: device.id,
    state: state === 'by_hand' && changes.length === 0 ? 'current' : refusedWith === undefined ? state : 'refused',
    version: held.version,
    held_since: heldSince,
    ...(pending === undefined ? {} : { pending: pending.trust.version }),
    ...waitingSince(state, pending?.since ?? since),
    changes,
    ...(refusedWith === undefined ? {} : { device_code: refusedWith }),
    ...(signsWith === undefined ? {} : { signed_by: signsWith }),
  };
}

function waitingSince(state: TrustView['state'], since: number | undefined): Pick<TrustView, 'waiting_since'> {
  return since === undefined || state === 'current' || state === 'by_hand' ? {} : { waiting_since: since };
}

/** What becomes different, one part each. Names of keys are public. */
function changesOf(held: DeviceTrust, wanted: DeviceTrust): readonly string[] {
  // Nearly all devices, nearly always.
  if (sameContents(held, wanted)) return [];
  const changes = [...difference('hub key', keyIds(held), keyIds(wanted))];
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

function namesOf({ issuers }: DeviceTrust, issuer: string): ReadonlySet<string> {
  const keys = issuers.find((known) => known.issuer === issuer)?.keys ?? [];
  return new Set(keys.map(({ kid, x }) => String(kid ?? `x=${String(x).slice(0, 8)}`)));
}

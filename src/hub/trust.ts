/** What devices trust: kept current while the hub runs, looked at and prepared where none does. */
import { systemRandom, systemTimers } from '../../drivers/system-time.ts';
import type { Config } from '../config/schema.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { TrustRecords } from '../devices/trust-records.ts';
import type { IssuerForDevices } from '../devices/wanted-trust.ts';
import { RefreshTrust, type RefreshTrustDependencies } from '../flows/refresh-trust.ts';
import type { Log } from '../ports/log.ts';
import type { Issuers } from '../trust/issuers.ts';
import { keysForDevices } from '../trust/keys-for-devices.ts';

type TrustState = Pick<RefreshTrustDependencies, 'audit' | 'clock' | 'hubKeys' | 'queue' | 'registry'> & {
  readonly trust: TrustRecords;
};

export function openTrust(
  { audit, clock, hubKeys, queue, registry, trust: records }: TrustState,
  running: Pick<RefreshTrustDependencies, 'issuers' | 'link' | 'wake'>,
  log: Log,
): RefreshTrust {
  const system = { random: systemRandom, timers: systemTimers };
  return new RefreshTrust({ registry, records, hubKeys, queue, clock, log, audit, ...system, ...running });
}

/** Without a hub no device is reached, and no more is known of the issuers than that they are configured. */
export function trustAtRest(config: Config, state: TrustState, log: Log): RefreshTrust {
  return openTrust(
    state,
    {
      issuers: () => config.issuers.map(({ issuer }) => ({ issuer, keys: undefined })),
      link: () => {
        throw new LatchkeyError('link_down', 'no hub is running');
      },
      wake: () => undefined,
    },
    log,
  );
}

/** The keys of the configured issuers as devices are given them. Made once for each set of keys. */
export function issuersForDevices(issuers: Issuers): () => readonly IssuerForDevices[] {
  const made = new WeakMap<object, IssuerForDevices['keys']>();
  return () =>
    issuers.list().map(({ keys, policy }) => {
      const ring = keys.ring();
      if (ring === undefined) return { issuer: policy.issuer, keys: undefined };
      const known = made.get(ring) ?? keysForDevices(ring);
      made.set(ring, known);
      return { issuer: policy.issuer, keys: known };
    });
}

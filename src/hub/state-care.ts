/** Checking, mending and restoring the state folder of a hub that does not run. */
import { systemRandom } from '../../drivers/system-time.ts';
import type { Config } from '../config/schema.ts';
import { hex } from '../core/bytes.ts';
import { coded, isCoded } from '../core/errors.ts';
import { decodeDelivery } from '../devices/delivery.ts';
import { decodeDevice } from '../devices/device.ts';
import { AuditReader } from '../observe/audit-reader.ts';
import type { AuditEntry } from '../ports/audit.ts';
import type { Log } from '../ports/log.ts';
import type { Store } from '../ports/store.ts';
import { openState, openStateToCheck, type StateToCheck } from '../store/open-state.ts';
import { forgetProofsOf, repairState } from '../store/repair-state.ts';
import { restoreState } from '../store/restore-state.ts';
import { loadState, openAudit, openClock } from './state.ts';

export interface StateReport {
  readonly devices: number;
  readonly deliveries: number;
  /** Records of the audit. */
  readonly audit: number;
  /** What is wrong, in words; none where all is well. */
  readonly faults: readonly string[];
}

/**
 * Makes nothing that is missing, and brings nothing to the form of this version: the card may be failing.
 * @throws {LatchkeyError} `store_corrupt`, `store_lost`, `store_missing`, `store_locked`
 */
export async function checkStateFolder(config: Config, log: Log): Promise<StateReport> {
  const stores = await openStateToCheck(config.stateDir, log);
  try {
    const devices = await count(stores, 'device/', decodeDevice);
    const deliveries = await count(stores, 'delivery/', decodeDelivery);
    const hasKeys = (await stores.store.read('hub/keys')) !== undefined;
    const audit = await auditOf(config, stores, log);
    return {
      devices: devices.readable,
      deliveries: deliveries.readable,
      audit: audit.records,
      faults: [
        ...stores.faults().map(({ code, detail }) => `${code}: ${detail ?? ''}`),
        ...(devices.unreadable === 0 ? [] : [`${devices.unreadable} devices cannot be read: provision them again`]),
        ...(deliveries.unreadable === 0 ? [] : [`${deliveries.unreadable} deliveries cannot be read`]),
        ...(hasKeys || devices.readable === 0
          ? []
          : ['the keys of the hub are gone: devices with a signed wrap need provisioning']),
        ...audit.faults,
      ],
    };
  } finally {
    await stores.close();
  }
}

/**
 * @param now as `repairState` takes it
 * @param copied hears where the copy is, also where the repair fails after that
 */
export async function repairStateFolder(
  config: Config,
  log: Log,
  now: string,
  copied?: (copy: string) => void,
): Promise<StateReport & { readonly copy: string }> {
  const { copy } = await repairState(config.stateDir, now, copied);
  await forgetProofsOf(config.stateDir);
  await record(config, log, 'repaired');
  return { ...(await checkStateFolder(config, log)), copy };
}

export async function restoreStateFolder(config: Config, log: Log, file: string): Promise<StateReport> {
  await restoreState(config.stateDir, file);
  await record(config, log, 'restored');
  return checkStateFolder(config, log);
}

async function count(
  { store }: StateToCheck,
  prefix: string,
  decode: (value: Uint8Array) => unknown,
): Promise<{ readonly readable: number; readonly unreadable: number }> {
  let [readable, unreadable] = [0, 0];
  for (const [, value] of await store.list(prefix)) {
    try {
      decode(value);
      readable += 1;
    } catch (error) {
      if (!isCoded(error)) throw error;
      unreadable += 1;
    }
  }
  return { readable, unreadable };
}

async function auditOf(
  config: Config,
  stores: StateToCheck,
  log: Log,
): Promise<{ readonly records: number; readonly faults: readonly string[] }> {
  const { lostAudit } = stores;
  if (lostAudit !== undefined) return { records: 0, faults: [`${lostAudit.code}: ${lostAudit.detail}`] };
  if (stores.audit === undefined) return { records: 0, faults: ['the audit is missing'] };
  const store = unwritten(stores.audit);
  const clock = await openClock(config, unwritten(stores.store), log);
  const trail = await openAudit(config, { clock, store }, log);
  const { faults, records } = await new AuditReader({ store, trail }).verify();
  if (faults.length === 0) return { records, faults: [] };
  return { records, faults: ['the audit does not hold together: see `latchkey audit verify`'] };
}

/** What is opened on it begins anew where something is missing, and would write that. */
function unwritten(store: Store): Store {
  const ignored = async () => undefined;
  return { ...store, write: ignored, forget: ignored };
}

/** So that the chain says itself why it does not go on where it once was. */
async function record(config: Config, log: Log, verdict: AuditEntry['verdict']): Promise<void> {
  const stores = await openState(config.stateDir, { create: false, log });
  try {
    if ((await stores.store.read('hub/keys')) === undefined) return;
    const { audit } = await loadState(config, stores, log);
    audit.record({ kind: 'state', verdict, device: undefined, request: hex(systemRandom.bytes(8)) });
    await audit.close();
  } catch (error) {
    const { code, detail } = coded(error);
    log.error({ event: 'state_record_failed', code, detail }, 'the audit does not say that the state was mended');
  } finally {
    await stores.close();
  }
}

/**
 * The two databases of a state folder: `db` with all that the hub needs to work, and `audit`. They are apart so that records
 * of the audit, which come and go all day, are not written again with the rest, and the rest not with them.
 */
import { statfsSync } from 'node:fs';
import { join } from 'node:path';
import { LatchkeyError } from '../core/errors.ts';
import type { Log } from '../ports/log.ts';
import type { StoreChange, StoreFault } from '../ports/store.ts';
import { AUDIT_GONE, auditLost, hasBegun, hasNote, noteAudit } from './audit-note.ts';
import { hasData, holdsDatabase, isThere } from './inspect-database.ts';
import { removeLeftovers } from './leftovers.ts';
import { markOf, type OpenedStore, openStore } from './open-store.ts';
import { PROOFS_LOST } from './proofs-lost.ts';
import { endRepair, wasRepaired } from './repair-note.ts';
import { storeError } from './store-errors.ts';

export interface OpenState {
  readonly store: OpenedStore;
  readonly audit: OpenedStore;
  /** What is wrong with the databases, and with the room that they have. */
  faults(): readonly StoreFault[];
  /** The audit has its first entry: from now on a state without it is one that lost it. */
  auditBegan(): Promise<void>;
  close(): Promise<void>;
}

/** The audit is read page by page and seldom. Bytes of blocks that are kept in memory. */
const AUDIT_CACHE_BYTES = 1_048_576;
/** Less than this is little room: a day of a busy hub, and what LevelDB needs to tidy up. */
const LITTLE_ROOM_BYTES = 33_554_432;
/** Bytes that are copied in one write where the audit gets its own database. */
const COPIED_BYTES = 1_048_576;
const AUDIT = 'audit/';

export function databasesOf(stateDir: string): { readonly db: string; readonly audit: string } {
  return { db: join(stateDir, 'db'), audit: join(stateDir, 'audit') };
}

/** @throws {LatchkeyError} as `openStore`; `store_lost`; `audit_lost` */
export async function openState(
  stateDir: string,
  { create = true, log }: { readonly create?: boolean; readonly log: Log },
): Promise<OpenState> {
  const folders = databasesOf(stateDir);
  assertNotLost(stateDir);
  const store = await openStore(folders.db, { create, log, whereLost: [PROOFS_LOST] });
  let audit: OpenedStore | undefined;
  try {
    // What a repair left of the audit is all that there is. A state of the first version has its audit in `db`.
    const isRepaired = wasRepaired(stateDir);
    const hasToBeThere = !isRepaired && (await hasNote(store)) && !(await hasBegun(store));
    if (hasToBeThere && !holdsDatabase(folders.audit, markOf(folders.audit))) throw auditLost(folders.audit);
    audit = await openStore(folders.audit, { log, cacheBytes: AUDIT_CACHE_BYTES });
    await moveAudit(store, audit, log);
    // What the database dropped is told already, and no reason to keep the doors shut.
    if (hasToBeThere && audit.faults().length === 0 && !(await hasBegun(audit))) throw auditLost(folders.audit);
    removeLeftovers(stateDir, log);
    if (isRepaired) {
      await store.write([PROOFS_LOST, ...((await hasBegun(audit)) ? [] : [AUDIT_GONE])]);
      endRepair(stateDir);
    }
  } catch (error) {
    await audit?.close();
    await store.close();
    throw error;
  }
  const opened = { store, audit };
  return {
    ...opened,
    faults: () => [...opened.store.faults(), ...opened.audit.faults(), ...littleRoom(stateDir)],
    auditBegan: () => noteAudit(opened.store),
    // Both at once: each may wait for a slow disk, and the hub has one time for its end.
    async close() {
      const closed = await Promise.allSettled([opened.audit.close(), opened.store.close()]);
      for (const each of closed) if (each.status === 'rejected') throw each.reason;
    },
  };
}

export interface StateToCheck extends Omit<OpenState, 'audit' | 'auditBegan'> {
  /** Undefined where it is missing. */
  readonly audit: OpenedStore | undefined;
  /** `audit_lost`, where a start would end with it. */
  readonly lostAudit: LatchkeyError | undefined;
}

/**
 * The same for a look: nothing is made that is missing, and nothing is brought to the form of this version.
 * @throws {LatchkeyError} as `openState`
 */
export async function openStateToCheck(stateDir: string, log: Log): Promise<StateToCheck> {
  const folders = databasesOf(stateDir);
  const how = { create: false, migrate: false, log };
  assertNotLost(stateDir);
  const isAuditThere = holdsDatabase(folders.audit, markOf(folders.audit));
  const store = await openStore(folders.db, how);
  try {
    const own = isAuditThere ? await openStore(folders.audit, { ...how, cacheBytes: AUDIT_CACHE_BYTES }) : undefined;
    const isWithin = own === undefined && (await hasBegun(store));
    const hasAudit = isWithin || (own !== undefined && (own.faults().length > 0 || (await hasBegun(own))));
    const isLost = !hasAudit && !wasRepaired(stateDir) && (await hasNote(store));
    return {
      store,
      audit: isWithin ? store : own,
      lostAudit: isLost ? auditLost(folders.audit) : undefined,
      faults: () => [...store.faults(), ...(own?.faults() ?? []), ...littleRoom(stateDir)],
      async close() {
        await own?.close();
        await store.close();
      },
    };
  } catch (error) {
    await store.close();
    throw error;
  }
}

/**
 * What no repair brings back is said before any file is opened or copied.
 * @throws {LatchkeyError} `store_lost`
 */
export function assertNotLost(stateDir: string): void {
  const { audit, db } = databasesOf(stateDir);
  const mark = [markOf(db), markOf(audit)].find(isThere);
  if (mark === undefined) return;
  if (!hasData(db)) throw new LatchkeyError('store_lost', `${db} holds no data, and ${mark} says that it did`);
}

/** Copied first, then removed in one write: whenever the hub is killed, nothing is lost and the next start goes on. */
async function moveAudit(from: OpenedStore, to: OpenedStore, log: Log): Promise<void> {
  const removals: StoreChange[] = [];
  let copied: StoreChange[] = [];
  let bytes = 0;
  for await (const [key, value] of from.entries(AUDIT)) {
    if (removals.length === 0 && !(await isSameAudit(from, to))) {
      log.error({ event: 'audit_not_moved', code: 'audit_broken' }, 'there are two audits; that in `db` is left alone');
      return;
    }
    removals.push({ remove: key });
    copied.push({ put: key, value });
    bytes += value.length;
    if (bytes < COPIED_BYTES) continue;
    await to.write(copied, { flush: false });
    copied = [];
    bytes = 0;
  }
  if (removals.length === 0) return;
  await to.write(copied.length === 0 ? [{ remove: `${AUDIT}none` }] : copied);
  await from.write(removals);
  log.info({ event: 'audit_moved', entries: removals.length }, 'the audit has a database of its own now');
}

/** Whether the second one is empty, or has the chain of the first from a move that was cut short. */
async function isSameAudit(from: OpenedStore, to: OpenedStore): Promise<boolean> {
  const [before, after] = await Promise.all([from.read(`${AUDIT}head`), to.read(`${AUDIT}head`)]);
  return after === undefined || (before !== undefined && Buffer.compare(before, after) === 0);
}

function littleRoom(stateDir: string): readonly StoreFault[] {
  try {
    const { bavail, bsize } = statfsSync(stateDir);
    if (bavail * bsize >= LITTLE_ROOM_BYTES) return [];
    return [{ code: 'disk_nearly_full', path: stateDir, detail: `${bavail * bsize} bytes are free` }];
  } catch (cause) {
    const { code, detail } = storeError(cause);
    return [{ code, path: stateDir, detail }];
  }
}

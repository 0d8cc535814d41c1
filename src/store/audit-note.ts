/**
 * What the main database knows of the audit. The audit has a database of its own, and where all of that is gone, its mark too,
 * its folder looks like that of a first start.
 */
import { utf8 } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { Store, StoreChange } from '../ports/store.ts';
import type { OpenedStore } from './open-store.ts';

/** Is there once the audit has begun. */
const KEY = 'store/audit';
/** In the database of the audit: where its chain begins and ends. */
const HEAD = 'audit/head';
/** Its records: where they are there, the chain goes on after the last one. */
const PAGES = 'audit/page/';

/** For the write that says that the audit is gone for good, and may begin anew. */
export const AUDIT_GONE: StoreChange = { remove: KEY };

/** Once in the life of a state. The audit has its first entry by now. */
export async function noteAudit(store: Store): Promise<void> {
  if (!(await hasNote(store))) await store.write([{ put: KEY, value: utf8('1') }]);
}

export async function hasNote(store: Pick<Store, 'read'>): Promise<boolean> {
  return (await store.read(KEY)) !== undefined;
}

export async function hasBegun(audit: Pick<OpenedStore, 'entries' | 'read'>): Promise<boolean> {
  if ((await audit.read(HEAD)) !== undefined) return true;
  for await (const _ of audit.entries(PAGES)) return true;
  return false;
}

export function auditLost(folder: string): LatchkeyError {
  return new LatchkeyError('audit_lost', `${folder} holds no audit, and the state says that it did`);
}

/** The keys of one issuer for a command: from its file, from the issuer itself, or from the disk where the issuer is away. */
import { connectAuthorizationServer } from '../../drivers/as/authorization-server.ts';
import type { Config } from '../config/schema.ts';
import { readCertificate } from '../config/setting-files.ts';
import { LatchkeyError } from '../core/errors.ts';
import { JWT_ALGORITHMS } from '../core/jwt-algorithms.ts';
import type { Log } from '../ports/log.ts';
import { openState } from '../store/open-state.ts';
import { fetchKeys } from '../trust/key-fetch.ts';
import { decodeRecord, recordKey } from '../trust/key-record.ts';
import { KeyRing } from '../trust/key-ring.ts';
import { policyOf } from './settings.ts';

/** @throws {LatchkeyError} why the issuer could not be asked, where the disk has no keys of it or a hub has it open */
export async function keysNow(config: Config, settings: Config['issuers'][number], log: Log): Promise<KeyRing> {
  const policy = { ...policyOf(settings), algorithms: JWT_ALGORITHMS };
  if (policy.source.kind === 'file') return new KeyRing(policy.source.jwks, JWT_ALGORITHMS);
  const { caFile, issuer } = settings;
  const as = connectAuthorizationServer(
    caFile === undefined ? {} : { ca: readCertificate(`ca_file of ${issuer}`, caFile) },
  );
  try {
    return (await fetchKeys(as, policy, { known: undefined, lookUp: true })).ring;
  } catch (error) {
    // Why the disk has none says less than why the issuer could not be asked.
    const kept = await keptKeys(config, policy, log).catch(() => undefined);
    if (kept !== undefined) return kept;
    throw error;
  } finally {
    await as.close();
  }
}

async function keptKeys(config: Config, policy: ReturnType<typeof policyOf>, log: Log): Promise<KeyRing> {
  const stores = await openState(config.stateDir, { create: false, log });
  try {
    const bytes = await stores.store.read(recordKey(policy.issuer));
    const record = bytes === undefined ? undefined : decodeRecord(bytes, policy);
    if (record === undefined) throw new LatchkeyError('keys_unavailable', policy.issuer);
    return record.ring;
  } finally {
    await stores.close();
  }
}

/** The keys of one issuer for a command: from its file, from the issuer itself, or those that the hub holds where the issuer is away. */
import { connectAuthorizationServer } from '../../drivers/as/authorization-server.ts';
import type { Config } from '../config/schema.ts';
import { readCertificate } from '../config/setting-files.ts';
import { LatchkeyError } from '../core/errors.ts';
import { JWT_ALGORITHMS } from '../core/jwt-algorithms.ts';
import type { IssuerKeysView } from '../ports/admin.ts';
import { fetchKeys } from '../trust/key-fetch.ts';
import { KeyRing } from '../trust/key-ring.ts';
import { policyOf } from './settings.ts';

/**
 * @param held of the hub, or of its state folder
 * @throws {LatchkeyError} why the issuer could not be asked, where the hub holds no keys of it; `keys_too_old`
 */
export async function keysNow(settings: Config['issuers'][number], held: IssuerKeysView): Promise<KeyRing> {
  const policy = { ...policyOf(settings), algorithms: JWT_ALGORITHMS };
  if (policy.source.kind === 'file') return new KeyRing(policy.source.jwks, JWT_ALGORITHMS);
  const { caFile, issuer } = settings;
  const as = connectAuthorizationServer(
    caFile === undefined ? {} : { ca: readCertificate(`ca_file of ${issuer}`, caFile) },
  );
  try {
    return (await fetchKeys(as, policy, { known: undefined, lookUp: true })).ring;
  } catch (error) {
    // Why the hub has none says less than why the issuer could not be asked.
    if (held.keys.length === 0) throw error;
    if ((held.age ?? 0) > policy.offlineLimit) throw new LatchkeyError('keys_too_old', issuer, { cause: error });
    return new KeyRing({ keys: [...held.keys] }, JWT_ALGORITHMS);
  } finally {
    await as.close();
  }
}

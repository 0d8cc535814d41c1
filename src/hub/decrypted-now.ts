/** An encrypted token for a command, decrypted with the keys in the state folder. */
import { tokenForm } from '../codec/token-form.ts';
import type { Config } from '../config/schema.ts';
import { LatchkeyError } from '../core/errors.ts';
import { HubKeys } from '../devices/hub-keys.ts';
import type { Log } from '../ports/log.ts';
import { openState } from '../store/open-state.ts';
import { type DecryptedJwt, decryptJwt } from '../trust/encrypted-jwt.ts';

/**
 * Undefined for a token that is not encrypted.
 * @param issuers those that the device takes
 * @throws {LatchkeyError} `token_encrypted`, `jwe_*` and others of `decryptJwt`; `store_locked` where a hub runs, and other codes
 *   of a state folder that cannot be opened
 */
export async function decryptedNow(
  token: string,
  { config, issuers, log }: { readonly config: Config; readonly issuers: readonly string[]; readonly log: Log },
): Promise<DecryptedJwt | undefined> {
  if (tokenForm(token) !== 'encrypted') return undefined;
  const stores = await openState(config.stateDir, { create: false, log });
  try {
    const keys = await HubKeys.find(stores.store);
    if (keys === undefined) throw new LatchkeyError('token_encrypted', 'the hub has no keys yet');
    return await decryptJwt(token, { issuers, keys, inTurn: (decrypt) => decrypt() });
  } finally {
    await stores.close();
  }
}

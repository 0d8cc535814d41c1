import { coded } from '../core/errors.ts';
import type { Log } from '../ports/log.ts';
import type { Store } from '../ports/store.ts';

/**
 * Moves a record that cannot be read out of the way, where somebody can look at it; one a key is kept. A store that
 * cannot be written either is for the log: the caller begins anew all the same.
 */
export async function setAside(store: Store, log: Log, key: string, value: Uint8Array): Promise<void> {
  try {
    await store.write([{ put: `set-aside/${key}`, value }, { remove: key }]);
  } catch (error) {
    const { code, detail } = coded(error);
    log.error(
      { event: 'set_aside_failed', key, code, detail },
      'a record that cannot be read could not be quarantined',
    );
  }
}

import type { Store } from '../ports/store.ts';

/** Moves a record that cannot be read out of the way, where somebody can look at it; one a key is kept. */
export async function setAside(store: Store, key: string, value: Uint8Array): Promise<void> {
  await store.write([{ put: `set-aside/${key}`, value }, { remove: key }]);
}

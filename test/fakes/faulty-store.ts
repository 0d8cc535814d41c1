import type { Store, StoreChange } from '../../src/ports/store.ts';

/** A store in memory that a test can make fail: at a chosen write, before or after it took effect. */
export class FaultyStore implements Store {
  readonly entries: Map<string, Uint8Array>;
  writes = 0;
  /** Prefixes whose remains were taken out, in order. */
  readonly forgotten: string[] = [];
  #failAt: number | undefined;
  #failAfterwards = false;
  readonly #held = new Map<number, Promise<void>>();

  /** Hand in the entries of another one to see what a restart would find. */
  constructor(entries: Map<string, Uint8Array> = new Map()) {
    this.entries = entries;
  }

  /** The nth write from now (1 is the next) throws; with `afterwards` its changes are on the medium all the same. */
  failAt(nth: number, options: { readonly afterwards?: boolean } = {}): void {
    this.#failAt = this.writes + nth;
    this.#failAfterwards = options.afterwards ?? false;
  }

  /** The nth write from now takes effect only once the answer is called: the medium is slow. */
  holdAt(nth: number): () => void {
    let release = () => {};
    this.#held.set(
      this.writes + nth,
      new Promise((resolve) => {
        release = resolve;
      }),
    );
    return () => release();
  }

  async read(key: string): Promise<Uint8Array | undefined> {
    return this.entries.get(key);
  }

  async list(prefix: string): Promise<readonly (readonly [string, Uint8Array])[]> {
    return [...this.entries].filter(([key]) => key.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1));
  }

  async write(changes: readonly StoreChange[]): Promise<void> {
    this.writes += 1;
    const fails = this.writes === this.#failAt;
    const held = this.#held.get(this.writes);
    if (held !== undefined) await held;
    if (fails && !this.#failAfterwards) throw new Error('the medium failed');
    for (const change of changes) {
      if ('put' in change) this.entries.set(change.put, change.value);
      else this.entries.delete(change.remove);
    }
    if (fails) throw new Error('the medium failed');
  }

  async forget(prefix: string): Promise<void> {
    this.forgotten.push(prefix);
  }

  async close(): Promise<void> {
    // Nothing to release.
  }
}

import type { ErrorCode } from '../core/error-catalogue.ts';

export type StoreChange = { readonly put: string; readonly value: Uint8Array } | { readonly remove: string };

export interface WriteOptions {
  /**
   * `true`, the default: the changes are on the medium when the promise resolves (fsync). `false`: they are in the hands
   * of the operating system, so they survive the end of the process, even by SIGKILL, but the newest of them not a power
   * cut. A later write that is flushed takes all earlier ones with it.
   */
  readonly flush?: boolean;
}

/**
 * Durable state: byte values under text keys such as `delivery/1f…`. One `write` is atomic: after a power cut either all
 * of its changes are there or none. A write that is refused (`disk_full`, `store_failing`) has changed nothing, also after
 * the store works again; only the end of the process in between can leave it in force.
 */
export interface Store {
  read(key: string): Promise<Uint8Array | undefined>;
  /** All entries whose key starts with `prefix`, in key order. */
  list(prefix: string): Promise<readonly (readonly [key: string, value: Uint8Array])[]>;
  write(changes: readonly StoreChange[], options?: WriteOptions): Promise<void>;
  /**
   * Makes what was removed or replaced under `prefix` unreadable, for who gets hold of the files. What the medium itself
   * keeps of overwritten blocks is beyond this.
   */
  forget(prefix: string): Promise<void>;
  close(): Promise<void>;
}

/** What is wrong with a store at present. */
export interface StoreFault {
  readonly code: ErrorCode;
  /** Folder of the database. */
  readonly path: string;
  /** What LevelDB or the system said. */
  readonly detail: string | undefined;
}

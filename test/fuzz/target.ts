/** One way by which bytes of a peer reach the running hub. */
export interface FuzzTarget {
  /** The corpus has a file of this name. */
  readonly name: string;
  /** Valid inputs, which mutations begin with. */
  readonly seeds: readonly Uint8Array[];
  /** Inputs that are sent before an honest peer is served again. */
  readonly batch: number;
  /** Inputs at once: 1 where they share a connection. */
  readonly parallel: number;
  /** Hands one input to the hub. Rejects only where the test itself is broken; a hub that closes the connection is right. */
  send(input: Uint8Array): Promise<void>;
  /** An honest peer is served in the same way. @throws {Error} where it is not, in time */
  honest(): Promise<void>;
  close(): Promise<void>;
}

/** Resolves once `holds` does. @throws {Error} that names `what` */
export async function within(
  milliseconds: number,
  what: string,
  holds: () => boolean | Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + milliseconds;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not within ${milliseconds} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

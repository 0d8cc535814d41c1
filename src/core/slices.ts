/**
 * Work on many items, so many at a time: what else the process has to do gets its turn in between. The first items are done
 * before this returns. A pause keeps the process alive: a command that works on the state folder waits for nothing else.
 * @param options.size items in a turn
 * @param options.signal ends it at the next item
 */
export async function inSlices<T>(
  items: Iterable<T>,
  work: (item: T) => void,
  { signal, size }: { readonly size: number; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  let left = size;
  for (const item of items) {
    if (left === 0) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      left = size;
    }
    if (signal?.aborted === true) return;
    left -= 1;
    work(item);
  }
}

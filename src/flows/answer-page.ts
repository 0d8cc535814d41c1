import { LIMITS } from '../core/limits.ts';
import type { Page } from '../ports/admin.ts';

/**
 * As much of a list as one answer has room for, in items and in bytes; one item at least.
 * @param items in their order; no more of them are made than fit
 * @param options.cursor names an item, so that the next page can begin behind it
 */
export function answerPage<S, T>(
  items: readonly S[],
  {
    cursor,
    most,
    view,
  }: { readonly cursor: (item: S) => string; readonly most: number; readonly view: (item: S) => T },
): Page<T> {
  const shown: T[] = [];
  let bytes = 0;
  for (const [index, item] of items.entries()) {
    const one = view(item);
    bytes += Buffer.byteLength(JSON.stringify(one));
    const last = items[index - 1];
    if (last !== undefined && (shown.length >= most || bytes > LIMITS.adminPageBytes))
      return { items: shown, next: cursor(last) };
    shown.push(one);
  }
  return { items: shown };
}

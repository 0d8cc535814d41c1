import { describe, expect, test } from 'vitest';
import { inSlices } from '../../src/core/slices.ts';

const items = Array.from({ length: 10 }, (_, index) => index);

describe('work in slices', () => {
  test('begins at once, and lets others have their turn after so many items', async () => {
    const order: (number | string)[] = [];
    const work = inSlices(items, (item) => order.push(item), { size: 4 });
    expect(order).toEqual([0, 1, 2, 3]);
    setImmediate(() => order.push('another'));
    await work;
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 'another', 8, 9]);
  });

  test('takes no turn of its own where all fits in one', async () => {
    let done = false;
    void inSlices(items, () => undefined, { size: 10 }).then(() => {
      done = true;
    });
    await Promise.resolve();
    await Promise.resolve();
    expect(done).toBe(true);
  });

  test('ends at the signal', async () => {
    const stop = new AbortController();
    const seen: number[] = [];
    const work = (item: number) => {
      seen.push(item);
      if (item === 1) stop.abort();
    };
    await inSlices(items, work, { size: 4, signal: stop.signal });
    expect(seen).toEqual([0, 1]);
  });

  test('is told what an item threw', async () => {
    const fail = () => {
      throw new Error('this one');
    };
    await expect(inSlices(items, fail, { size: 4 })).rejects.toThrow('this one');
  });
});

import { describe, expect, it } from 'vitest';
import { monotonic, systemRandom, systemTimers } from '../../drivers/system-time.ts';

describe('the time of the machine', () => {
  it('calls back once, not before its time', async () => {
    const began = monotonic();
    const took = await new Promise<number>((resolve) => systemTimers.after(10, () => resolve(monotonic() - began)));
    // Timers of the system round down by less than a millisecond.
    expect(took).toBeGreaterThan(9);
  });

  it('does not call back what was cancelled', async () => {
    let called = false;
    const cancel = systemTimers.after(0, () => {
      called = true;
    });
    cancel();
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(called).toBe(false);
  });

  it('gives as many random bytes as asked, and others each time', () => {
    expect(systemRandom.bytes(0)).toHaveLength(0);
    const first = systemRandom.bytes(16);
    expect(first).toHaveLength(16);
    expect(systemRandom.bytes(16)).not.toEqual(first);
  });

  it('gives fractions from 0 up to, not with, 1', () => {
    for (let count = 0; count < 1_000; count += 1) {
      const fraction = systemRandom.fraction();
      expect(fraction).toBeGreaterThanOrEqual(0);
      expect(fraction).toBeLessThan(1);
    }
  });
});

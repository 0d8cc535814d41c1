import type { Timers } from '../../src/core/clock.ts';

/** Whether `work` was done, well or badly, before `milliseconds` had passed. Never rejects. */
export function within(milliseconds: number, timers: Timers, work: Promise<void>): Promise<boolean> {
  return new Promise((resolve) => {
    const cancel = timers.after(milliseconds, () => resolve(false));
    const done = () => {
      cancel();
      resolve(true);
    };
    work.then(done, done);
  });
}

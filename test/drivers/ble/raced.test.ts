import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { raced } from '../../../drivers/ble/raced.ts';
import { FakeTime } from '../../fakes/fake-time.ts';

const never = () => undefined;

function race() {
  const time = new FakeTime();
  const peripheral = new EventEmitter();
  return { time, peripheral, options: { what: 'writing', deadline: 1_000, timers: time, peripheral } };
}

describe('a call into noble', () => {
  it('ends with its value, and leaves neither timer nor listener', async () => {
    const { time, peripheral, options } = race();
    expect(await raced<number>(options, (done) => done(null, 7))).toBe(7);
    expect([time.pendingTimers, peripheral.listenerCount('disconnect')]).toEqual([0, 0]);
  });

  it('ends at its deadline', async () => {
    const { time, peripheral, options } = race();
    const outcome = raced(options, never).catch((error: unknown) => error);
    await time.advance(1_000);
    expect(await outcome).toMatchObject({ code: 'link_down', detail: 'writing: took too long' });
    expect(peripheral.listenerCount('disconnect')).toBe(0);
  });

  it('ends with the link', async () => {
    const { time, peripheral, options } = race();
    const outcome = raced(options, never).catch((error: unknown) => error);
    peripheral.emit('disconnect', 8);
    expect(await outcome).toMatchObject({ code: 'link_down', detail: 'writing: disconnected' });
    expect(time.pendingTimers).toBe(0);
  });

  it('ends with the adapter', async () => {
    const { time, options } = race();
    const gone = new AbortController();
    const outcome = raced({ ...options, signal: gone.signal }, never).catch((error: unknown) => error);
    gone.abort();
    expect(await outcome).toMatchObject({ code: 'link_down', detail: 'writing: the adapter is gone' });
    expect(time.pendingTimers).toBe(0);
  });

  it.each<[string, Error | string, string]>([
    ['an error', new Error('Connection Timeout (0x8)'), 'writing: Connection Timeout (0x8)'],
    ['words', 'Could not find all requested services', 'writing: Could not find all requested services'],
  ])('ends with %s of noble', async (_, error, detail) => {
    const { options } = race();
    const outcome = raced(options, (done) => done(error, undefined)).catch((failure: unknown) => failure);
    expect(await outcome).toMatchObject({ code: 'link_down', detail });
  });

  it('ends where noble throws', async () => {
    const { options, time } = race();
    const outcome = raced(options, () => {
      throw new TypeError('undefined is not a function');
    }).catch((error: unknown) => error);
    expect(await outcome).toMatchObject({ code: 'link_down', detail: 'writing: refused' });
    expect(time.pendingTimers).toBe(0);
  });
});

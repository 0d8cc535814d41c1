/** What is used of bleno's insides, held to the bleno that is installed: it is never started here, and touches no adapter. */
import type { Bleno } from '@stoprocent/bleno';
import { afterEach, expect, it, vi } from 'vitest';
import { silence, stoppablePolling } from '../../../drivers/ble/bleno-internals.ts';

interface Inside {
  _bindings: {
    onStateChange(state: string): void;
    on(event: string, listener: (state: string) => void): void;
    _hci: { pollIsDevUp(): void; _socket: { isDevUp(): boolean } };
  };
}

async function newBleno(): Promise<Bleno> {
  const { default: bleno } = await import('@stoprocent/bleno');
  return (bleno as unknown as typeof import('@stoprocent/bleno')).withBindings('hci', { hciDriver: 'uart' } as never);
}

const inside = (bleno: Bleno) => (bleno as unknown as Inside)._bindings;

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

it.each(['unauthorized', 'unsupported', 'poweredOn'])(
  'says that it is %s to us, once, and to nobody else',
  async (state) => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => undefined);
    const bleno = await newBleno();
    silence(bleno);
    const states: string[] = [];
    inside(bleno).on('stateChange', (change) => states.push(change));
    for (const _ of [1, 2]) inside(bleno).onStateChange(state);
    expect(states).toEqual([state]);
    expect(bleno.state).toBe(state);
    expect(log).not.toHaveBeenCalled();
  },
);

it('asks its socket each second until that is stopped, and not once more', async () => {
  vi.useFakeTimers();
  const bleno = await newBleno();
  const { _hci: hci } = inside(bleno);
  let asked = 0;
  hci._socket.isDevUp = () => {
    asked += 1;
    return false;
  };
  const stop = stoppablePolling(bleno);
  hci.pollIsDevUp();
  await vi.advanceTimersByTimeAsync(2_000);
  expect(asked).toBe(3);
  stop();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(asked).toBe(3);
  expect(vi.getTimerCount()).toBe(0);
});

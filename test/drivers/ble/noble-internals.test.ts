/** What is used of noble's insides, held to the noble that is installed: it is never started here, and touches no adapter. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type Noble, newNoble } from '../../../drivers/ble/noble.ts';
import {
  clampMtu,
  endAll,
  forgetDevices,
  heardDevices,
  isConnecting,
  silence,
} from '../../../drivers/ble/noble-internals.ts';

interface Inside {
  _onDiscover(...heard: unknown[]): void;
  _bindings: {
    onStateChange(state: string): void;
    onDiscover(...heard: unknown[]): void;
    on(event: string, listener: (state: string) => void): void;
    _addresses: Record<string, string>;
    _pendingConnectionUuid: string | null;
    _gatts: Record<string, { _mtu: number }>;
  };
}

const inside = (noble: Noble) => noble as unknown as Inside;

/** As if these had advertised. */
async function hearing(...addresses: readonly string[]): Promise<Noble> {
  const noble = await newNoble({});
  for (const address of addresses) {
    const id = address.replaceAll(':', '');
    const advertisement = { localName: 'tube-1', serviceUuids: [], serviceData: [] };
    inside(noble)._bindings.onDiscover(0, address, 'random', true, advertisement, -60, false);
    inside(noble)._onDiscover(id, address, 'random', true, advertisement, -60, false);
  }
  return noble;
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('the noble that is installed', () => {
  it('forgets whoever is not to be kept, and whoever is connected stays', async () => {
    const noble = await hearing('c0:00:00:00:00:01', 'c0:00:00:00:00:02', 'c0:00:00:00:00:03');
    const connected = heardDevices(noble).get('c00000000003');
    if (connected !== undefined) Object.assign(connected, { state: 'connected' });
    expect(Object.keys(inside(noble)._bindings._addresses)).toHaveLength(3);
    forgetDevices(noble, (id) => id === 'c00000000001');
    expect([...heardDevices(noble).keys()]).toEqual(['c00000000001', 'c00000000003']);
    expect(Object.keys(inside(noble)._bindings._addresses)).toEqual(['c00000000001', 'c00000000003']);
  });

  it('tells whoever uses a connection that it is gone', async () => {
    const noble = await hearing('c0:00:00:00:00:01');
    const device = heardDevices(noble).get('c00000000001');
    if (device === undefined) throw new Error('not heard');
    Object.assign(device, { state: 'connected' });
    let told = 0;
    device.on('disconnect', () => {
      told += 1;
    });
    endAll(noble);
    expect(told).toBe(1);
    expect(heardDevices(noble).size).toBe(0);
  });

  it.each(['unauthorized', 'unsupported'])(
    'says nothing on standard output when it is %s, and tells of it',
    async (state) => {
      const log = vi.spyOn(console, 'log').mockImplementation(() => undefined);
      const noble = await newNoble({});
      silence(noble);
      const states: string[] = [];
      inside(noble)._bindings.on('stateChange', (change) => states.push(change));
      inside(noble)._bindings.onStateChange(state);
      expect(states).toEqual([state]);
      expect(log).not.toHaveBeenCalled();
    },
  );

  it.each([
    [517, 64, 64],
    [23, 64, 23],
  ])('writes by the smaller MTU: the device says %i, the hub asked for %i', async (said, asked, counts) => {
    const noble = await hearing('c0:00:00:00:00:01');
    const device = heardDevices(noble).get('c00000000001');
    if (device === undefined) throw new Error('not heard');
    const gatt = { _mtu: said };
    inside(noble)._bindings._gatts[device.id] = gatt;
    clampMtu(noble, device, asked);
    expect(gatt._mtu).toBe(counts);
  });

  it('knows whether it waits for a connection', async () => {
    const noble = await newNoble({});
    expect(isConnecting(noble)).toBe(false);
    inside(noble)._bindings._pendingConnectionUuid = 'c00000000001';
    expect(isConnecting(noble)).toBe(true);
  });
});

/** What is used of noble's insides, held to the noble that is installed: it is never started here, and touches no adapter. */
import { createRequire } from 'node:module';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type Noble, newNoble } from '../../../drivers/ble/noble.ts';
import {
  clampMtu,
  endAll,
  endLinks,
  forgetDevices,
  heardDevices,
  isConnecting,
  onForeignReset,
  onState,
  silence,
} from '../../../drivers/ble/noble-internals.ts';

interface Hci {
  readonly _socket: { write(packet: Buffer): void };
  readonly _aclConnections: Map<number, unknown>;
  reset(): void;
  on(event: 'disconnComplete', listener: (handle: number) => void): void;
  onSocketData(packet: Buffer): void;
}

interface Inside {
  _onDiscover(...heard: unknown[]): void;
  _onStateChange(state: string): void;
  _bindings: {
    onStateChange(state: string): void;
    emit(event: string, state: string): void;
    onDiscover(...heard: unknown[]): void;
    on(event: string, listener: (state: string) => void): void;
    _addresses: Record<string, string>;
    _pendingConnectionUuid: string | null;
    _hci: Hci;
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

/** With the part that speaks HCI, which noble makes when it is started, and no controller behind it. */
async function withController() {
  const noble = await newNoble({});
  const NobleHci = createRequire(import.meta.url)('@abandonware/noble/lib/hci-socket/hci.js') as new (
    options: object,
  ) => Hci;
  const hci = new NobleHci({ hciDriver: 'uart' });
  hci._socket.write = () => undefined;
  inside(noble)._bindings._hci = hci;
  return { hci, noble };
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

  it('tells of a reset by somebody else, and of none of its own', async () => {
    const { hci, noble } = await withController();
    let told = 0;
    onForeignReset(noble, () => {
      told += 1;
    });
    // Command Complete for HCI_Reset.
    const complete = Buffer.of(0x04, 0x0e, 4, 1, 0x03, 0x0c, 0);
    hci.reset();
    hci.onSocketData(complete);
    expect(told).toBe(0);
    hci.onSocketData(complete);
    expect(told).toBe(1);
  });

  it('takes all links for ended that its controller has forgotten', async () => {
    const { hci, noble } = await withController();
    for (const handle of [0x40, 0x141]) hci._aclConnections.set(handle, { pending: 0 });
    const ended: number[] = [];
    hci.on('disconnComplete', (handle) => ended.push(handle));
    endLinks(noble);
    expect(ended).toEqual([0x40, 0x141]);
    expect(hci._aclConnections.size).toBe(0);
  });

  it('tells its state before it ends the links for it', async () => {
    const noble = await hearing('c0:00:00:00:00:01');
    const device = heardDevices(noble).get('c00000000001');
    if (device === undefined) throw new Error('not heard');
    Object.assign(device, { state: 'connected' });
    inside(noble)._onStateChange('poweredOn');
    const order: string[] = [];
    device.on('disconnect', () => order.push('link ended'));
    // As noble does when it is started.
    inside(noble)._bindings.on('stateChange', (state) => inside(noble)._onStateChange(state));
    onState(noble, (state) => order.push(state));
    inside(noble)._bindings.emit('stateChange', 'poweredOff');
    expect(order).toEqual(['poweredOff', 'link ended']);
  });

  it('knows whether it waits for a connection', async () => {
    const noble = await newNoble({});
    expect(isConnecting(noble)).toBe(false);
    inside(noble)._bindings._pendingConnectionUuid = 'c00000000001';
    expect(isConnecting(noble)).toBe(true);
  });
});

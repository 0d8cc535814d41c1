import { existsSync } from 'node:fs';
import type { Bleno, ConnectionHandle } from '@stoprocent/bleno';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { BlenoAdapter } from '../../drivers/ble/bleno-adapter.ts';
import { DRAFT_GATT_PROFILE } from '../../drivers/ble/gatt-profile.ts';
import { systemTimers } from '../../drivers/system-time.ts';
import { NobleCentral } from '../fixtures/noble-central.ts';
import type { Adapter } from '../fixtures/virtual-radio/adapter.ts';
import { ATTRIBUTE, STATUS } from '../fixtures/virtual-radio/hci-numbers.ts';
import { VirtualRadio } from '../fixtures/virtual-radio/virtual-radio.ts';

/** A peripheral that keeps what is written and indicates what it is told to, with nothing of CoAP. */
interface Station {
  readonly adapter: Adapter;
  readonly written: Buffer[];
  /** Indications that the central confirmed. */
  readonly confirmed: number[];
  indicate(value: Buffer): void;
}

let radio: VirtualRadio;
let hub: Adapter;
let central: NobleCentral;
const stacks: BlenoAdapter[] = [];

beforeEach(async () => {
  radio = new VirtualRadio();
  hub = await radio.plugIn();
  central = await NobleCentral.open(hub.path);
});

afterEach(async () => {
  central.close();
  for (const stack of stacks.splice(0)) stack.close();
  // No host sent a command that the radio does not know, nor more than its buffers hold.
  const faults = radio.controllers.map(({ overflows, unknownCommands }) => ({ overflows, unknownCommands }));
  await radio.close();
  expect(faults).toEqual(radio.controllers.map(() => ({ overflows: 0, unknownCommands: [] })));
});

async function station(name: string): Promise<Station> {
  const adapter = await radio.plugIn({ advertisingInterval: 20 });
  const stack = await BlenoAdapter.open({ hci: adapter.path, timers: systemTimers });
  stacks.push(stack);
  const written: Buffer[] = [];
  const confirmed: number[] = [];
  let update: ((value: Buffer) => void) | undefined;
  const { bleno } = stack;
  await bleno.setServicesAsync([service(bleno)]);
  await bleno.startAdvertisingAsync(name, [DRAFT_GATT_PROFILE.service]);
  return { adapter, written, confirmed, indicate: (value) => update?.(value) };

  function service({ Characteristic, PrimaryService }: Bleno) {
    const downstream = new Characteristic({
      uuid: DRAFT_GATT_PROFILE.downstream,
      properties: ['write'],
      onWriteRequest: (_handle, data, _offset, _withoutResponse, answer) => {
        written.push(data);
        answer(Characteristic.RESULT_SUCCESS);
      },
    });
    const upstream = new Characteristic({
      uuid: DRAFT_GATT_PROFILE.upstream,
      properties: ['indicate'],
      onSubscribe: (_handle, _size, callback) => {
        update = callback;
      },
      onIndicate: (handle: ConnectionHandle) => {
        confirmed.push(Number(handle));
      },
    });
    return new PrimaryService({ uuid: DRAFT_GATT_PROFILE.service, characteristics: [downstream, upstream] });
  }
}

const bytes = (length: number, seed = 0) =>
  Buffer.from(Array.from({ length }, (_, index) => (index * 7 + seed) & 0xff));

test('a value of 500 bytes is written in pieces and arrives whole', async () => {
  const tube = await station('tube-1');
  const [found] = await central.find('tube-1');
  const link = await central.link(found as NonNullable<typeof found>);
  await link.downstream.writeAsync(bytes(500), false);
  expect(tube.written).toEqual([bytes(500)]);
});

test('with MTU 23 a value of 300 bytes arrives whole too', async () => {
  const tube = await station('tube-1');
  tube.adapter.controller.faults.attMtu = 23;
  const [found] = await central.find('tube-1');
  const link = await central.link(found as NonNullable<typeof found>);
  await link.downstream.writeAsync(bytes(300), false);
  expect(link.peripheral.mtu).toBe(23);
  expect(tube.written).toEqual([bytes(300)]);
});

test('indications arrive and are confirmed', async () => {
  const tube = await station('tube-1');
  const [found] = await central.find('tube-1');
  const link = await central.link(found as NonNullable<typeof found>);
  tube.indicate(bytes(200));
  await expect.poll(() => tube.confirmed).toHaveLength(1);
  expect(link.indicated).toEqual([bytes(200)]);
});

test('an indication whose confirmation is lost is not confirmed', async () => {
  const tube = await station('tube-1');
  const [found] = await central.find('tube-1');
  const link = await central.link(found as NonNullable<typeof found>);
  tube.adapter.controller.faults.drop('toPeripheral', ATTRIBUTE.confirmation);
  tube.indicate(bytes(20));
  await expect.poll(() => link.indicated).toHaveLength(1);
  await link.downstream.writeAsync(bytes(1), false);
  expect(tube.confirmed).toEqual([]);
});

test('several links carry at once, each its own', async () => {
  const names = ['tube-1', 'tube-2', 'tube-3', 'tube-4'];
  const stations = [];
  for (const name of names) stations.push(await station(name));
  const links = [];
  for (const peripheral of await central.find(...names)) links.push(await central.link(peripheral));
  await Promise.all(links.map((link, index) => link.downstream.writeAsync(bytes(500, index), false)));
  expect(stations.map(({ written }) => written)).toEqual(names.map((_, index) => [bytes(500, index)]));
  expect(hub.controller.links.size).toBe(4);
});

test('a disconnection is heard at both ends, and the peripheral can be linked again', async () => {
  const tube = await station('tube-1');
  const [found] = await central.find('tube-1');
  const peripheral = found as NonNullable<typeof found>;
  const link = await central.link(peripheral);
  await peripheral.disconnectAsync();
  expect(await link.gone).toBe(STATUS.endedHere);
  await expect.poll(() => tube.adapter.controller.isAdvertising).toBe(true);
  const again = await central.link(peripheral);
  await again.downstream.writeAsync(bytes(9), false);
  expect(tube.written).toEqual([bytes(9)]);
});

test('a link lost in the middle of a write ends it at both hosts', async () => {
  const tube = await station('tube-1');
  const [found] = await central.find('tube-1');
  const link = await central.link(found as NonNullable<typeof found>);
  const carried = tube.adapter.controller.lastLink?.carried.toPeripheral ?? 0;
  const lost = tube.adapter.controller.faults.loseLinkAfter('toPeripheral', carried + 300);
  const written = link.downstream.writeAsync(bytes(500), false).then(
    () => 'written',
    () => 'refused',
  );
  await lost;
  expect(await link.gone).toBe(STATUS.connectionTimeout);
  expect(await Promise.race([written, settled()])).not.toBe('written');
  expect(tube.written).toEqual([]);
});

test('an adapter that is pulled out takes its links along, and is as new when it is back', async () => {
  const tube = await station('tube-1');
  const [found] = await central.find('tube-1');
  await central.link(found as NonNullable<typeof found>);
  await hub.unplug();
  expect(tube.adapter.controller.links.size).toBe(0);
  expect(existsSync(hub.path)).toBe(false);
  // noble hears nothing of it: serialport reads on from a pty that hung up.
  central.close();
  await hub.plug();
  central = await NobleCentral.open(hub.path);
  expect(await central.find('tube-1')).toHaveLength(1);
});

test('nothing of noble and bleno listens to SIGINT when they are closed', async () => {
  await station('tube-1');
  central.close();
  for (const stack of stacks.splice(0)) stack.close();
  expect(process.listenerCount('SIGINT')).toBe(0);
});

/** After everything that is under way now. */
function settled(): Promise<'nothing'> {
  return new Promise((resolve) => setImmediate(() => resolve('nothing')));
}

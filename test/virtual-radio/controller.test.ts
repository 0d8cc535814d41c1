import { beforeEach, expect, test } from 'vitest';
import { FakeTime } from '../fakes/fake-time.ts';
import { words } from '../fixtures/virtual-radio/h4.ts';
import { COMMAND, EVENT, STATUS } from '../fixtures/virtual-radio/hci-numbers.ts';
import { VirtualRadio } from '../fixtures/virtual-radio/virtual-radio.ts';
import { FIRST_HANDLE, HciHost } from './hci-host.ts';

let time: FakeTime;
let radio: VirtualRadio;
let hub: HciHost;
let tube: HciHost;

beforeEach(() => {
  time = new FakeTime();
  radio = new VirtualRadio({ timers: time });
  hub = new HciHost(radio.controller());
  tube = new HciHost(radio.controller());
});

test('a command that arrives byte by byte is answered once', () => {
  for (const byte of [1, 0x09, 0x10, 0]) hub.controller.receive(Buffer.of(byte));
  expect(hub.heard.map((packet) => packet.toString('hex'))).toEqual(['040e0a01091000010000eeffc0']);
});

test('two commands in one piece are both answered', () => {
  const reset = Buffer.of(1, 0x03, 0x0c, 0);
  hub.controller.receive(Buffer.concat([reset, reset]));
  expect(hub.events(EVENT.commandComplete)).toHaveLength(2);
});

test('a command that it does not know is refused and kept for the test to see', () => {
  hub.command(0xfc01);
  expect(hub.events(EVENT.commandStatus)).toEqual([Buffer.of(STATUS.unknownCommand, 1, 0x01, 0xfc)]);
  expect(hub.controller.unknownCommands).toEqual([0xfc01]);
});

test('who scans hears advertisement and scan response, with the strength of the peer', () => {
  tube.controller.rssi = -71;
  hub.scan();
  tube.advertise('tube-1');
  expect(hub.reports).toEqual([
    { type: 0, text: 'flags', rssi: -71 },
    { type: 4, text: 'tube-1', rssi: -71 },
  ]);
});

test('advertising events come at the interval that the host asked for, and stop with it', async () => {
  tube.advertise('tube-1', { interval: 160 });
  hub.scan();
  await time.advance(99);
  expect(hub.reports).toHaveLength(0);
  await time.advance(201);
  expect(hub.reports).toHaveLength(6);
  tube.command(COMMAND.leSetAdvertisingEnable, Buffer.of(0));
  await time.advance(1_000);
  expect(hub.reports).toHaveLength(6);
  expect(time.pendingTimers).toBe(0);
});

test('the interval of the radio goes before that of the host', async () => {
  const fast = new HciHost(radio.controller({ advertisingInterval: 20 }));
  hub.scan();
  fast.advertise('fast');
  await time.advance(100);
  expect(hub.reports).toHaveLength(12);
});

test('by hand, it advertises when told to', async () => {
  const device = new HciHost(radio.controller({ advertisingInterval: 'by hand' }));
  device.advertise('device');
  hub.scan();
  await time.advance(10_000);
  expect(hub.reports).toHaveLength(0);
  device.controller.advertise();
  expect(hub.reports).toHaveLength(2);
});

test('duplicates are filtered for who asks for it, until the next scan', async () => {
  hub.scan({ filtersDuplicates: true });
  tube.advertise('tube-1');
  await time.advance(1_000);
  expect(hub.reports).toHaveLength(2);
  hub.scan({ filtersDuplicates: true });
  await time.advance(100);
  expect(hub.reports).toHaveLength(4);
});

test('a connection comes about with the next advertising event, and both hosts hear of each other', async () => {
  tube.advertise('tube-1');
  hub.connect(tube.controller);
  expect(hub.connections).toEqual([]);
  await time.advance(100);
  expect(hub.connections).toEqual([STATUS.success]);
  expect(tube.connections).toEqual([STATUS.success]);
  expect(tube.controller.isAdvertising).toBe(false);
});

test('a connection that is cancelled fails, and does not come about later', async () => {
  hub.connect(tube.controller);
  hub.command(COMMAND.leCancelConnection);
  expect(hub.connections).toEqual([STATUS.unknownConnection]);
  tube.advertise('tube-1');
  await time.advance(200);
  expect(tube.connections).toEqual([]);
});

test('a second connection is not begun while one is under way', () => {
  hub.connect(tube.controller);
  hub.connect(tube.controller);
  expect(hub.events(EVENT.commandStatus).at(-1)?.[0]).toBe(STATUS.commandDisallowed);
});

test('a controller at its limit begins no connection', async () => {
  const small = new HciHost(radio.controller({ maximumLinks: 1 }));
  tube.advertise('tube-1');
  small.connect(tube.controller);
  await time.advance(100);
  small.connect(hub.controller);
  expect(small.events(EVENT.commandStatus).at(-1)?.[0]).toBe(STATUS.connectionLimit);
});

test('disconnecting is heard at both ends, each with its own reason', async () => {
  await connected();
  hub.command(COMMAND.disconnect, words(FIRST_HANDLE), Buffer.of(STATUS.endedByPeer));
  expect(hub.disconnections).toEqual([STATUS.endedHere]);
  expect(tube.disconnections).toEqual([STATUS.endedByPeer]);
});

test('a host that resets its controller hears nothing of its links, and the peer loses them', async () => {
  await connected();
  tube.command(COMMAND.reset);
  expect(tube.disconnections).toEqual([]);
  expect(hub.disconnections).toEqual([STATUS.connectionTimeout]);
});

test('the strength of a peer can be read while it is connected', async () => {
  tube.controller.rssi = -48;
  await connected();
  hub.command(COMMAND.readRssi, words(FIRST_HANDLE));
  expect(hub.events(EVENT.commandComplete).at(-1)?.readInt8(6)).toBe(-48);
});

test('more packets than there are buffers are counted against the host', async () => {
  await connected();
  tube.controller.faults.stall('toPeripheral');
  for (let count = 0; count < 8; count += 1) hub.attribute(FIRST_HANDLE, 0x12, count);
  expect(hub.controller.overflows).toBe(0);
  hub.attribute(FIRST_HANDLE, 0x12, 8);
  expect(hub.controller.overflows).toBe(1);
});

test('the power is off without a host: peers lose their links, and no timer is left', async () => {
  await connected();
  tube.controller.detach();
  hub.controller.detach();
  expect(hub.disconnections).toEqual([STATUS.connectionTimeout]);
  expect(time.pendingTimers).toBe(0);
});

async function connected(): Promise<void> {
  tube.advertise('tube-1');
  hub.connect(tube.controller);
  await time.advance(100);
  expect(hub.connections).toEqual([STATUS.success]);
}

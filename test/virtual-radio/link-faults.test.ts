import { beforeEach, expect, test } from 'vitest';
import { FakeTime } from '../fakes/fake-time.ts';
import { words } from '../fixtures/virtual-radio/h4.ts';
import { ATTRIBUTE, COMMAND, STATUS } from '../fixtures/virtual-radio/hci-numbers.ts';
import { VirtualRadio } from '../fixtures/virtual-radio/virtual-radio.ts';
import { FIRST_HANDLE, HciHost } from './hci-host.ts';

/** Header of L2CAP, opcode, and what follows: 4 + 1 + n bytes. */
const HUNDRED = Array.from({ length: 95 }, (_, index) => index);

let time: FakeTime;
let radio: VirtualRadio;
let hub: HciHost;
let tube: HciHost;

beforeEach(async () => {
  time = new FakeTime();
  radio = new VirtualRadio({ timers: time });
  hub = new HciHost(radio.controller());
  tube = new HciHost(radio.controller());
  await connect();
});

async function connect(): Promise<void> {
  tube.advertise('tube-1');
  hub.connect(tube.controller);
  await time.advance(100);
}

test('without an order everything arrives, in fragments too', () => {
  const long = Array.from({ length: 500 }, (_, index) => index & 0xff);
  hub.attribute(FIRST_HANDLE, ...long);
  expect(Buffer.concat(tube.data).subarray(4)).toEqual(Buffer.from(long));
  expect(hub.packetsCompleted).toBe(3);
  expect(tube.controller.lastLink?.carried.toPeripheral).toBe(504);
});

test('latency holds each way by itself, and keeps the order when it shrinks', async () => {
  tube.controller.faults.latency = { toPeripheral: 15, toCentral: 40 };
  hub.attribute(FIRST_HANDLE, 0x12, 1);
  tube.controller.faults.latency = { toPeripheral: 1, toCentral: 40 };
  hub.attribute(FIRST_HANDLE, 0x12, 2);
  tube.attribute(FIRST_HANDLE, 0x1d, 3);
  await time.advance(14);
  expect(tube.attributes).toEqual([]);
  await time.advance(1);
  expect(tube.attributes).toEqual([
    [0x12, 1],
    [0x12, 2],
  ]);
  expect(hub.attributes).toEqual([]);
  await time.advance(25);
  expect(hub.attributes).toEqual([[0x1d, 3]]);
});

test('the end of a connection comes behind what was sent before it', async () => {
  radio.latency = { toPeripheral: 15, toCentral: 15 };
  hub.attribute(FIRST_HANDLE, 0x12, 1);
  hub.command(COMMAND.disconnect, words(FIRST_HANDLE), Buffer.of(STATUS.endedByPeer));
  await time.advance(15);
  expect(tube.attributes).toEqual([[0x12, 1]]);
  expect(tube.disconnections).toEqual([STATUS.endedByPeer]);
});

test.each([
  { bytes: 0, arrived: [] },
  { bytes: 26, arrived: [] },
  { bytes: 27, arrived: [27] },
  { bytes: 99, arrived: [81] },
  { bytes: 100, arrived: [100] },
  { bytes: 101, arrived: [100] },
  { bytes: 127, arrived: [100, 27] },
  { bytes: 200, arrived: [100, 100] },
])('a link lost after $bytes bytes has carried whole PDUs of the link layer: $arrived', async ({ bytes, arrived }) => {
  const lost = tube.controller.faults.loseLinkAfter('toPeripheral', bytes);
  hub.attribute(FIRST_HANDLE, 0x12, ...HUNDRED);
  hub.attribute(FIRST_HANDLE, 0x12, ...HUNDRED);
  await lost;
  expect(tube.data.map((payload) => payload.length)).toEqual(arrived);
  for (const host of [hub, tube]) expect(host.disconnections).toEqual([STATUS.connectionTimeout]);
});

test('a loss counts the bytes of its own direction only, and happens once', async () => {
  const lost = tube.controller.faults.loseLinkAfter('toCentral', 50);
  hub.attribute(FIRST_HANDLE, 0x12, ...HUNDRED);
  expect(hub.disconnections).toEqual([]);
  tube.attribute(FIRST_HANDLE, 0x1d, ...HUNDRED);
  await lost;
  await connect();
  tube.attribute(FIRST_HANDLE, 0x1d, ...HUNDRED);
  expect(hub.disconnections).toEqual([STATUS.connectionTimeout]);
  expect(hub.attributes.at(-1)).toEqual([0x1d, ...HUNDRED]);
});

test('what is on its way when a link is lost arrives on no later one', async () => {
  radio.latency = { toPeripheral: 50, toCentral: 50 };
  hub.attribute(FIRST_HANDLE, 0x12, 1);
  tube.controller.loseLinks();
  await connect();
  await time.advance(1_000);
  expect(tube.attributes).toEqual([]);
});

test('a stalled reader takes nothing in, and then everything in order', () => {
  tube.controller.faults.stall('toPeripheral');
  hub.attribute(FIRST_HANDLE, 0x12, 1);
  hub.attribute(FIRST_HANDLE, 0x12, 2);
  expect(tube.attributes).toEqual([]);
  expect(hub.packetsCompleted).toBe(0);
  tube.controller.faults.flow('toPeripheral');
  expect(tube.attributes).toEqual([
    [0x12, 1],
    [0x12, 2],
  ]);
  expect(hub.packetsCompleted).toBe(2);
});

test('confirmations are lost while they are ordered to be, and nothing else is', () => {
  tube.controller.faults.drop('toPeripheral', ATTRIBUTE.confirmation);
  hub.attribute(FIRST_HANDLE, ATTRIBUTE.confirmation);
  hub.attribute(FIRST_HANDLE, ATTRIBUTE.writeRequest, 1);
  tube.controller.faults.pass('toPeripheral', ATTRIBUTE.confirmation);
  hub.attribute(FIRST_HANDLE, ATTRIBUTE.confirmation);
  expect(tube.attributes).toEqual([[ATTRIBUTE.writeRequest, 1], [ATTRIBUTE.confirmation]]);
});

test('a peer with MTU 23 negotiates it, whatever the two hosts say', () => {
  tube.controller.faults.attMtu = 23;
  hub.attribute(FIRST_HANDLE, ATTRIBUTE.mtuRequest, ...words(517));
  tube.attribute(FIRST_HANDLE, ATTRIBUTE.mtuResponse, ...words(256));
  expect(tube.attributes).toEqual([[ATTRIBUTE.mtuRequest, 23, 0]]);
  expect(hub.attributes).toEqual([[ATTRIBUTE.mtuResponse, 23, 0]]);
});

test('a refused connection fails with the status that was ordered', async () => {
  tube.controller.loseLinks();
  tube.controller.refusal = STATUS.connectionLimit;
  await connect();
  expect(hub.connections).toEqual([STATUS.success, STATUS.connectionLimit]);
  expect(tube.connections).toEqual([STATUS.success]);
});

test('a connection that is never established is there and gone', async () => {
  tube.controller.loseLinks();
  tube.controller.refusal = 'never established';
  await connect();
  expect(hub.connections).toEqual([STATUS.success, STATUS.success]);
  expect(hub.disconnections).toEqual([STATUS.connectionTimeout, STATUS.neverEstablished]);
});

test('a device out of range is lost and not heard, until it comes back', async () => {
  tube.controller.leave();
  expect(hub.disconnections).toEqual([STATUS.connectionTimeout]);
  hub.scan();
  await connect();
  expect(hub.reports).toEqual([]);
  expect(hub.connections).toEqual([STATUS.success]);
  tube.controller.comeBack();
  await time.advance(100);
  expect(hub.reports).not.toEqual([]);
  expect(hub.connections).toEqual([STATUS.success, STATUS.success]);
});

test('a controller that hangs says nothing and keeps nothing', () => {
  hub.controller.hangs = true;
  const before = hub.heard.length;
  hub.command(COMMAND.readAddress);
  tube.attribute(FIRST_HANDLE, 0x1d, 1);
  expect(hub.heard).toHaveLength(before);
});

test('after a device reset its own host hears nothing, and has to advertise again', async () => {
  tube.controller.powerCycle();
  expect(tube.disconnections).toEqual([]);
  expect(hub.disconnections).toEqual([STATUS.connectionTimeout]);
  hub.connect(tube.controller);
  await time.advance(1_000);
  expect(hub.connections).toEqual([STATUS.success]);
});

test('an impostor with the same name is told apart by its address alone', async () => {
  const impostor = new HciHost(radio.controller({ address: 'de:ad:be:ef:00:01' }));
  const scanner = new HciHost(radio.controller());
  tube.controller.loseLinks();
  scanner.scan({ filtersDuplicates: true });
  tube.advertise('tube-1');
  impostor.advertise('tube-1');
  await time.advance(100);
  const names = scanner.reports.filter(({ type }) => type === 4).map(({ text }) => text);
  expect(names).toEqual(['tube-1', 'tube-1']);
  scanner.connect(impostor.controller);
  await time.advance(100);
  expect(impostor.connections).toEqual([STATUS.success]);
  expect(tube.connections).toEqual([STATUS.success]);
});

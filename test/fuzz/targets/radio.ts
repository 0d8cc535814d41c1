/** The radio: packets of a peer over the air, and events of a controller that has gone wrong. */
import { monotonic, systemRandom, systemTimers } from '../../../drivers/system-time.ts';
import { GattEndpoint } from '../../../src/codec/gatt-endpoint.ts';
import { COAP_CODE } from '../../../src/codec/iana.ts';
import { EMPTY } from '../../../src/core/bytes.ts';
import type { Controller } from '../../fixtures/virtual-radio/controller.ts';
import { GattPeripheral } from '../../fixtures/virtual-radio/gatt-peripheral.ts';
import { dataPacket, eventPacket, words } from '../../fixtures/virtual-radio/h4.ts';
import { EVENT, LE_EVENT } from '../../fixtures/virtual-radio/hci-numbers.ts';
import type { HubUnderTest } from '../hub-under-test.ts';
import { type FuzzTarget, within } from '../target.ts';

const ATTRIBUTES = 4;
const SIGNALLING = 5;
const SECURITY = 6;

function advertised(test: HubUnderTest, name: string): Controller {
  const controller = test.air.controller({ advertisingInterval: 20 });
  const endpoint = new GattEndpoint({
    timers: systemTimers,
    random: systemRandom,
    clock: { monotonic },
    handler: async () => ({ code: COAP_CODE.notFound, payload: EMPTY }),
  });
  new GattPeripheral({ controller, endpoint, name }).start();
  return controller;
}

function l2cap(channel: number, ...bytes: readonly number[]): Buffer {
  return Buffer.concat([words(bytes.length, channel), Buffer.from(bytes)]);
}

export function radioTargets(test: HubUnderTest): readonly FuzzTarget[] {
  const attacker = advertised(test, 'tube-2');
  const device = advertised(test, 'tube-3');
  /** The device beside the attacker is visited again. */
  const honest = async () => {
    const before = device.lastLink;
    await within(
      60_000,
      'the hub connects to an honest device',
      () => device.lastLink !== before && device.lastLink?.isUp === true,
    );
  };
  const isLinked = () => [...attacker.links.values()].some((link) => link.isUp);
  const overTheAir: FuzzTarget = {
    name: 'l2cap',
    seeds: [
      l2cap(ATTRIBUTES, 0x1d, 5, 0, 1, 2, 3),
      l2cap(ATTRIBUTES, 0x1b, 5, 0, 1),
      l2cap(ATTRIBUTES, 0x03, 0, 1),
      l2cap(ATTRIBUTES, 0x02, 23, 0),
      l2cap(ATTRIBUTES, 0x01, 0x10, 1, 0, 0x0a),
      l2cap(ATTRIBUTES, 0x11, 6, 1, 0, 6, 0, 0, 0x28),
      l2cap(ATTRIBUTES, 0x11, 0, 1, 0, 6, 0, 0, 0x28),
      l2cap(ATTRIBUTES, 0x09, 7, 2, 0, 8, 3, 0, 1, 2),
      l2cap(ATTRIBUTES, 0x05, 1, 6, 0, 2, 0x29),
      l2cap(ATTRIBUTES, 0x07, 1, 0, 6, 0),
      l2cap(ATTRIBUTES, 0x13),
      l2cap(ATTRIBUTES, 0x0b, 1, 2, 3),
      l2cap(ATTRIBUTES, 0x12, 3, 0, 1),
      l2cap(ATTRIBUTES, 0x1e),
      l2cap(SIGNALLING, 0x12, 1, 8, 0, 6, 0, 12, 0, 0, 0, 100, 0),
      l2cap(SIGNALLING, 0x13, 1, 2, 0, 0, 0),
      l2cap(SECURITY, 0x01, 3, 0, 1, 16, 0, 0),
      l2cap(SECURITY, 0x02, 3, 0, 1, 16, 0, 0),
      l2cap(SECURITY, 0x0b, 1),
    ],
    batch: 60,
    parallel: 1,
    async send(input) {
      // It may end the link of a peer that breaks the rules, and comes back in its own time.
      const deadline = performance.now() + 500;
      while (!isLinked() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
      const handle = attacker.links.keys().next().value;
      if (handle === undefined) return;
      for (let at = 0; at === 0 || at < input.length; at += 27) {
        attacker.receive(dataPacket(handle, at === 0 ? 0 : 1, input.subarray(at, at + 27)));
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    },
    honest,
    async close() {
      attacker.detach();
      device.detach();
    },
  };
  const report = Buffer.concat([
    Buffer.of(LE_EVENT.advertisingReport, 1, 0, 0),
    Buffer.from('060504030201', 'hex'),
    Buffer.of(9, 2, 1, 6, 5, 9),
    Buffer.from('tube'),
    Buffer.of(0xc4),
  ]);
  const fromController: FuzzTarget = {
    name: 'hci',
    seeds: [
      eventPacket(EVENT.leMeta, report),
      eventPacket(EVENT.leMeta, Buffer.of(LE_EVENT.connectionComplete, 0x3e), Buffer.alloc(17)),
      eventPacket(EVENT.leMeta, Buffer.of(LE_EVENT.connectionUpdated, 0, 1, 0, 6, 0, 0, 0, 100, 0)),
      eventPacket(EVENT.leMeta, Buffer.of(0x0d, 1), Buffer.alloc(24)),
      eventPacket(EVENT.leMeta, Buffer.of(0x0a, 0), Buffer.alloc(28)),
      eventPacket(EVENT.disconnected, Buffer.of(0, 0x40, 0, 0x13)),
      eventPacket(EVENT.commandComplete, Buffer.of(1, 0x09, 0x10, 0, 1, 2, 3, 4, 5, 6)),
      eventPacket(EVENT.commandComplete, Buffer.of(1, 0x02, 0x20, 0, 27, 0, 4)),
      eventPacket(EVENT.commandStatus, Buffer.of(0, 1, 0x0d, 0x20)),
      eventPacket(EVENT.completedPackets, Buffer.of(1, 0x40, 0, 1, 0)),
      eventPacket(0x08, Buffer.of(0, 0x40, 0, 1)),
      eventPacket(0x10, Buffer.of(0x42)),
      dataPacket(0x40, 2, l2cap(ATTRIBUTES, 0x1b, 5, 0, 1)),
    ],
    batch: 30,
    parallel: 1,
    async send(input) {
      test.adapter.say(Buffer.from(input));
      await new Promise((resolve) => setTimeout(resolve, 5));
    },
    honest,
    async close() {
      // The hub has the adapter.
    },
  };
  return [overTheAir, fromController];
}

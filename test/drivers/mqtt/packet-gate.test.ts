import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { PacketGate } from '../../../drivers/mqtt/packet-gate.ts';
import { refuse } from '../../../src/codec/mqtt/packet-reader.ts';
import { CONNACK, PINGREQ, packet, properties, publish, subscribe } from '../../fixtures/mqtt-packets.ts';

const GOOD = publish({ topic: 'a/b', id: 1, payload: 'good' });
const MALFORMED = publish({ topic: 'a/b', id: 2, properties: properties([0x23, 0, 1]), payload: 'bad' });

let leftOut: unknown[];
beforeEach(() => {
  leftOut = [];
});

function gate(options: { readonly mostBytes?: number; readonly leavesOut?: boolean } = {}): PacketGate {
  return new PacketGate({
    sender: 'client',
    mostBytes: () => options.mostBytes ?? 65_536,
    judge: ({ filters }) => (filters.includes('forbidden') ? refuse(0x87, 'forbidden') : undefined),
    leavesOut: ({ what }, qos, packetId) => {
      leftOut.push([what, qos, packetId]);
      return options.leavesOut ?? false;
    },
  });
}

test('packets pass as they are, however they are cut', () => {
  const bytes = Buffer.concat([
    GOOD,
    PINGREQ,
    subscribe(3, 'a/#'),
    publish({ topic: 'c', payload: 'x'.repeat(300) }),
    GOOD,
  ]);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: bytes.length })), (cuts) => {
      const own = gate();
      const passed: Buffer[] = [];
      let at = 0;
      for (const cut of [...cuts.sort((a, b) => a - b), bytes.length]) {
        const taken = own.take(Buffer.from(bytes.subarray(at, cut)));
        expect(taken.refusal).toBeUndefined();
        passed.push(...taken.passed);
        at = cut;
      }
      expect(Buffer.concat(passed)).toEqual(bytes);
      expect(own.held).toBe(0);
    }),
  );
});

test('a packet passes whole or not at all', () => {
  const own = gate();
  expect(own.take(GOOD.subarray(0, -1)).passed).toEqual([]);
  expect(own.held).toBe(GOOD.length - 1);
  expect(Buffer.concat(own.take(GOOD.subarray(-1)).passed)).toEqual(GOOD);
});

test('a malformed message is left out from between the others', () => {
  const own = gate({ leavesOut: true });
  const { passed, refusal } = own.take(Buffer.concat([MALFORMED, GOOD, MALFORMED, PINGREQ, MALFORMED]));
  expect(Buffer.concat(passed)).toEqual(Buffer.concat([GOOD, PINGREQ]));
  expect(refusal).toBeUndefined();
  expect(leftOut).toEqual(Array(3).fill(['Topic Alias was not allowed', 1, 2]));
});

describe('nothing passes behind', () => {
  test.each<[string, Buffer, number]>([
    ['a malformed message that is not left out', MALFORMED, 0x94],
    ['a packet that the caller refuses', subscribe(1, 'forbidden'), 0x87],
    ['a packet of the other end', CONNACK, 0x82],
    ['a packet that is too large, of which the header says so', Buffer.of(0x30, 0xff, 0xff, 0xff, 0x7f), 0x95],
    ['a length without end', Buffer.of(0x30, 0xff, 0xff, 0xff, 0xff), 0x81],
    ['a length that is longer than it must be', Buffer.of(0xc0, 0x80, 0), 0x81],
  ])('%s', (_, bytes, reason) => {
    const own = gate();
    const { passed, refusal } = own.take(Buffer.concat([GOOD, bytes, GOOD]));
    expect(passed).toEqual([GOOD]);
    expect(refusal?.reason).toBe(reason);
    expect(own.take(GOOD)).toEqual({ passed: [], refusal: undefined });
    expect(own.held).toBe(0);
  });

  test('a DISCONNECT, which itself passes', () => {
    const own = gate();
    const disconnect = packet(0xe0, []);
    expect(Buffer.concat(own.take(Buffer.concat([disconnect, GOOD])).passed)).toEqual(disconnect);
    expect(own.take(GOOD).passed).toEqual([]);
  });
});

test('a packet that comes byte by byte is copied a few times, and not for each byte', () => {
  const own = gate();
  const large = publish({ topic: 'a/b', id: 1, payload: 'x'.repeat(60_000) });
  const sizes = new Set<number>();
  for (const byte of large.subarray(0, -1)) {
    expect(own.take(Buffer.of(byte)).passed).toEqual([]);
    sizes.add(own.held);
  }
  expect(sizes.size).toBeLessThan(20);
  expect(Math.max(...sizes)).toBe(large.length);
  expect(own.take(large.subarray(-1)).passed).toEqual([large]);
});

test('of a packet no more is held than it may have', () => {
  const own = gate({ mostBytes: 100 });
  expect(own.take(Buffer.of(0x30, 98)).refusal).toBeUndefined();
  expect(gate({ mostBytes: 100 }).take(Buffer.of(0x30, 99)).refusal?.reason).toBe(0x95);
});

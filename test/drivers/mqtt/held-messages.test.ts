import { beforeEach, expect, test } from 'vitest';
import { HeldMessages, type OutgoingStore } from '../../../drivers/mqtt/held-messages.ts';
import { LIMITS } from '../../../src/core/limits.ts';

interface Packet {
  readonly topic: string;
  readonly payload: { readonly length: number };
}

let held: HeldMessages;
let store: OutgoingStore;

beforeEach(() => {
  held = new HeldMessages();
  const packets: Packet[] = [];
  store = {
    outgoingEnqueueCombi: async (sessions, packet) => {
      for (const _ of sessions) packets.push(packet);
    },
    outgoingClearMessageId: async () => packets.shift(),
  };
  held.watch(store);
});

const packet = (topic: string, length = 100): Packet => ({ topic, payload: { length } });

async function hold(count: number, each: Packet): Promise<void> {
  for (let index = 0; index < count; index += 1) await store.outgoingEnqueueCombi(['hub'], each);
}

test('what no session waits for is not held', async () => {
  await store.outgoingEnqueueCombi([], packet('ekg-1'));
  expect(held.all).toEqual({ messages: 0, bytes: 0 });
});

test('one device has its share, and gets room again when the hub acknowledges', async () => {
  await hold(LIMITS.embeddedHeldOfOneDevice, packet('rogue'));
  expect(held.hasRoom(packet('rogue'))).toBe(false);
  expect(held.hasRoom(packet('ekg-1'))).toBe(true);
  await store.outgoingClearMessageId({}, {});
  expect(held.hasRoom(packet('rogue'))).toBe(true);
});

test('all devices together have theirs, in messages', async () => {
  for (let device = 0; device * 128 < LIMITS.embeddedHeldMessages; device += 1)
    await hold(128, packet(`ekg-${device}`));
  expect(held.hasRoom(packet('another'))).toBe(false);
});

test('and in bytes', async () => {
  for (let device = 0; device < 4; device += 1) await hold(128, packet(`ekg-${device}`, 65_536));
  expect(held.all.bytes).toBe(LIMITS.embeddedHeldBytes);
  expect(held.hasRoom(packet('another', 1))).toBe(false);
});

test('an acknowledgement of nothing frees nothing', async () => {
  await store.outgoingClearMessageId({}, {});
  expect(held.all).toEqual({ messages: 0, bytes: 0 });
});

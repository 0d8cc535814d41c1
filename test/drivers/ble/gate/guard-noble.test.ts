/** The gate before the noble that is installed: what it lets through, noble reads without a failure, and to an end. */
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type BrokenRule, guardNoble } from '../../../../drivers/ble/gate/guard-noble.ts';
import { HOSTILE, type Hostility } from '../../../fixtures/hostile-peripheral.ts';
import { NobleWithoutAdapter } from '../../../fixtures/noble-without-adapter.ts';
import { dataPacket, eventPacket, words } from '../../../fixtures/virtual-radio/h4.ts';

const ATTRIBUTES = 4;

afterEach(() => {
  vi.restoreAllMocks();
});

async function connected(): Promise<NobleWithoutAdapter> {
  const noble = await NobleWithoutAdapter.open();
  noble.connect();
  return noble;
}

async function guarded(): Promise<{ readonly noble: NobleWithoutAdapter; readonly broken: BrokenRule[] }> {
  const noble = await NobleWithoutAdapter.open();
  const broken: BrokenRule[] = [];
  guardNoble(noble.noble, (rule) => broken.push(rule));
  noble.connect();
  return { noble, broken };
}

/** What the hostile peer does, in its place. */
function suffer(noble: NobleWithoutAdapter, { answers = {}, onConnected = [], raw }: Hostility): void {
  for (const [channel, ...payload] of onConnected) noble.bringOn(channel, Buffer.from(payload));
  if (raw !== undefined) noble.bring(dataPacket(0x40, 2, Buffer.from(raw)));
  for (const [request, answer] of Object.entries(answers)) {
    if (Number(request) !== 0x02) {
      noble.bringOn(ATTRIBUTES, Buffer.of(0x03, 0, 1));
      noble.discover();
    }
    noble.bringOn(ATTRIBUTES, Buffer.from(answer));
  }
}

const ENDLESS = 'a list of services of no length';

describe('a malformed packet', () => {
  it.each(Object.entries(HOSTILE).filter(([name]) => name !== ENDLESS))(
    'makes noble fail: %s',
    async (_, hostility) => {
      const noble = await connected();
      expect(() => suffer(noble, hostility)).toThrow();
    },
  );

  it.each(Object.entries(HOSTILE))('does not reach noble behind the gate: %s', async (_, hostility) => {
    const { broken, noble } = await guarded();
    suffer(noble, hostility);
    expect(noble.ended).toEqual([0x40]);
    expect(broken).toEqual([
      { rule: expect.stringMatching(/^(att|smp|signalling|l2cap) 0x/), address: 'c0:ff:ee:00:00:01' },
    ]);
  });

  it('is one for each link: what a peer that was hung up on still sends is not looked at', async () => {
    const { broken, noble } = await guarded();
    for (let round = 0; round < 10; round += 1) noble.bringOn(ATTRIBUTES, Buffer.of(0x1d));
    expect(broken).toHaveLength(1);
    noble.connect();
    noble.bringOn(ATTRIBUTES, Buffer.of(0x1d));
    expect(broken).toHaveLength(2);
  });
});

describe('advertisements that are malformed', () => {
  const cutOff = eventPacket(0x3e, Buffer.of(2, 1, 0, 0), Buffer.alloc(6, 1), Buffer.of(30, 2, 1, 6));
  const powerWithoutNumber = eventPacket(
    0x3e,
    Buffer.of(13, 1, 0x13, 0, 0),
    Buffer.alloc(20, 1),
    Buffer.of(2, 1, 0x0a),
  );
  const warn = () => vi.spyOn(console, 'warn').mockImplementation(() => undefined);

  it('have noble write a line for each, or fail', async () => {
    const warned = warn();
    const noble = await connected();
    noble.bring(cutOff);
    expect(warned).toHaveBeenCalledTimes(1);
    expect(() => noble.bring(powerWithoutNumber)).toThrow();
  });

  it('do not reach it, and cost no link', async () => {
    const warned = warn();
    const { broken, noble } = await guarded();
    noble.bring(cutOff);
    noble.bring(powerWithoutNumber);
    expect(warned).not.toHaveBeenCalled();
    expect(broken.map(({ rule }) => rule)).toEqual([
      'hci le 0x02: length of the data',
      'hci le 0x0d: field of the data',
    ]);
    expect(noble.ended).toEqual([]);
  });
});

/** Packets as an honest peer might send them, and with some bytes changed, added or taken away. */
const payload = fc.uint8Array({ maxLength: 40 });
const attribute = fc.oneof(
  payload,
  fc
    .tuple(fc.constantFrom(1, 3, 5, 7, 9, 11, 13, 17, 19, 23, 25, 27, 29, 30, 35), payload)
    .map(([opcode, rest]) => Uint8Array.of(opcode, ...rest)),
  fc
    .tuple(fc.constantFrom(6, 20, 0, 7), fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 2, maxLength: 6 }))
    .map(([length, handles]) => Uint8Array.of(0x11, length, ...words(...handles), ...new Uint8Array(length))),
);
const packet = fc.oneof(
  fc
    .tuple(fc.constantFrom(4, 4, 4, 5, 6, 0, 0x40), attribute)
    .map(([channel, bytes]) => dataPacket(0x40, 2, Buffer.concat([words(bytes.length, channel), bytes]))),
  fc.tuple(fc.constantFrom(0, 1, 2, 3), payload).map(([flags, bytes]) => dataPacket(0x40, flags, bytes)),
  fc
    .tuple(fc.constantFrom(0x05, 0x08, 0x0e, 0x0f, 0x13, 0x3e, 0xff), payload)
    .map(([code, bytes]) => eventPacket(code, bytes)),
  fc
    .tuple(fc.constantFrom(1, 2, 3, 7, 10, 13, 33), fc.uint8Array({ maxLength: 60 }))
    .map(([subevent, bytes]) => eventPacket(0x3e, Buffer.of(subevent), bytes)),
  fc.uint8Array({ minLength: 1, maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
);

describe('whatever a controller brings', () => {
  it('is read by noble without a failure, once the gate lets it through', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(packet, { maxLength: 30 }), fc.boolean(), async (packets, asks) => {
        const { broken, noble } = await guarded();
        if (asks) {
          noble.bringOn(ATTRIBUTES, Buffer.of(0x03, 0, 1));
          noble.discover();
        }
        for (const each of packets) {
          noble.bring(each);
          // A peer that was hung up on comes back.
          if (noble.ended.length > 0) {
            noble.ended.length = 0;
            noble.bring(eventPacket(0x05, Buffer.of(0), words(0x40), Buffer.of(0x13)));
            noble.connect();
            if (asks) noble.discover();
          }
        }
        expect(broken.filter(({ rule }) => rule.startsWith('stack'))).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});

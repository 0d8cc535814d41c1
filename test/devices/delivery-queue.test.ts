import { describe, expect, test } from 'vitest';
import { EMPTY, hex, utf8 } from '../../src/core/bytes.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { Secret } from '../../src/core/secret.ts';
import { decodeDelivery, encodeDelivery } from '../../src/devices/delivery.ts';
import { DeliveryQueue } from '../../src/devices/delivery-queue.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { FaultyStore } from '../fakes/faulty-store.ts';
import { QuietLog } from '../fakes/quiet-log.ts';

type NewDelivery = Parameters<DeliveryQueue['add']>[0];

let made = 0;

function delivery(changes: Partial<NewDelivery> = {}): NewDelivery {
  made += 1;
  return {
    id: made.toString(16).padStart(32, '0'),
    device: 'tube-1',
    audience: 'coap://tube-1',
    cwt: new Secret(utf8(`cwt ${made}`)),
    tokenHash: utf8(`hash${String(made).padStart(4, '0')}`),
    cti: utf8(`cti ${made}`),
    expiresAt: 2_000,
    scope: 'read',
    jwtBytes: 600,
    cwtBytes: 120,
    keysAge: 3,
    clock: 'sure',
    request: 'r1',
    ...changes,
  };
}

/** Tokens of `delivery` are alive then. */
const NOW = 1_000;
const MINUTE = 60_000;

async function queueOn(
  store: FaultyStore,
  { limits, log = new QuietLog(), time = new FakeTime({ now: NOW }) }: Partial<Surroundings> = {},
): Promise<DeliveryQueue> {
  const queue = new DeliveryQueue({ store, log, clock: time, ...(limits === undefined ? {} : { limits }) });
  await queue.load();
  return queue;
}

interface Surroundings {
  readonly log: QuietLog;
  readonly time: FakeTime;
  readonly limits: { readonly perDevice: number; readonly overall: number };
}

const accepted = { state: 'delivered', deviceCode: '2.01', receipt: true } as const;
const refused = { state: 'refused', deviceCode: '4.01', code: 'device_refused_token' } as const;
const expired = { state: 'expired', code: 'delivery_expired' } as const;

describe('DeliveryQueue', () => {
  test('what was queued is there after a restart, with its token', async () => {
    const store = new FaultyStore();
    const added = await (await queueOn(store)).add(delivery());
    const found = (await queueOn(new FaultyStore(store.entries))).next('tube-1');
    expect(found).toMatchObject({ id: added.id, state: 'queued' });
    expect(hex(found?.cwt?.expose() ?? EMPTY)).toBe(hex(added.cwt?.expose() ?? EMPTY));
  });

  test('hands out the oldest first, also after a restart', async () => {
    const store = new FaultyStore();
    const queue = await queueOn(store);
    const first = await queue.add(delivery({ id: 'f'.repeat(32) }));
    const second = await queue.add(delivery({ id: '0'.repeat(32) }));
    const again = await queueOn(new FaultyStore(store.entries));
    expect(again.next('tube-1')?.id).toBe(first.id);
    await again.end(first.id, accepted);
    expect(again.next('tube-1')?.id).toBe(second.id);
    const third = await again.add(delivery());
    expect(third.sequence).toBeGreaterThan(second.sequence);
  });

  test('the same token for the same device is one delivery', async () => {
    const queue = await queueOn(new FaultyStore());
    const cti = utf8('same');
    const [one, two] = await Promise.all([queue.add(delivery({ cti })), queue.add(delivery({ cti }))]);
    expect(two.id).toBe(one.id);
    expect(queue.counts().queued).toBe(1);
  });

  test('the same token for another device is another delivery', async () => {
    const queue = await queueOn(new FaultyStore());
    const cti = utf8('same');
    await queue.add(delivery({ cti }));
    await queue.add(delivery({ cti, device: 'tube-2' }));
    expect(queue.counts().queued).toBe(2);
  });

  test('a refused token may be tried again', async () => {
    const queue = await queueOn(new FaultyStore());
    const cti = utf8('same');
    const first = await queue.add(delivery({ cti }));
    await queue.end(first.id, refused);
    expect((await queue.add(delivery({ cti }))).id).not.toBe(first.id);
  });

  test('a delivered token may be sent again, and takes the room of one', async () => {
    const store = new FaultyStore();
    const queue = await queueOn(store);
    const cti = utf8('same');
    const first = await queue.add(delivery({ cti }));
    await queue.end(first.id, accepted);
    const second = await queue.add(delivery({ cti }));
    expect(second.id).not.toBe(first.id);
    expect(queue.get(first.id).state).toBe('delivered');
    await queue.end(second.id, accepted);
    expect([...store.entries.keys()]).toEqual([`delivery/${second.id}`]);
    expect(queue.list().map(({ id }) => id)).toEqual([second.id]);
  });

  test('its earlier delivery can be asked about for a minute, and then no more', async () => {
    const time = new FakeTime({ now: NOW });
    const queue = await queueOn(new FaultyStore(), { time });
    const cti = utf8('same');
    const first = await queue.add(delivery({ cti }));
    await queue.end(first.id, accepted);
    await queue.end((await queue.add(delivery({ cti }))).id, accepted);
    await time.advance(MINUTE - 1);
    expect(queue.get(first.id).state).toBe('delivered');
    await time.advance(1);
    expect(() => queue.get(first.id)).toThrow(expect.objectContaining({ code: 'delivery_unknown' }));
  });

  test('of earlier deliveries of the same token no more than their number are remembered', async () => {
    const queue = await queueOn(new FaultyStore());
    const cti = utf8('same');
    const ids: string[] = [];
    for (let count = 0; count < LIMITS.deliveriesReplaced + 3; count += 1) {
      const { id } = await queue.add(delivery({ cti }));
      await queue.end(id, accepted);
      ids.push(id);
    }
    expect(() => queue.get(ids[0] ?? '')).toThrow(expect.objectContaining({ code: 'delivery_unknown' }));
    expect(queue.get(ids.at(-1) ?? '').state).toBe('delivered');
    expect(queue.list()).toHaveLength(1);
  });

  test('a second copy that the device refuses leaves the first delivered: its client goes on', async () => {
    const queue = await queueOn(new FaultyStore());
    const [cti, tokenHash] = [utf8('same'), utf8('hash-one')];
    const first = await queue.add(delivery({ cti, tokenHash }));
    await queue.end(first.id, accepted);
    const second = await queue.add(delivery({ cti, tokenHash }));
    await queue.end(second.id, refused);
    expect(queue.live('tube-1', tokenHash, NOW)?.id).toBe(first.id);
    expect(queue.get(second.id).state).toBe('refused');
  });

  test('a write that fails leaves nothing queued and may be repeated', async () => {
    const store = new FaultyStore();
    const queue = await queueOn(store);
    store.failAt(1);
    const wanted = delivery();
    await expect(queue.add(wanted)).rejects.toThrow('the medium failed');
    expect(queue.next('tube-1')).toBeUndefined();
    expect((await queue.add(wanted)).id).toBe(wanted.id);
  });

  test('nobody is told of a delivery before it is on the medium, a second sender neither', async () => {
    const store = new FaultyStore();
    const queue = await queueOn(store);
    const cti = utf8('same');
    store.failAt(1);
    const both = await Promise.allSettled([queue.add(delivery({ cti })), queue.add(delivery({ cti }))]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(store.entries.size).toBe(0);
  });

  test('what is not on the medium yet is not handed out', async () => {
    const queue = await queueOn(new FaultyStore());
    const adding = queue.add(delivery());
    expect(queue.next('tube-1')).toBeUndefined();
    await adding;
    expect(queue.next('tube-1')).toBeDefined();
  });

  test('a delivery that ends while its device is removed does not come back', async () => {
    const store = new FaultyStore();
    const queue = await queueOn(store);
    const added = await queue.add(delivery());
    await Promise.all([queue.end(added.id, accepted), queue.removeDevice('tube-1')]);
    expect(store.entries.size).toBe(0);
    expect(queue.live('tube-1', added.tokenHash, 0)).toBeUndefined();
  });

  test('the failed ends of one device take no more than its share, the oldest go first', async () => {
    const store = new FaultyStore();
    const time = new FakeTime({ now: NOW });
    const queue = await queueOn(store, { time });
    const ids: string[] = [];
    for (let count = 0; count < LIMITS.endedPerDevice + 2; count += 1) {
      const added = await queue.add(delivery());
      ids.push(added.id);
      await queue.end(added.id, refused);
      await time.advance(MINUTE);
    }
    expect(store.entries.size).toBe(LIMITS.endedPerDevice);
    expect(store.entries.has(`delivery/${ids[0]}`)).toBe(false);
    expect(store.entries.has(`delivery/${ids.at(-1)}`)).toBe(true);
  });

  test('an end that could not be written leaves the delivery queued', async () => {
    const store = new FaultyStore();
    const queue = await queueOn(store);
    const added = await queue.add(delivery());
    store.failAt(1);
    await expect(queue.end(added.id, accepted)).rejects.toThrow('the medium failed');
    expect(queue.next('tube-1')?.id).toBe(added.id);
  });

  test('an ended delivery forgets its token, in memory and on the medium', async () => {
    const store = new FaultyStore();
    const queue = await queueOn(store);
    const added = await queue.add(delivery({ cwt: new Secret(utf8('canary-token')) }));
    await queue.end(added.id, accepted);
    expect(queue.get(added.id).cwt).toBeUndefined();
    const stored = [...store.entries.values()].map((value) => Buffer.from(value).toString()).join();
    expect(stored).not.toContain(Buffer.from('canary-token').toString('base64url'));
  });

  test('a delivery ends once: a later end changes nothing', async () => {
    const queue = await queueOn(new FaultyStore());
    const added = await queue.add(delivery());
    await queue.end(added.id, accepted);
    expect(await queue.end(added.id, expired)).toMatchObject({ delivery: { state: 'delivered' }, isFirst: false });
  });

  test('only a delivered token that is not expired is live', async () => {
    const queue = await queueOn(new FaultyStore());
    const added = await queue.add(delivery({ expiresAt: 2_000 }));
    expect(queue.live('tube-1', added.tokenHash, 1_000)).toBeUndefined();
    await queue.end(added.id, accepted);
    expect(queue.live('tube-1', added.tokenHash, 1_999)?.id).toBe(added.id);
    expect(queue.live('tube-1', added.tokenHash, 2_000)).toBeUndefined();
    expect(queue.live('tube-2', added.tokenHash, 1_000)).toBeUndefined();
  });

  test('refuses more than a device may have waiting', async () => {
    const queue = await queueOn(new FaultyStore());
    for (let count = 0; count < LIMITS.deliveriesPerDevice; count += 1) await queue.add(delivery());
    await expect(queue.add(delivery())).rejects.toMatchObject({ code: 'delivery_queue_full' });
    await expect(queue.add(delivery({ device: 'tube-2' }))).resolves.toMatchObject({ state: 'queued' });
  });

  test('clean removes ended deliveries some time after their token expired, and nothing that waits', async () => {
    const store = new FaultyStore();
    const time = new FakeTime({ now: NOW });
    const queue = await queueOn(store, { time });
    const ended = await queue.add(delivery({ expiresAt: 2_000 }));
    const waiting = await queue.add(delivery({ expiresAt: 2_000 }));
    await queue.end(ended.id, accepted);
    await queue.clean(2_009, 10);
    expect(queue.get(ended.id).state).toBe('delivered');
    await queue.clean(2_010, 10);
    // It ended less than a minute ago: who was told "queued" has not asked yet.
    expect(queue.get(ended.id).state).toBe('delivered');
    await time.advance(MINUTE);
    await queue.clean(2_010, 10);
    expect(() => queue.get(ended.id)).toThrow(expect.objectContaining({ code: 'delivery_unknown' }));
    expect(queue.get(waiting.id).state).toBe('queued');
    expect([...store.entries.keys()]).toEqual([`delivery/${waiting.id}`]);
  });

  test('a record that cannot be read is logged without what it holds, and the rest is served', async () => {
    const store = new FaultyStore();
    const log = new QuietLog();
    const kept = await (await queueOn(store)).add(delivery());
    store.entries.set('delivery/broken', utf8('{"cwt":"canary-token"'));
    const queue = await queueOn(new FaultyStore(store.entries), { log });
    expect(queue.next('tube-1')?.id).toBe(kept.id);
    expect(log.events()).toContain('delivery_record_unreadable');
    expect(JSON.stringify(log.lines)).not.toContain('canary-token');
  });

  test('a device that is removed takes its deliveries along', async () => {
    const store = new FaultyStore();
    const queue = await queueOn(store);
    const added = await queue.add(delivery());
    await queue.removeDevice('tube-1');
    expect(() => queue.get(added.id)).toThrow(expect.objectContaining({ code: 'delivery_unknown' }));
    expect(store.entries.size).toBe(0);
  });

  test('a delivery whose first write fails while its device is removed was never there', async () => {
    const store = new FaultyStore();
    const queue = await queueOn(store);
    const release = store.holdAt(1);
    store.failAt(1);
    const adding = queue.add(delivery());
    const removing = queue.removeDevice('tube-1');
    release();
    await expect(adding).rejects.toThrow('the medium failed');
    await expect(removing).resolves.toEqual([]);
  });
});

describe('delivery records', () => {
  test('a record comes back as it was written', async () => {
    const queue = await queueOn(new FaultyStore());
    const added = await queue.add(delivery());
    const written = encodeDelivery(added);
    const decoded = decodeDelivery(written);
    expect(encodeDelivery(decoded)).toEqual(written);
    expect(hex(decoded.cwt?.expose() ?? EMPTY)).toBe(hex(added.cwt?.expose() ?? EMPTY));
  });

  test('refuses a queued record without its token', () => {
    expect(() => decodeDelivery(utf8('{"state":"queued"}'))).toThrow(
      expect.objectContaining({ code: 'store_corrupt' }),
    );
  });
});

describe('its limits', () => {
  test('are those that it was given', async () => {
    const queue = await queueOn(new FaultyStore(), { limits: { perDevice: 1, overall: 2 } });
    await queue.add(delivery());
    await expect(queue.add(delivery())).rejects.toMatchObject({ code: 'delivery_queue_full' });
    await queue.add(delivery({ device: 'tube-2' }));
    await expect(queue.add(delivery({ device: 'tube-3' }))).rejects.toMatchObject({ code: 'delivery_queue_full' });
  });
});

describe('a token that was delivered and is alive', () => {
  const LIVING = LIMITS.endedPerDevice + 100;

  test('is never forgotten, however many there are for one device, and after a restart neither', async () => {
    const store = new FaultyStore();
    const time = new FakeTime({ now: NOW });
    const queue = await queueOn(store, { time });
    const added: { readonly id: string; readonly tokenHash: Uint8Array }[] = [];
    for (let count = 0; count < LIVING; count += 1) {
      const one = await queue.add(delivery());
      added.push(one);
      await queue.end(one.id, accepted);
      await time.advance(1_000);
    }
    for (const each of [queue, await queueOn(new FaultyStore(store.entries))]) {
      expect(added.filter(({ id }) => each.get(id).state !== 'delivered')).toEqual([]);
      expect(added.filter(({ tokenHash }) => each.live('tube-1', tokenHash, NOW) === undefined)).toEqual([]);
    }
  });

  test('goes with the share of its device once it is expired, the oldest first', async () => {
    const store = new FaultyStore();
    const time = new FakeTime({ now: NOW });
    const queue = await queueOn(store, { time });
    for (let count = 0; count < LIVING; count += 1)
      await queue.end((await queue.add(delivery({ expiresAt: NOW + 100 }))).id, accepted);
    expect(store.entries.size).toBe(LIVING);
    await time.advance(2 * MINUTE);
    for (let count = 0; count < 64; count += 1) await queue.end((await queue.add(delivery())).id, accepted);
    expect(store.entries.size).toBe(LIMITS.endedPerDevice);
  });

  test('has a new one refused where it fills the hub, and makes room when it is expired', async () => {
    const time = new FakeTime({ now: NOW });
    const queue = await queueOn(new FaultyStore(), { time, limits: { perDevice: 4, overall: 8 } });
    const ids: string[] = [];
    for (let count = 0; count < 8; count += 1) {
      const added = await queue.add(delivery({ device: `tube-${count % 2}`, expiresAt: NOW + 100 + count }));
      ids.push(added.id);
      await queue.end(added.id, accepted);
    }
    await time.advance(MINUTE);
    await expect(queue.add(delivery({ device: 'tube-9' }))).rejects.toMatchObject({ code: 'delivery_room_full' });
    expect(ids.map((id) => queue.get(id).state)).toEqual(Array.from({ length: 8 }, () => 'delivered'));
    await time.advance(41_000);
    await expect(queue.add(delivery({ device: 'tube-9' }))).resolves.toMatchObject({ state: 'queued' });
    expect(() => queue.get(ids[0] ?? '')).toThrow(expect.objectContaining({ code: 'delivery_unknown' }));
  });

  test('has a new one refused where those of its device are half of all, and other devices go on', async () => {
    const time = new FakeTime({ now: NOW });
    const queue = await queueOn(new FaultyStore(), { time, limits: { perDevice: 1, overall: 8 } });
    for (let count = 0; count < 4; count += 1) await queue.end((await queue.add(delivery())).id, accepted);
    await time.advance(MINUTE);
    await expect(queue.add(delivery())).rejects.toMatchObject({ code: 'delivery_room_full' });
    await expect(queue.add(delivery({ device: 'tube-2' }))).resolves.toMatchObject({ state: 'queued' });
  });

  test('stays where a failed one of the last minute is all that could make room: the new one is refused', async () => {
    const time = new FakeTime({ now: NOW });
    const queue = await queueOn(new FaultyStore(), { time, limits: { perDevice: 2, overall: 4 } });
    for (const device of ['tube-1', 'tube-2'])
      for (const outcome of [accepted, refused]) await queue.end((await queue.add(delivery({ device }))).id, outcome);
    await expect(queue.add(delivery({ device: 'tube-3' }))).rejects.toMatchObject({ code: 'delivery_room_full' });
    await time.advance(MINUTE);
    await queue.add(delivery({ device: 'tube-3' }));
    expect(queue.counts()).toEqual({ queued: 1, delivered: 2, refused: 1, expired: 0, cancelled: 0 });
  });
});

describe('a delivery that makes room for another', () => {
  const full = { perDevice: 4, overall: 4 };

  async function fullQueue() {
    const store = new FaultyStore();
    const time = new FakeTime({ now: NOW });
    const queue = await queueOn(store, { time, limits: full });
    const ids: string[] = [];
    for (let count = 0; count < full.overall; count += 1) {
      const { id } = await queue.add(delivery({ device: `tube-${count}` }));
      ids.push(id);
      await queue.end(id, refused);
    }
    await time.advance(MINUTE);
    return { ids, queue, store };
  }

  test('stays in memory, as on the medium, where the other one cannot be written', async () => {
    const { ids, queue, store } = await fullQueue();
    store.failAt(1);
    await expect(queue.add(delivery({ device: 'tube-9' }))).rejects.toThrow('the medium failed');
    expect(ids.map((id) => queue.get(id).state)).toEqual(ids.map(() => 'refused'));
    expect(queue.counts()).toEqual({ queued: 0, delivered: 0, refused: 4, expired: 0, cancelled: 0 });
    expect(store.entries.size).toBe(4);
    await queue.add(delivery({ device: 'tube-9' }));
    expect(() => queue.get(ids[0] ?? '')).toThrow(expect.objectContaining({ code: 'delivery_unknown' }));
    expect(store.entries.size).toBe(4);
  });

  test('makes room for one, though several are written at once', async () => {
    const { ids, queue, store } = await fullQueue();
    const release = store.holdAt(1);
    const first = queue.add(delivery({ device: 'tube-8' }));
    const second = queue.add(delivery({ device: 'tube-9' }));
    expect(queue.get(ids[0] ?? '').state).toBe('refused');
    release();
    await Promise.all([first, second]);
    expect(queue.counts()).toEqual({ queued: 2, delivered: 0, refused: 2, expired: 0, cancelled: 0 });
    expect(store.entries.size).toBe(4);
  });
});

describe('an end that ended within the last minute', () => {
  test('can be asked about, though its device has more than its share', async () => {
    const time = new FakeTime({ now: NOW });
    const queue = await queueOn(new FaultyStore(), { time });
    const ids: string[] = [];
    for (let count = 0; count < LIMITS.endedPerDevice + 50; count += 1) {
      const { id } = await queue.add(delivery());
      ids.push(id);
      await queue.end(id, expired);
    }
    expect(ids.filter((id) => queue.get(id).state !== 'expired')).toEqual([]);
  });
});

describe('ends exclude each other', () => {
  const outcomes = { delivered: accepted, refused, expired };
  type Name = keyof typeof outcomes;

  test.each<[Name, Name]>([
    ['delivered', 'expired'],
    ['expired', 'delivered'],
    ['refused', 'expired'],
    ['delivered', 'refused'],
  ])('%s, being written, is what %s is answered with', async (one, other) => {
    const store = new FaultyStore();
    const queue = await queueOn(store);
    const heard: string[] = [];
    queue.watchers.watchAll(({ state }) => heard.push(state));
    const { id } = await queue.add(delivery());
    const release = store.holdAt(1);
    const [first, second] = [queue.end(id, outcomes[one]), queue.end(id, outcomes[other])];
    expect(queue.expired(3_000)).toEqual([]);
    expect(queue.next('tube-1')).toBeUndefined();
    release();
    expect(await first).toMatchObject({ delivery: { state: one }, isFirst: true });
    expect(await second).toMatchObject({ delivery: { state: one }, isFirst: false });
    expect(heard).toEqual(['queued', one]);
    const again = await queueOn(new FaultyStore(store.entries));
    expect(again.get(id).state).toBe(one);
  });

  test('delivered, being written, is what the removal of the device finds; nothing is left', async () => {
    const store = new FaultyStore();
    const queue = await queueOn(store);
    const heard: string[] = [];
    queue.watchers.watchAll(({ state }) => heard.push(state));
    const { id } = await queue.add(delivery());
    const release = store.holdAt(1);
    const ending = queue.end(id, accepted);
    const removing = queue.removeDevice('tube-1');
    release();
    expect(await ending).toMatchObject({ delivery: { state: 'delivered' }, isFirst: true });
    expect((await removing).map(({ state }) => state)).toEqual(['delivered']);
    expect(heard).not.toContain('refused');
    expect(store.entries.size).toBe(0);
    expect(() => queue.get(id)).toThrow(expect.objectContaining({ code: 'delivery_unknown' }));
  });

  test('the removal of the device, being written, is what an answer of the device is too late for', async () => {
    const store = new FaultyStore();
    const queue = await queueOn(store);
    // One that is being delivered has the removal wait, and the other is in its hands by then.
    const [slow, other] = [await queue.add(delivery()), await queue.add(delivery())];
    const release = store.holdAt(1);
    const ending = queue.end(slow.id, accepted);
    const removing = queue.removeDevice('tube-1');
    const late = queue.end(other.id, accepted);
    release();
    await ending;
    expect(await late).toMatchObject({ delivery: { state: 'refused', code: 'device_unknown' }, isFirst: false });
    expect((await removing).map(({ state }) => state).sort()).toEqual(['delivered', 'queued']);
    expect(store.entries.size).toBe(0);
  });

  test('an end waits for the first write of its delivery, and a delivery that was not written has none', async () => {
    const store = new FaultyStore();
    const queue = await queueOn(store);
    store.failAt(1);
    const release = store.holdAt(1);
    const one = delivery();
    const adding = expect(queue.add(one)).rejects.toThrow('the medium failed');
    const ending = expect(queue.end(one.id, expired)).rejects.toThrow('the medium failed');
    release();
    await adding;
    await ending;
    expect(store.entries.size).toBe(0);
  });

  test('one that fails is told to both, and the delivery waits as before', async () => {
    const store = new FaultyStore();
    const queue = await queueOn(store);
    const { id } = await queue.add(delivery());
    store.failAt(1);
    const both = await Promise.allSettled([queue.end(id, accepted), queue.end(id, expired)]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(queue.next('tube-1')?.id).toBe(id);
    expect(await queue.end(id, expired)).toMatchObject({ isFirst: true });
  });

  test('the same token, brought while its delivery ends, is another delivery', async () => {
    const store = new FaultyStore();
    const queue = await queueOn(store);
    const cti = utf8('same');
    const first = await queue.add(delivery({ cti }));
    const release = store.holdAt(1);
    const ending = queue.end(first.id, refused);
    const second = await queue.add(delivery({ cti }));
    release();
    await ending;
    expect(second.id).not.toBe(first.id);
    expect(queue.next('tube-1')?.id).toBe(second.id);
  });
});

describe('many deliveries', () => {
  test('are handed out, expire and are counted as few are', async () => {
    const queue = await queueOn(new FaultyStore(), { limits: { perDevice: 1_024, overall: 65_536 } });
    const random = new FakeTime({ seed: 7 });
    const expiries: number[] = [];
    for (let count = 0; count < 2_000; count += 1) {
      const expiresAt = 2_000 + Math.floor(random.fraction() * 1_000);
      expiries.push(expiresAt);
      const { id } = await queue.add(delivery({ device: `tube-${count % 7}`, expiresAt }));
      if (count % 3 === 0) {
        await queue.end(id, accepted);
        expiries.pop();
      }
    }
    expect(queue.firstExpiry()).toBe(Math.min(...expiries));
    expect(queue.expired(2_500)).toHaveLength(expiries.filter((expiry) => expiry <= 2_500).length);
    // Looking changes nothing.
    expect(queue.expired(2_500)).toHaveLength(expiries.filter((expiry) => expiry <= 2_500).length);
    expect(queue.counts()).toEqual({ queued: expiries.length, delivered: 667, refused: 0, expired: 0, cancelled: 0 });
    expect([...queue.waitingDevices()].sort()).toEqual(Array.from({ length: 7 }, (_, device) => `tube-${device}`));
    for (let device = 0; device < 7; device += 1) {
      const waiting = queue.waitingFor(`tube-${device}`);
      expect(queue.next(`tube-${device}`)).toBe(waiting[0]);
      expect(waiting.map(({ sequence }) => sequence)).toEqual(
        [...waiting.map(({ sequence }) => sequence)].sort((a, b) => a - b),
      );
      expect(queue.waiting(`tube-${device}`)).toBe(waiting.length);
    }
  });
});

describe('list', () => {
  test('has the deliveries in the order of their arrival, of all devices or of one', async () => {
    const queue = await queueOn(new FaultyStore());
    const first = await queue.add(delivery({ id: 'f'.repeat(32) }));
    const second = await queue.add(delivery({ device: 'tube-2' }));
    expect(queue.list().map(({ id }) => id)).toEqual([first.id, second.id]);
    expect(queue.list('tube-2').map(({ id }) => id)).toEqual([second.id]);
  });
});

describe('a watcher', () => {
  test('hears of a delivery once it is on the medium, and of its end', async () => {
    const store = new FaultyStore();
    const queue = await queueOn(store);
    const heard: string[] = [];
    queue.watchers.watchAll(({ id, state }) => {
      heard.push(`${state}, ${store.entries.has(`delivery/${id}`) ? 'written' : 'not written'}`);
    });
    const { id } = await queue.add(delivery());
    await queue.end(id, accepted);
    expect(heard).toEqual(['queued, written', 'delivered, written']);
  });

  test('of one delivery hears of no other', async () => {
    const queue = await queueOn(new FaultyStore());
    const [one, other] = [await queue.add(delivery()), await queue.add(delivery())];
    const heard: string[] = [];
    queue.watchers.watch(one.id, ({ id }) => heard.push(id));
    await queue.end(other.id, accepted);
    await queue.end(one.id, accepted);
    expect(heard).toEqual([one.id]);
  });

  test('hears nothing of what could not be written', async () => {
    const store = new FaultyStore();
    const queue = await queueOn(store);
    const heard: string[] = [];
    queue.watchers.watchAll(({ state }) => heard.push(state));
    store.failAt(1);
    await expect(queue.add(delivery())).rejects.toThrow();
    expect(heard).toEqual([]);
  });

  test('hears that what waited is refused where its device is removed', async () => {
    const queue = await queueOn(new FaultyStore());
    const { id } = await queue.add(delivery());
    const heard: unknown[] = [];
    queue.watchers.watch(id, ({ code, state }) => heard.push([state, code]));
    await queue.removeDevice('tube-1');
    expect(heard).toEqual([['refused', 'device_unknown']]);
  });

  test('that has left hears no more', async () => {
    const queue = await queueOn(new FaultyStore());
    const heard: string[] = [];
    const { id } = await queue.add(delivery());
    const leave = [queue.watchers.watch(id, () => heard.push('one')), queue.watchers.watchAll(() => heard.push('all'))];
    for (const each of leave) each();
    await queue.end(id, accepted);
    expect(heard).toEqual([]);
  });
});

import { describe, expect, test } from 'vitest';
import { base64url, sha256, utf8 } from '../../src/core/bytes.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { Secret } from '../../src/core/secret.ts';
import type { StoreChange, WriteOptions } from '../../src/ports/store.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { FaultyStore } from '../fakes/faulty-store.ts';
import { auditRig, ENTRY, pageKeys } from '../fixtures/audit-rig.ts';

/** Says of each write whether it had to be on the medium. */
class WatchedStore extends FaultyStore {
  readonly flushes: boolean[] = [];

  override async write(changes: readonly StoreChange[], { flush = true }: WriteOptions = {}): Promise<void> {
    this.flushes.push(flush);
    await super.write(changes);
  }
}

/** Takes nothing while `isFull`. */
class FullStore extends FaultyStore {
  isFull = false;

  override async write(changes: readonly StoreChange[]): Promise<void> {
    if (this.isFull) throw new Error('no space left');
    await super.write(changes);
  }
}

describe('a record', () => {
  test('says what was decided, when, for whom and on what ground', async () => {
    const { reader, trail } = await auditRig();
    trail.record({ ...ENTRY, verdict: 'inactive', code: 'proof_replayed', delivery: 'd1' });
    const { records } = await reader.page({ limit: 10 });
    expect(records).toEqual([
      {
        sequence: 1,
        at: 1_700_000_000,
        clock: 'sure',
        kind: 'relay',
        verdict: 'inactive',
        device: 'ekg-1',
        request: 'f00d',
        token: base64url(new Uint8Array(16).fill(5)),
        issuer: 'https://as.example',
        subject: expect.stringMatching(/^[\w-]{22}$/),
        proof: 'dpop',
        source: 'introspection',
        age: 3,
        stale: false,
        code: 'proof_replayed',
        delivery: 'd1',
        hash: expect.stringMatching(/^[\w-]{43}$/),
      },
    ]);
  });

  test('has the second in which it was made, not the next one', async () => {
    const { reader, time, trail } = await auditRig();
    const { earliest } = time.now();
    time.now = () => ({ earliest, latest: earliest + 1 });
    trail.record(ENTRY);
    expect((await reader.page({ limit: 1 })).records[0]).toMatchObject({ clock: 'sure', at: earliest });
  });

  test('says that the clock was unsure', async () => {
    const { reader, time, trail } = await auditRig();
    time.forgetLatest();
    trail.record(ENTRY);
    expect((await reader.page({ limit: 1 })).records[0]).toMatchObject({ clock: 'unsure', at: 1_700_000_000 });
  });

  test('knows a subject again, by a hash that another hub does not make', async () => {
    const [here, there] = [await auditRig(), await auditRig({ time: new FakeTime({ seed: 9 }) })];
    for (const { trail } of [here, there]) {
      trail.record(ENTRY);
      trail.record(ENTRY);
      trail.record({ ...ENTRY, subject: 'doctor-8' });
    }
    const subjects = async (rig: typeof here) => (await rig.reader.page({ limit: 9 })).records.map((r) => r.subject);
    const [first, second, other] = await subjects(here);
    expect(first).toBe(second);
    expect(first).not.toBe(other);
    expect(await subjects(there)).not.toContain(first);
  });

  test.each(['', `\ud800${'x'.repeat(100_000)}`, 'x'.repeat(64), 'eyJhbGciOiJFUzI1NiJ9.e30.AAAA', 'Tube 1'])(
    'does not repeat what cannot be the id of a device: %j',
    async (device) => {
      const { reader, trail } = await auditRig();
      trail.record({ ...ENTRY, device });
      expect((await reader.page({ limit: 1 })).records[0]?.device).toBe('?');
      expect((await reader.verify()).faults).toEqual([]);
    },
  );
});

describe('writing', () => {
  test('takes records of one moment together, 20 ms later, and leaves them to the operating system', async () => {
    const store = new WatchedStore();
    const { time, trail } = await auditRig({ store });
    store.flushes.length = 0;
    for (let count = 0; count < 5; count += 1) trail.record(ENTRY);
    await time.advance(19);
    expect(pageKeys(store)).toEqual([]);
    await time.advance(1);
    expect(pageKeys(store)).toHaveLength(1);
    expect(store.flushes).toEqual([false]);
  });

  test('puts them on the medium once a second, and not when there is nothing new', async () => {
    const store = new WatchedStore();
    const { time, trail } = await auditRig({ store });
    store.flushes.length = 0;
    trail.record(ENTRY);
    await time.advance(10_000);
    expect(store.flushes).toEqual([false, true]);
    trail.record(ENTRY);
    await time.advance(10_000);
    expect(store.flushes).toEqual([false, true, true]);
  });

  test('a record that comes while a flush is due is not kept waiting for it', async () => {
    const store = new WatchedStore();
    const { time, trail } = await auditRig({ store });
    trail.record(ENTRY);
    await time.advance(100);
    trail.record(ENTRY);
    await time.advance(20);
    expect(pageKeys(store)).toHaveLength(2);
  });

  test('goes on where the run before ended, which SIGKILL may have been', async () => {
    const first = await auditRig();
    first.trail.record(ENTRY);
    await first.time.advance(20);
    first.trail.record({ ...ENTRY, device: 'lost-with-the-process' });
    const second = await auditRig({ store: new FaultyStore(new Map(first.store.entries)) });
    second.trail.record({ ...ENTRY, device: 'ekg-2' });
    const { records } = await second.reader.page({ limit: 9 });
    expect(records.map(({ sequence, device }) => [sequence, device])).toEqual([
      [1, 'ekg-1'],
      [2, 'ekg-2'],
    ]);
    expect((await second.reader.verify()).faults).toEqual([]);
    expect(second.log.events()).toEqual([]);
  });

  test('on the medium by the end of the run', async () => {
    const store = new WatchedStore();
    const { log, trail } = await auditRig({ store });
    trail.record(ENTRY);
    await trail.close();
    expect(pageKeys(store)).toHaveLength(1);
    expect(store.flushes.at(-1)).toBe(true);
    expect(log.events()).toEqual(['audit_head']);
  });

  test('the log names a head only once it is on the medium, then every ten minutes at most', async () => {
    const { log, time, trail } = await auditRig();
    trail.record(ENTRY);
    await time.advance(900);
    expect(log.events()).toEqual([]);
    await time.advance(200);
    expect(log.events()).toEqual(['audit_head']);
    trail.record(ENTRY);
    await time.advance(500_000);
    expect(log.events()).toEqual(['audit_head']);
    trail.record(ENTRY);
    await time.advance(500_000);
    trail.record(ENTRY);
    await time.advance(5_000);
    expect(log.events()).toEqual(['audit_head', 'audit_head']);
    expect(log.lines[0]?.fields.head).toMatch(/^1:[\w-]{43}$/);
  });
});

describe('a store that fails', () => {
  test('is told of, and written when it works again: nothing is missing', async () => {
    const { log, reader, store, time, trail } = await auditRig();
    store.failAt(1);
    trail.record(ENTRY);
    await time.advance(20);
    expect(trail.status()).toMatchObject({ code: 'audit_failing', lost: 0 });
    trail.record(ENTRY);
    await time.advance(2_000);
    expect(trail.status()).toMatchObject({ code: undefined, lost: 0, records: 2 });
    expect(log.events().slice(0, 2)).toEqual(['audit_failing', 'audit_recovered']);
    expect(await reader.verify()).toMatchObject({ records: 2, faults: [] });
  });

  test('although it wrote: what is written again is the same', async () => {
    const { reader, store, time, trail } = await auditRig();
    store.failAt(1, { afterwards: true });
    trail.record(ENTRY);
    await time.advance(20);
    trail.record(ENTRY);
    await time.advance(2_000);
    expect(await reader.verify()).toMatchObject({ records: 2, faults: [] });
  });

  test('for long, leaves a record of how many verdicts could not be kept', async () => {
    const store = new FullStore();
    const { log, reader, time, trail } = await auditRig({ store });
    store.isFull = true;
    for (let count = 0; count < LIMITS.auditWaiting + 3; count += 1) trail.record(ENTRY);
    await time.advance(5_000);
    expect(trail.status()).toMatchObject({ code: 'audit_failing', lost: 3 });
    store.isFull = false;
    await time.advance(20_000);
    expect(trail.status()).toMatchObject({ code: undefined, lost: 3 });
    const { records } = await reader.page({ limit: 1 });
    expect(records).toMatchObject([{ sequence: LIMITS.auditWaiting + 1, kind: 'gap', lost: 3 }]);
    expect((await reader.verify()).faults).toEqual([]);
    expect(log.events()).toContain('audit_recovered');
  });

  test('is tried and told of once per back-off, although a flush is long due', async () => {
    const store = new FullStore();
    const { log, time, trail } = await auditRig({ store });
    trail.record(ENTRY);
    await time.advance(100);
    store.isFull = true;
    trail.record(ENTRY);
    await time.advance(60_000);
    const told = log.events().filter((event) => event === 'audit_failing');
    // After 1, 2, 4 and 8 seconds, then every ten.
    expect(told.length).toBeGreaterThan(4);
    expect(told.length).toBeLessThanOrEqual(10);
    store.isFull = false;
    await time.advance(20_000);
    expect(trail.status()).toMatchObject({ code: undefined, lost: 0, records: 2 });
    await trail.close();
  });

  test('at the end of the run makes an error line with the number of verdicts that are lost', async () => {
    const store = new FullStore();
    const { log, trail } = await auditRig({ store });
    store.isFull = true;
    trail.record(ENTRY);
    await trail.close();
    expect(log.lines.at(-1)).toMatchObject({ level: 'error', fields: { event: 'audit_lost', lost: 1 } });
  });
});

describe('the bound', () => {
  test('of records drops the oldest by segments, and the chain still holds', async () => {
    const { log, reader, store, trail } = await auditRig({ settings: { maxRecords: 1_024 } });
    for (let count = 0; count < 3_000; count += 1) trail.record(ENTRY);
    const found = await reader.verify();
    expect(found.faults).toEqual([]);
    expect(found.records).toBeLessThanOrEqual(1_024);
    expect(found.records).toBeGreaterThan(1_024 - 256);
    expect(found.dropped).toMatch(new RegExp(`^${3_000 - found.records}:`));
    expect(pageKeys(store).length).toBeLessThan(10);
    expect(log.events()).toContain('audit_full');
    expect(trail.status().records).toBe(found.records);
  });

  test('of bytes holds as well', async () => {
    const { reader, store, trail } = await auditRig({ settings: { maxBytes: 200_000 } });
    for (let round = 0; round < 30; round += 1) {
      for (let count = 0; count < 100; count += 1) trail.record(ENTRY);
      await trail.written();
    }
    const kept = pageKeys(store).reduce((sum, key) => sum + key.length + (store.entries.get(key)?.length ?? 0), 0);
    expect(kept).toBeLessThanOrEqual(200_000);
    expect(kept).toBeGreaterThan(100_000);
    expect((await reader.verify()).faults).toEqual([]);
  });

  test('of time drops what is over, without waiting for a segment to be full', async () => {
    const { reader, store, time, trail } = await auditRig({ settings: { retention: 86_400 } });
    trail.start();
    trail.record(ENTRY);
    await time.advance(10 * 3_600_000);
    trail.record(ENTRY);
    await time.advance(15 * 3_600_000);
    expect((await reader.page({ limit: 9 })).records.map(({ sequence }) => sequence)).toEqual([2]);
    await time.advance(10 * 3_600_000);
    expect(pageKeys(store)).toEqual([]);
    trail.record(ENTRY);
    expect(await reader.verify()).toMatchObject({ records: 1, faults: [] });
    await trail.close();
  });

  test('survives a restart', async () => {
    const settings = { maxRecords: 1_024 };
    const first = await auditRig({ settings });
    for (let count = 0; count < 2_000; count += 1) first.trail.record(ENTRY);
    await first.trail.close();
    const second = await auditRig({ store: first.store, settings });
    for (let count = 0; count < 2_000; count += 1) second.trail.record(ENTRY);
    const found = await second.reader.verify();
    expect(found).toMatchObject({ faults: [], head: expect.stringMatching(/^4000:/) });
    expect(found.records).toBeLessThanOrEqual(1_024);
  });
});

describe('evidence', () => {
  const signed = (text: string) => ({ digest: sha256(text), jws: new Secret(text) });

  test('is kept beside the records that name it, once', async () => {
    const { reader, store, trail } = await auditRig();
    const evidence = signed('header.answer.signature');
    trail.record({ ...ENTRY, evidence });
    trail.record({ ...ENTRY, evidence });
    await trail.written();
    trail.record({ ...ENTRY, evidence });
    const page = await reader.page({ limit: 9, evidence: true });
    expect(page.records.map((record) => record.evidence)).toEqual(Array(3).fill(base64url(evidence.digest)));
    expect(page.evidence).toEqual({ [base64url(evidence.digest)]: 'header.answer.signature' });
    expect([...store.entries.keys()].filter((key) => key.startsWith('audit/evidence/'))).toHaveLength(1);
  });

  test('that may not be written down leaves its hash alone', async () => {
    const { reader, trail } = await auditRig();
    trail.record({ ...ENTRY, evidence: { digest: sha256('x'), jws: undefined } });
    expect(await reader.page({ limit: 9, evidence: true })).toMatchObject({
      records: [{ evidence: base64url(sha256('x')) }],
      evidence: {},
    });
  });

  test('is bounded: that of the oldest segments goes, the records stay', async () => {
    const { reader, store, trail } = await auditRig({ settings: { maxEvidenceBytes: 400_000 } });
    for (let count = 0; count < 2_000; count += 1) {
      trail.record({ ...ENTRY, evidence: signed(`${count}`.padEnd(1_000, '.')) });
      if (count % 100 === 99) await trail.written();
    }
    const kept = [...store.entries].filter(([key]) => key.startsWith('audit/evidence/'));
    expect(kept.length).toBeLessThanOrEqual(400 + 256);
    expect(kept.length).toBeGreaterThan(100);
    expect(await reader.verify()).toMatchObject({ records: 2_000, faults: [] });
  });

  test('that was altered shows', async () => {
    const { reader, store, trail } = await auditRig();
    trail.record({ ...ENTRY, evidence: signed('header.answer.signature') });
    await trail.written();
    for (const key of store.entries.keys())
      if (key.startsWith('audit/evidence/')) store.entries.set(key, utf8('another.answer'));
    expect((await reader.verify()).faults).toEqual([{ sequence: 1, fault: 'evidence_altered' }]);
  });
});

test('a chain whose end entry is gone is taken up after its last record, told of, and never quietly', async () => {
  const first = await auditRig();
  for (let count = 0; count < 3; count += 1) first.trail.record(ENTRY);
  await first.trail.written();
  first.store.entries.delete('audit/head');
  const second = await auditRig({ store: first.store });
  expect(second.log.lines).toMatchObject([{ level: 'error', fields: { event: 'audit_mended' } }]);
  expect(second.trail.status().code).toBe('audit_broken');
  second.trail.record(ENTRY);
  // What its first record followed on is not known any more.
  expect(await second.reader.verify()).toMatchObject({ records: 4, faults: [{ sequence: 1, fault: 'altered' }] });
});

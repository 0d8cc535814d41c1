import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeCbor } from '../../src/codec/cbor.ts';
import { decodePage, encodePage, pageKey } from '../../src/observe/audit-page.ts';
import {
  type ChainedRecord,
  chain,
  decodeRecord,
  encodeRecord,
  isRecord,
  recordOf,
} from '../../src/observe/audit-record.ts';
import type { AuditFault } from '../../src/ports/admin.ts';
import type { AuditEntry, AuditRecord } from '../../src/ports/audit.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import type { FaultyStore } from '../fakes/faulty-store.ts';
import { auditRig, ENTRY, pageKeys } from '../fixtures/audit-rig.ts';

/** Twelve records in pages of three: 1–3, 4–6, 7–9, 10–12. */
async function twelve(seed = 1) {
  const rig = await auditRig({ time: new FakeTime({ seed }) });
  for (let page = 0; page < 4; page += 1) {
    for (let count = 0; count < 3; count += 1) rig.trail.record({ ...ENTRY, request: `${page}-${count}` });
    await rig.trail.written();
  }
  return rig;
}

/** Rewrites the page that begins with that record. */
function edit(store: FaultyStore, first: number, change: (records: ChainedRecord[]) => readonly ChainedRecord[]): void {
  const key = pageKey(first);
  store.entries.set(key, encodePage(change([...decodePage(store.entries.get(key) ?? new Uint8Array())])));
}

function altered({ hash, record }: ChainedRecord): ChainedRecord {
  const other = { ...record, device: 'ekg-9' };
  return { record: other, bytes: encodeRecord(other), hash };
}

const get = <T>(list: readonly T[], index: number): T => {
  const item = list[index];
  if (item === undefined) throw new Error('the test has no such record');
  return item;
};

test('a record is one map of its members, in the deterministic encoding, and comes back whole', () => {
  const text = fc.string({ unit: 'binary', maxLength: 40 });
  const members: { readonly [M in keyof AuditRecord]-?: fc.Arbitrary<NonNullable<AuditRecord[M]>> } = {
    sequence: fc.maxSafeNat(),
    at: fc.maxSafeNat(),
    clock: fc.constantFrom('sure', 'unsure'),
    kind: fc.constant('relay'),
    verdict: fc.constant('active'),
    source: fc.constant('jwt'),
    age: fc.nat(),
    stale: fc.boolean(),
    lost: fc.nat(),
    count: fc.nat(),
    ...{ device: text, request: text, token: text, issuer: text, subject: text },
    ...{ proof: text, code: text, delivery: text, evidence: text },
  };
  const record = fc.record(members, { requiredKeys: ['sequence', 'at', 'clock', 'kind'] });
  fc.assert(
    fc.property(record, (members) => {
      const bytes = encodeRecord(members);
      expect(bytes).toEqual(encodeCbor(new Map(Object.entries(members))));
      expect(decodeRecord(bytes)).toEqual(members);
    }),
  );
});

test('a record with a member that the chain does not cover is none', () => {
  const record = { sequence: 1, at: 1, clock: 'sure', kind: 'relay' };
  expect(isRecord(record)).toBe(true);
  expect(isRecord({ ...record, note: 'forged' })).toBe(false);
});

test('what a full entry says is all in its record', async () => {
  const full: Required<AuditEntry> = {
    ...ENTRY,
    device: 'ekg-1',
    token: new Uint8Array(32).fill(5),
    issuer: 'https://as.example',
    subject: 'doctor-7',
    proof: 'dpop',
    freshness: { source: 'introspection', age: 3, stale: false },
    code: 'proof_replayed',
    delivery: 'd-1',
    count: 7,
    evidence: { digest: new Uint8Array(32), jws: undefined },
  };
  const rig = await auditRig();
  const record = recordOf(full, { sequence: 1, time: { earliest: 1, latest: 1 }, subjects: rig.trail.subjects });
  const names = new Set(Object.keys(record));
  // Three members say how fresh it was; `lost` is for gaps alone.
  expect(Object.keys(full).filter((name) => name !== 'freshness' && !names.has(name))).toEqual([]);
  expect([...names]).toEqual(expect.arrayContaining(['source', 'age', 'stale', 'sequence', 'at', 'clock']));
});

describe('what somebody did to the store shows:', () => {
  test.each<[string, (store: FaultyStore) => void, readonly AuditFault[]]>([
    [
      'a page removed from the middle',
      (store) => store.entries.delete(pageKey(4)),
      [{ sequence: 4, fault: 'missing', through: 6 }],
    ],
    [
      'the first page removed',
      (store) => store.entries.delete(pageKey(1)),
      [{ sequence: 1, fault: 'missing', through: 3 }],
    ],
    [
      'the end cut off',
      (store) => store.entries.delete(pageKey(10)),
      [{ sequence: 10, fault: 'missing', through: 12 }],
    ],
    [
      'one record removed',
      (store) => edit(store, 4, ([a, , c]) => [a, c] as ChainedRecord[]),
      [{ sequence: 5, fault: 'missing' }],
    ],
    [
      'one record altered',
      (store) => edit(store, 4, (records) => [get(records, 0), altered(get(records, 1)), get(records, 2)]),
      [{ sequence: 5, fault: 'altered' }],
    ],
    [
      'the last record altered',
      (store) => edit(store, 10, (records) => [get(records, 0), get(records, 1), altered(get(records, 2))]),
      [{ sequence: 12, fault: 'altered' }],
    ],
    [
      'one record altered, and its hash made to fit',
      (store) =>
        edit(store, 4, (records) => [
          get(records, 0),
          chain({ ...get(records, 1).record, device: 'ekg-9' }, get(records, 0).hash),
          get(records, 2),
        ]),
      [{ sequence: 6, fault: 'altered' }],
    ],
    [
      'the last record altered, and its hash made to fit',
      (store) =>
        edit(store, 10, (records) => [
          get(records, 0),
          get(records, 1),
          chain({ ...get(records, 2).record, device: 'ekg-9' }, get(records, 1).hash),
        ]),
      [{ sequence: 12, fault: 'altered' }],
    ],
    [
      'two records in each other’s place',
      (store) => edit(store, 4, (records) => [get(records, 1), get(records, 0), get(records, 2)]),
      [
        { sequence: 4, fault: 'missing' },
        { sequence: 4, fault: 'out_of_order' },
      ],
    ],
    [
      'a record put in twice',
      (store) => edit(store, 4, (records) => [get(records, 0), ...records]),
      [{ sequence: 4, fault: 'out_of_order' }],
    ],
    [
      'a page overwritten with something else',
      (store) => store.entries.set(pageKey(4), new Uint8Array(100).fill(255)),
      [
        { sequence: 4, fault: 'unreadable' },
        { sequence: 4, fault: 'missing', through: 6 },
      ],
    ],
  ])('%s', async (_, tamper, faults) => {
    const { reader, store } = await twelve();
    expect((await reader.verify()).faults).toEqual([]);
    tamper(store);
    expect((await reader.verify()).faults).toEqual(faults);
  });

  test('any single bit turned over, anywhere in the pages', async () => {
    const { reader, store } = await twelve();
    const keys = pageKeys(store);
    const place = fc.record({ page: fc.nat(keys.length - 1), byte: fc.nat(), bit: fc.nat(7) });
    await fc.assert(
      fc.asyncProperty(place, async ({ page, byte, bit }) => {
        const key = get(keys, page);
        const whole = store.entries.get(key) ?? new Uint8Array();
        const turned = Uint8Array.from(whole);
        const at = byte % whole.length;
        turned[at] = (turned[at] ?? 0) ^ (1 << bit);
        store.entries.set(key, turned);
        const { faults } = await reader.verify();
        store.entries.set(key, whole);
        expect(faults.length).toBeGreaterThan(0);
      }),
      { numRuns: 300 },
    );
  });
});

describe('a head that was noted elsewhere', () => {
  test('is met by the chain that it was taken from, however long that has grown', async () => {
    const { reader, trail } = await twelve();
    const { head } = await reader.verify();
    trail.record(ENTRY);
    expect(await reader.verify(head)).toMatchObject({ records: 13, faults: [] });
  });

  test('shows a chain that was made anew from the beginning', async () => {
    const { head } = await (await twelve()).reader.verify();
    const forged = await twelve(2);
    expect((await forged.reader.verify()).faults).toEqual([]);
    expect((await forged.reader.verify(head)).faults).toEqual([{ sequence: 12, fault: 'pin_differs' }]);
  });

  test('shows that the end was cut off, head and all', async () => {
    const rig = await twelve();
    const before = new Map(rig.store.entries);
    rig.trail.record(ENTRY);
    const { head } = await rig.reader.verify();
    rig.store.entries.clear();
    for (const [key, value] of before) rig.store.entries.set(key, value);
    const again = await auditRig({ store: rig.store });
    expect((await again.reader.verify()).faults).toEqual([]);
    expect((await again.reader.verify(head)).faults).toEqual([{ sequence: 13, fault: 'pin_missing' }]);
  });

  test('says so where its record was dropped', async () => {
    const rig = await auditRig({ settings: { maxRecords: 1_024 } });
    rig.trail.record(ENTRY);
    const { head } = await rig.reader.verify();
    for (let count = 0; count < 2_000; count += 1) rig.trail.record(ENTRY);
    expect((await rig.reader.verify(head)).faults).toEqual([{ sequence: 1, fault: 'pin_dropped' }]);
  });

  test.each(['', '12', '12:', '12:abc', 'x:J3p0', `12:${'='.repeat(43)}`, `12:${'B'.repeat(43)}`])(
    'of another form is refused: %s',
    async (head) => {
      const { reader } = await twelve();
      await expect(reader.verify(head)).rejects.toMatchObject({ code: 'audit_head_invalid' });
    },
  );
});

test('the hash is SHA-256 over the hash before and the deterministic CBOR of the record', () => {
  const record = { sequence: 1, at: 1_700_000_000, clock: 'sure', kind: 'gap', lost: 2 } as const;
  const { bytes } = chain(record, new Uint8Array(32));
  // {"at": 1700000000, "kind": "gap", "lost": 2, "clock": "sure", "sequence": 1}
  expect(Buffer.from(bytes).toString('hex')).toBe(
    'a56261741a6553f100646b696e646367617064 6c6f7374 0265636c6f636b6473757265 6873657175656e6365 01'.replaceAll(
      ' ',
      '',
    ),
  );
});

import { describe, expect, test } from 'vitest';
import { auditRig, ENTRY, pageKeys } from '../fixtures/audit-rig.ts';

async function filled() {
  const rig = await auditRig();
  for (let count = 0; count < 600; count += 1) {
    rig.trail.record({ ...ENTRY, device: count % 2 === 0 ? 'even' : 'odd', subject: `s-${count % 3}` });
    if (count === 299) await rig.time.advance(60_000);
  }
  return rig;
}

type Rig = Awaited<ReturnType<typeof filled>>;
const sequences = async ({ reader }: Rig, query: Parameters<Rig['reader']['page']>[0]) =>
  (await reader.page(query)).records.map(({ sequence }) => sequence);

describe('a page', () => {
  test('is of the newest records, in their order', async () => {
    expect(await sequences(await filled(), { limit: 3 })).toEqual([598, 599, 600]);
  });

  test('with `after` goes on from there, over the bounds of segments', async () => {
    const rig = await filled();
    const all: number[] = [];
    for (let after = 0; ; ) {
      const { records, through } = await rig.reader.page({ after, limit: 100 });
      if (records.length === 0) break;
      all.push(...records.map(({ sequence }) => sequence));
      after = through;
    }
    expect(all).toEqual(Array.from({ length: 600 }, (_, index) => index + 1));
  });

  test('holds the records of one device only', async () => {
    expect(await sequences(await filled(), { limit: 3, device: 'odd' })).toEqual([596, 598, 600]);
  });

  test('holds the records since a time only', async () => {
    const found = await sequences(await filled(), { limit: 1_000, since: 1_700_000_060 });
    expect([found[0], found.length]).toEqual([301, 300]);
  });

  test('holds the records of one subject only', async () => {
    const subject = { issuer: ENTRY.issuer ?? '', subject: 's-1' };
    expect(await sequences(await filled(), { limit: 2, subject })).toEqual([596, 599]);
    expect(await sequences(await filled(), { limit: 2, subject: { ...subject, issuer: 'https://b.example' } })).toEqual(
      [],
    );
  });

  test('says how many pages cannot be read', async () => {
    const rig = await filled();
    await rig.trail.written();
    rig.store.entries.set(pageKeys(rig.store)[0] ?? '', new Uint8Array([0]));
    const page = await rig.reader.page({ after: 0, limit: 1 });
    expect(page.unreadable).toBe(1);
    expect(page.records[0]?.sequence).toBeGreaterThan(1);
  });
});

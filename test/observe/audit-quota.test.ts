/** One device alone cannot displace the audit records of the others. */
import { describe, expect, test } from 'vitest';
import type { AuditRecord } from '../../src/ports/audit.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { FaultyStore } from '../fakes/faulty-store.ts';
import { auditRig, ENTRY } from '../fixtures/audit-rig.ts';

const QUOTA = 10;
const MINUTE = 60_000;
const DAY = 86_400_000;

const rigOf = (settings = {}) => auditRig({ settings: { perDevice: QUOTA, ...settings } });
const total = (records: readonly AuditRecord[]) => records.reduce((sum, { count = 1 }) => sum + count, 0);

async function all({ reader }: Pick<Awaited<ReturnType<typeof rigOf>>, 'reader'>): Promise<readonly AuditRecord[]> {
  return (await reader.page({ limit: 10_000 })).records;
}

describe('a device that asks without pause', () => {
  test('displaces no record of another one, and all its verdicts are counted', async () => {
    const rig = await rigOf({ maxRecords: 512 });
    for (let count = 0; count < 5; count += 1) rig.trail.record({ ...ENTRY, device: 'ekg-2' });
    for (let minute = 0; minute < 60; minute += 1) {
      for (let count = 0; count < 100; count += 1) rig.trail.record(ENTRY);
      await rig.time.advance(MINUTE);
    }
    await rig.trail.close();
    const records = await all(rig);
    expect(records.filter(({ device }) => device === 'ekg-2')).toHaveLength(5);
    const own = records.filter(({ device }) => device === 'ekg-1');
    expect(own.length).toBeLessThanOrEqual(QUOTA + 7);
    expect(total(own)).toBe(6_000);
    expect((await rig.reader.verify()).faults).toEqual([]);
    expect(rig.log.events()).not.toContain('audit_full');
  });

  test('leaves those of tokens that verify their room, where requests without any are refused', async () => {
    const rig = await rigOf();
    const refused = { ...ENTRY, kind: 'deliver', verdict: 'refused', issuer: undefined } as const;
    for (let count = 0; count < QUOTA + 5; count += 1) rig.trail.record({ ...refused, code: 'jwt_malformed' });
    const theft = {
      ...refused,
      issuer: 'https://as.example',
      code: 'token_bound_elsewhere',
      subject: 'nurse-7',
    } as const;
    rig.trail.record(theft);
    await rig.time.advance(MINUTE);
    expect((await all(rig)).at(-1)).toMatchObject({ code: 'token_bound_elsewhere', issuer: theft.issuer });
  });

  test('has its quota again a day later, and not by pieces of less than a record', async () => {
    const rig = await rigOf();
    for (let count = 0; count < QUOTA + 1; count += 1) rig.trail.record(ENTRY);
    await rig.time.advance(DAY);
    const before = (await all(rig)).length;
    for (let count = 0; count < QUOTA; count += 1) rig.trail.record(ENTRY);
    expect((await all(rig)).length).toBe(before + QUOTA);
    await rig.time.advance(DAY / QUOTA - MINUTE);
    rig.trail.record(ENTRY);
    expect((await all(rig)).length).toBe(before + QUOTA);
  });

  test('leaves a record that sums up what came within ten minutes, and a line in the log', async () => {
    const rig = await rigOf();
    for (let count = 0; count < QUOTA + 3; count += 1)
      rig.trail.record({ ...ENTRY, verdict: 'inactive', code: 'proof_replayed', request: `r${count}` });
    expect(await all(rig)).toHaveLength(QUOTA);
    await rig.time.advance(10 * MINUTE);
    const [sum, ...others] = (await all(rig)).slice(QUOTA);
    expect(others).toEqual([]);
    expect(sum).toMatchObject({
      kind: 'relay',
      verdict: 'inactive',
      device: 'ekg-1',
      code: 'proof_replayed',
      count: 3,
    });
    expect(sum).not.toHaveProperty('token');
    expect(sum).not.toHaveProperty('subject');
    expect(rig.log.lines.filter(({ level }) => level === 'warn')).toMatchObject([
      { level: 'warn', fields: { event: 'audit_summed', device: 'ekg-1', verdict: 'inactive', count: 3 } },
    ]);
  });

  test('has reasons of different kinds summed up without one', async () => {
    const rig = await rigOf({ perDevice: 1 });
    for (const code of ['proof_replayed', 'proof_replayed', 'proof_missing', 'proof_replayed'] as const)
      rig.trail.record({ ...ENTRY, verdict: 'inactive', code });
    await rig.trail.close();
    expect((await all(rig)).map(({ code, count }) => [code, count])).toEqual([
      ['proof_replayed', undefined],
      [undefined, 3],
    ]);
  });
});

describe('a quota', () => {
  test('is of one kind and verdict: refusals hide no good verdict', async () => {
    const rig = await rigOf();
    for (let count = 0; count < 1_000; count += 1)
      rig.trail.record({ ...ENTRY, kind: 'deliver', verdict: 'refused', code: 'proof_missing' });
    rig.trail.record({ ...ENTRY, kind: 'deliver', verdict: 'queued' });
    rig.trail.record(ENTRY);
    expect((await all(rig)).slice(QUOTA)).toMatchObject([{ verdict: 'queued' }, { verdict: 'active' }]);
  });

  test('is not for what an operator does', async () => {
    const rig = await rigOf();
    for (let count = 0; count < 3 * QUOTA; count += 1)
      rig.trail.record({ kind: 'pair', verdict: 'refused', device: 'ekg-1', request: 'r' });
    expect(await all(rig)).toHaveLength(3 * QUOTA);
  });

  test('has its sum on the medium by the end of the run, and the chain goes on', async () => {
    const rig = await rigOf();
    for (let count = 0; count < QUOTA + 5; count += 1) rig.trail.record(ENTRY);
    await rig.trail.close();
    const next = await auditRig({ store: new FaultyStore(new Map(rig.store.entries)), time: new FakeTime() });
    expect(total(await all(next))).toBe(QUOTA + 5);
    expect((await next.reader.verify()).faults).toEqual([]);
  });
});

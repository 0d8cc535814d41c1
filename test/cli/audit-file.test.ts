import { describe, expect, test } from 'vitest';
import { exportLines, verifyExport } from '../../src/cli/audit-file.ts';
import { sha256, utf8 } from '../../src/core/bytes.ts';
import { Secret } from '../../src/core/secret.ts';
import { auditRig, ENTRY } from '../fixtures/audit-rig.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { runLine } from '../fixtures/fake-terminal.ts';

type Rig = Awaited<ReturnType<typeof auditRig>>;

async function linesOf({ reader }: Rig, evidence = false): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of exportLines({ audit: (query) => reader.page(query) }, { evidence }))
    lines.push(JSON.stringify(line));
  return lines;
}

async function filled(records: number): Promise<Rig> {
  const rig = await auditRig();
  const evidence = { digest: sha256('header.answer.signature'), jws: new Secret('header.answer.signature') };
  for (let count = 0; count < records; count += 1) rig.trail.record(count % 2 === 0 ? ENTRY : { ...ENTRY, evidence });
  return rig;
}

const file = (lines: readonly string[]) => utf8(`${lines.join('\n')}\n`);

describe('an export', () => {
  test('of more records than one answer holds is whole, and verifies to the head of the hub', async () => {
    const rig = await filled(2_500);
    const lines = await linesOf(rig);
    expect(lines).toHaveLength(2_502);
    const { head } = await rig.reader.verify();
    expect(verifyExport(file(lines), head)).toEqual({
      records: 2_500,
      dropped: expect.stringMatching(/^0:/),
      head,
      faults: [],
    });
  });

  test('of an empty audit verifies', async () => {
    expect(verifyExport(file(await linesOf(await auditRig())))).toMatchObject({ records: 0, faults: [] });
  });

  test('of an audit that has dropped records verifies from there', async () => {
    const rig = await auditRig({ settings: { maxRecords: 1_024 } });
    for (let count = 0; count < 3_000; count += 1) rig.trail.record(ENTRY);
    const { records, faults } = verifyExport(file(await linesOf(rig)));
    expect(faults).toEqual([]);
    expect(records).toBe(rig.trail.status().records);
  });

  test('holds signed answers only where they were asked for, each once', async () => {
    const rig = await filled(10);
    const answers = (lines: readonly string[]) => lines.filter((line) => line.includes('header.answer.signature'));
    expect(answers(await linesOf(rig))).toEqual([]);
    const lines = await linesOf(rig, true);
    expect(answers(lines)).toHaveLength(1);
    expect(verifyExport(file(lines)).faults).toEqual([]);
    const forged = lines.map((line) => line.replace('header.answer', 'header.another'));
    expect(verifyExport(file(forged)).faults).toEqual([{ sequence: 2, fault: 'evidence_altered' }]);
  });

  test('of an audit that drops records meanwhile is refused rather than left with a hole', async () => {
    const rig = await auditRig({ settings: { maxRecords: 1_500 } });
    for (let count = 0; count < 1_500; count += 1) rig.trail.record(ENTRY);
    const audit = async (query: Parameters<Rig['reader']['page']>[0]) => {
      const page = await rig.reader.page(query);
      for (let count = 0; count < 3_000; count += 1) rig.trail.record(ENTRY);
      await rig.trail.written();
      return page;
    };
    const all = async () => {
      for await (const line of exportLines({ audit }, { evidence: false })) expect(line).toBeDefined();
    };
    await expect(all()).rejects.toMatchObject({ code: 'audit_changed' });
  });
});

describe('a file is refused', () => {
  const HEAD = `0:${'A'.repeat(43)}`;
  const first = JSON.stringify({ format: 'latchkey-audit-1', dropped: HEAD });
  const record = { sequence: 1, at: 1, clock: 'sure', kind: 'gap', lost: 1, hash: 'A'.repeat(43) };

  test.each<[string, Uint8Array]>([
    ['that is empty', utf8('')],
    ['of another format', file([JSON.stringify({ format: 'other', dropped: HEAD })])],
    ['that is no text', new Uint8Array([0xff, 0xfe, 10])],
    ['with a line that is no JSON', file([first, 'x'])],
    ['with a line that is no object', file([first, '[]'])],
    ['with a line that is no record', file([first, '{"sequence":1}'])],
    ['with a record of more than text and whole numbers', file([first, JSON.stringify({ ...record, more: {} })])],
    ['with a record that holds a fraction', file([first, JSON.stringify({ ...record, age: 0.5 })])],
    ['with a hash that is none', file([first, JSON.stringify({ ...record, hash: '!' })])],
    ['without its head', file([first, JSON.stringify(record)])],
    ['with something behind its head', file([first, JSON.stringify({ head: HEAD }), '{}'])],
    ['with a line without end', utf8(`${first}\n"${'x'.repeat(100_000)}`)],
  ])('%s', (_, bytes) => {
    expect(codeOf(() => verifyExport(bytes))).toBe('audit_file_invalid');
  });

  test('whose heads are none', () => {
    const bytes = file([JSON.stringify({ format: 'latchkey-audit-1', dropped: 'zero' })]);
    expect(codeOf(() => verifyExport(bytes))).toBe('audit_head_invalid');
  });
});

describe('audit verify --file', () => {
  test('says what it found, with a status', async () => {
    const lines = await linesOf(await filled(3));
    const good = await runLine(['audit', 'verify', '--file', 'a.jsonl'], { 'a.jsonl': file(lines) });
    expect(good).toMatchObject({ status: 0, noted: '' });
    expect(good.printed).toMatch(/^The chain holds: 3 records\.\nHead: 3:[\w-]{43}$/);
    lines.splice(2, 1);
    const bad = await runLine(['audit', 'verify', '--json', '--file', 'a.jsonl'], { 'a.jsonl': file(lines) });
    expect(bad.status).toBe(1);
    expect(JSON.parse(bad.printed)).toMatchObject({ records: 2, faults: [{ sequence: 2, fault: 'missing' }] });
    expect(JSON.parse(bad.noted)).toMatchObject({ error: { code: 'audit_broken', detail: 'record 2: missing' } });
  });
});

describe('audit list is refused', () => {
  test.each([
    ['a time that is none', ['--since', 'yesterday'], 'neither a duration nor a date'],
    ['a limit of nothing', ['--limit', '0'], '--limit must be'],
    ['a limit past the most', ['--limit', '1025'], '--limit must be'],
    ['a subject without its issuer', ['--subject', 'doctor-7'], 'go together'],
  ])('%s', async (_, options, words) => {
    const { status, noted } = await runLine(['audit', 'list', ...options]);
    expect(status).toBe(2);
    expect(noted).toContain(words);
  });
});

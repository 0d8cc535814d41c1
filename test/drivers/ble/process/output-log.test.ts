import { afterEach, expect, it, vi } from 'vitest';
import { OutputLog } from '../../../../drivers/ble/process/output-log.ts';
import { QuietLog } from '../../../fakes/quiet-log.ts';

afterEach(() => {
  vi.useRealTimers();
});

function opened(): { readonly log: QuietLog; readonly output: OutputLog; readonly texts: () => unknown[] } {
  const log = new QuietLog();
  const texts = () => log.lines.flatMap(({ fields }) => ('text' in fields ? [fields.text] : []));
  return { log, output: new OutputLog(log), texts };
}

it('makes lines of what the process writes, however it comes, and of what is left at its end', () => {
  const { output, texts } = opened();
  for (const chunk of ['noble war', 'ning: a\n\nb\n', 'c']) output.write(Buffer.from(chunk));
  output.end();
  expect(texts()).toEqual(['noble warning: a', 'b', 'c']);
});

it('keeps a line short, and free of what steers a terminal', () => {
  const { output, texts } = opened();
  for (let part = 0; part < 100; part += 1) output.write(Buffer.alloc(10_000, 'x'));
  output.write(Buffer.from('\n\u001b[2J{"event":"ready"}\n'));
  expect(texts()).toEqual(['x'.repeat(512), '\\u001b[2J{"event":"ready"}']);
});

it('logs few lines in a minute, and counts the others', () => {
  vi.useFakeTimers();
  const { log, output, texts } = opened();
  for (let line = 0; line < 5_000; line += 1) output.write(Buffer.from(`line ${line}\n`));
  expect(texts()).toHaveLength(10);
  vi.advanceTimersByTime(60_000);
  expect(log.lines.at(-1)?.fields).toMatchObject({ event: 'radio_output_repeated', lines: 4_990 });
});

import { afterEach, describe, expect, test, vi } from 'vitest';
import { statusLines } from '../../src/cli/status.ts';
import { processTerminal } from '../../src/cli/terminal.ts';

const HOSTILE = '\u009b2J\u001b[31m\u202eNothing is wrong';

afterEach(() => vi.restoreAllMocks());

function written(stream: NodeJS.WriteStream, action: () => void): string {
  const write = vi.spyOn(stream, 'write').mockReturnValue(true);
  action();
  return write.mock.calls.map(([chunk]) => String(chunk)).join('');
}

function steering(text: string): readonly string[] {
  return ['\u001b', '\u009b', '\u202e'].filter((character) => text.includes(character));
}

describe('the terminal is not steered', () => {
  test('by what a command prints', () => {
    expect(written(process.stdout, () => processTerminal().print(HOSTILE))).toBe(
      '\\u009b2J\\u001b[31m\\u202eNothing is wrong\n',
    );
  });

  test('by what a command notes', () => {
    expect(steering(written(process.stderr, () => processTerminal().note(HOSTILE)))).toEqual([]);
  });

  test('by a heading, which may be bold and nothing else', () => {
    const text = written(process.stdout, () => processTerminal().heading(HOSTILE));
    expect(steering(text.replaceAll('\u001b[1m', '').replaceAll('\u001b[0m', ''))).toEqual([]);
  });
});

test('the status names the first keys of an issuer, and says how many more there are', () => {
  const keys = Array.from({ length: 64 }, (_, index) => ({ keyId: `k${index}`, algorithms: ['ES256'] }));
  const lines = statusLines({
    version: '1',
    uptime: 1,
    clock: { certainty: 'sure', floor: 1 },
    issuers: [{ issuer: 'https://as.example', keys }],
    lines: [],
    devices: 0,
    deliveries: {},
    audit: { records: 0, head: '0:', lost: 0 },
    conditions: [],
  });
  expect(lines.join('\n')).toContain('"k7"');
  expect(lines.join('\n')).not.toContain('"k8"');
  expect(lines.join('\n')).toContain('and 56 more');
});

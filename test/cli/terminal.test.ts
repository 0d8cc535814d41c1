import { afterEach, describe, expect, test, vi } from 'vitest';
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

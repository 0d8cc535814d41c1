import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { COMMANDS } from '../../src/cli/program.ts';
import { VERSION } from '../../src/core/version.ts';
import { runLine } from '../fixtures/fake-terminal.ts';
import { PROGRAM } from '../fixtures/hub-process.ts';

const PATHS = COMMANDS.map(({ path }) => path);
const GROUPS = [...new Set(PATHS.flatMap(([first, second]) => (second === undefined ? [] : [first])))];

test('every file that is a command is listed', () => {
  const folder = fileURLToPath(new URL('../../src/cli', import.meta.url));
  const files = readdirSync(folder).filter(
    (name) => name.endsWith('.ts') && /^export const command:/m.test(readFileSync(join(folder, name), 'utf8')),
  );
  expect(files.sort()).toEqual(PATHS.map((path) => `${path.join('-')}.ts`).sort());
});

describe('help', () => {
  test('lists every command', async () => {
    const { status, printed } = await runLine(['--help']);
    expect(status).toBe(0);
    for (const [first] of PATHS) expect(printed).toMatch(new RegExp(`^  ${first} `, 'm'));
  });

  test.each(PATHS.map((path) => [path.join(' '), path] as const))(
    'of %s describes it and has an example',
    async (_, path) => {
      const { status, printed, noted } = await runLine([...path, '--help']);
      expect(status).toBe(0);
      expect(noted).toBe('');
      expect(printed).toContain(`Usage: latchkey ${path.join(' ')}`);
      expect(printed).toMatch(/Examples?:\n {2}\$ .*latchkey /);
    },
  );

  test.each([
    ['trust rotate-hub-key', 'wrap mac0', 'which devices it leaves alone'],
    ['sim device', 'needs --state', 'what a device that can be paired needs'],
  ])('of %s says "%s": %s', async (path, words) => {
    const { printed } = await runLine([...path.split(' '), '--help']);
    expect(printed.replaceAll(/\s+/g, ' ')).toContain(words);
  });

  test.each(GROUPS)('of the group %s lists its commands', async (group) => {
    const { status, printed } = await runLine([group, '--help']);
    expect(status).toBe(0);
    expect(printed).toContain('Example:');
    for (const [first, second] of PATHS) if (first === group) expect(printed).toMatch(new RegExp(`^  ${second} `, 'm'));
  });

  test('goes to standard error where no command was given', async () => {
    const { status, printed, noted } = await runLine([]);
    expect({ status, printed }).toEqual({ status: 2, printed: '' });
    expect(noted).toContain('Usage: latchkey');
  });
});

test('a reader that has seen enough is no fault', async () => {
  const child = spawn(process.execPath, [PROGRAM, '--help'], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  const noted: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => noted.push(chunk));
  expect(await once(child, 'close')).toEqual([0, null]);
  expect(Buffer.concat(noted).toString()).toBe('');
});

test('--version prints the version of package.json', async () => {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  expect(manifest).toMatchObject({ version: VERSION });
  expect(await runLine(['--version'])).toEqual({ status: 0, printed: VERSION, noted: '' });
});

describe('a command line that cannot be understood ends with status 2', () => {
  test.each([
    ['an unknown command', ['rnu'], "unknown command 'rnu' (Did you mean run?)"],
    ['an unknown command of a group', ['devices', 'ad'], "unknown command 'ad' (Did you mean add?)"],
    ['an unknown option', ['status', '--jsn'], "unknown option '--jsn' (Did you mean --json?)"],
    ['a missing argument', ['token', 'inspect'], "missing required argument 'file'"],
    ['an argument too many', ['status', 'now'], 'too many arguments'],
    ['an option without its value', ['status', '--socket'], 'argument missing'],
  ])('%s', async (_, args, words) => {
    const { status, printed, noted } = await runLine(args);
    expect({ status, printed }).toEqual({ status: 2, printed: '' });
    expect(noted).toContain(words);
    expect(noted).toContain('[usage]');
  });
});

describe('an error', () => {
  test('is one line with title, place, cause, fix and code', async () => {
    const { status, noted } = await runLine(['token', 'inspect', 'missing.jwt']);
    expect(status).toBe(1);
    expect(noted).toBe(
      'latchkey: A file cannot be read: missing.jwt. It is missing, or its owner does not let the hub read it. Check path and permissions. [file_unreadable]',
    );
  });

  test('is JSON with --json', async () => {
    const { status, printed, noted } = await runLine(['token', 'inspect', '--json', 'missing.jwt']);
    expect({ status, printed }).toEqual({ status: 1, printed: '' });
    expect(JSON.parse(noted)).toEqual({
      error: {
        code: 'file_unreadable',
        title: 'A file cannot be read',
        detail: 'missing.jwt',
        cause: 'It is missing, or its owner does not let the hub read it.',
        fix: 'Check path and permissions.',
      },
    });
  });

  test('does not steer the terminal with what it repeats', async () => {
    const { noted } = await runLine(['token', 'inspect', 'a\u001b[2Jb\u202ec']);
    expect(noted).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(noted).toContain('a\\u001b[2Jb\\u202ec');
  });
});

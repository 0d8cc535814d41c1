/** Renaming, identifying and unpairing without a hub: on the state folder itself. With one, test/scenarios has them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runLine } from '../fixtures/fake-terminal.ts';

let folder: string;
let config: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-unpair-'));
  config = join(folder, 'latchkey.toml');
  writeFileSync(
    config,
    'state_dir = "state"\n[[issuers]]\nissuer = "https://as.example"\n[[lines]]\nname = "bench"\npath = "tcp://127.0.0.1:1"\n',
  );
  const read = ['--allow', 'read=FETCH temperature', '--trust', join(folder, 'trust.json')];
  await devices('add', 'tube-1', '--audience', 'coap://tube-1', '--line', 'bench', ...read);
});

afterEach(() => rmSync(folder, { recursive: true }));

const devices = (...args: readonly string[]) => runLine(['devices', ...args, '--config', config]);
const codeIn = (noted: string) => JSON.parse(noted.split('\n').at(-1) ?? '{}').error.code;

test('a device has another name for people', async () => {
  expect((await devices('rename', 'tube-1', 'Fridge, second floor')).printed).toBe(
    'tube-1 is called Fridge, second floor.',
  );
  expect((await devices('list')).printed).toMatch(/NAME\n.*Fridge, second floor/);
  expect((await devices('show', 'tube-1')).printed).toMatch(/^ {2}name +Fridge, second floor$/m);
});

test('a name that a terminal does not bear is refused', async () => {
  const { noted } = await devices('rename', 'tube-1', 'a\u0007', '--json');
  expect(codeIn(noted)).toBe('device_invalid');
});

test('a device is not asked without a hub', async () => {
  expect(codeIn((await devices('identify', 'tube-1', '--json')).noted)).toBe('admin_unreachable');
  expect(codeIn((await devices('unpair', 'tube-1', '--json')).noted)).toBe('admin_unreachable');
  expect((await devices('list')).printed).toContain('tube-1');
});

test('a device is forgotten by force, and it is said what that means', async () => {
  const { printed } = await devices('unpair', 'tube-1', '--force');
  expect(printed).toContain('[admin_unreachable]: it trusts this hub until it is reset by hand');
  expect((await devices('list')).printed).toContain('No device is registered');
});

test.each(['rename', 'identify', 'unpair'])('%s of a device that nobody knows is refused', async (command) => {
  const { noted } = await devices(command, 'tube-2', ...(command === 'rename' ? ['x'] : []), '--json');
  expect(codeIn(noted)).toBe('device_unknown');
});

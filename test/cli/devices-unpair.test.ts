/** Renaming, identifying and unpairing without a hub: on the state folder itself. With one, test/scenarios has them. */
import { appendFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
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

describe('with profiles', () => {
  const profile =
    '[[profiles]]\nname = "tube"\nallow = ["read=FETCH temperature"]\nwrap = "encrypt0"\nmax_token_bytes = 512\n';
  const add = (id: string, ...args: readonly string[]) =>
    devices('add', id, '--trust', join(folder, `${id}.json`), '--line', 'desk', ...args);

  beforeEach(() => appendFileSync(config, `[[lines]]\nname = "desk"\npath = "tcp://127.0.0.1:2"\n${profile}`));

  test('a device has what its profile says, but for what options say', async () => {
    expect((await add('lamp', '--profile', 'tube', '--max-token-bytes', '256')).status).toBe(0);
    const view = JSON.parse((await devices('show', 'lamp', '--json')).printed);
    expect(view).toMatchObject({ audience: 'coap://lamp', profile_name: 'tube', profile_differs: true });
    expect(view.profile).toMatchObject({ wrap: 'encrypt0', scopes: ['read'], maxTokenBytes: 256 });
    const shown = (await devices('show', 'lamp')).printed;
    expect(shown).toMatch(/^ {2}profile +tube, but with other settings than \[\[profiles\]\] has now$/m);
    expect((await devices('profiles')).printed).toMatch(/^tube +encrypt0 +1 +1 +coap:\/\/\{id\} +read$/m);
  });

  test.each([
    ['an unknown profile', ['--profile', 'kettle'], 'profile_unknown'],
    ['neither audience nor profile', [], 'usage'],
    ['a profile with an algorithm of another wrap', ['--profile', 'tube', '--algorithm', 'ES256'], 'device_invalid'],
  ])('%s is refused', async (_, args, code) => {
    expect(codeIn((await add('lamp', '--json', ...args)).noted)).toBe(code);
    expect(existsSync(join(folder, 'lamp.json'))).toBe(false);
  });

  test('a connected device has none', async () => {
    expect(codeIn((await devices('add', 'ekg-1', '--profile', 'tube', '--json')).noted)).toBe('usage');
  });
});

test('profiles are listed before there is any state', async () => {
  const fresh = join(folder, 'fresh.toml');
  writeFileSync(fresh, 'state_dir = "none"\n[[profiles]]\nname = "tube"\nallow = ["read=GET x"]\n');
  const { printed } = await runLine(['devices', 'profiles', '--config', fresh, '--json']);
  expect(JSON.parse(printed)).toMatchObject([
    { name: 'tube', devices: 0, differing: 0, profile: { scopes: ['read'] } },
  ]);
  expect((await devices('profiles')).printed).toBe('The configuration has no [[profiles]].');
});

test('a device with a trust file is removed without a question', async () => {
  expect((await devices('remove', 'tube-1')).printed).toBe('Removed tube-1.');
});

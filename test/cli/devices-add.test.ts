import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readTrustFile } from '../../src/codec/trust-file.ts';
import { runLine } from '../fixtures/fake-terminal.ts';
import { PROGRAM } from '../fixtures/hub-process.ts';

let folder: string;
let config: string;
let trust: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-add-'));
  config = join(folder, 'latchkey.toml');
  trust = join(folder, 'trust.json');
  writeFileSync(
    config,
    'state_dir = "state"\n[[issuers]]\nissuer = "https://as.example"\n[[lines]]\nname = "bench"\npath = "tcp://127.0.0.1:1"\n',
  );
});

afterEach(() => rmSync(folder, { recursive: true }));

const DEVICE = ['--audience', 'coap://tube-1', '--line', 'bench'] as const;
const READ = ['--allow', 'read=FETCH temperature'] as const;

function add(...more: readonly string[]) {
  return runLine(['devices', 'add', 'tube-1', '--config', config, '--trust', trust, '--json', ...more]);
}

async function refused(...more: readonly string[]): Promise<{ code: string; detail: string }> {
  const { status, noted } = await add(...more);
  expect(status).not.toBe(0);
  return JSON.parse(noted.split('\n').at(-1) ?? '{}').error;
}

test('the device is printed, and its keys go to a file that only its owner can read', async () => {
  const { status, printed } = await add(...DEVICE, ...READ);
  expect(status).toBe(0);
  expect(JSON.parse(printed)).toMatchObject({ id: 'tube-1', audience: 'coap://tube-1', line: 'bench' });
  expect(printed).not.toContain('"k"');
  expect(statSync(trust).mode & 0o777).toBe(0o600);
  expect(readTrustFile(readFileSync(trust, 'utf8')).audience).toBe('coap://tube-1');
});

test('--ble takes the id for the name, or the name that is given', async () => {
  appendFileSync(config, '[ble]\nadapter = "auto"\n');
  const { printed } = await add('--audience', 'coap://tube-1', '--ble', ...READ);
  expect(JSON.parse(printed)).toMatchObject({ ble: { name: 'tube-1' } });
  const second = await runLine([
    ...['devices', 'add', 'b', '--config', config, '--trust', join(folder, 'b.json'), '--json'],
    ...['--audience', 'b', '--ble', 'Tube 2', ...READ],
  ]);
  expect(JSON.parse(second.printed)).toMatchObject({ ble: { name: 'Tube 2' } });
});

test('a device on the radio is shown with what its tokens permit, in columns', async () => {
  appendFileSync(config, '[ble]\nadapter = "auto"\n');
  await add('--audience', 'coap://tube-1', '--ble', ...READ);
  const { printed } = await runLine(['devices', 'show', 'tube-1', '--config', config]);
  expect(printed).toMatch(/^ {4}read = FETCH temperature$/m);
  expect(printed).toMatch(/^ {2}trust +version [1-9]/m);
  const columns = printed.split('\n').flatMap((line) => /^ {2}\w\S* +(?=\S)/.exec(line)?.[0].length ?? []);
  expect(new Set(columns).size).toBe(1);
});

test('--encryption and --cti-bytes are in the profile', async () => {
  const { printed } = await add(
    ...DEVICE,
    ...READ,
    ...['--wrap', 'encrypt0', '--encryption', 'A128GCM', '--cti-bytes', '8'],
  );
  const { profile } = JSON.parse(printed) as { profile: object };
  expect(profile).toMatchObject({ wrap: 'encrypt0', encryption: 'A128GCM', ctiBytes: 8 });
  expect(profile).not.toHaveProperty('authentication');
});

test('scopes with names of JavaScript are scopes like any other', async () => {
  const names = ['__proto__', 'constructor'];
  const { printed } = await add(...DEVICE, ...names.flatMap((name) => ['--allow', `${name}=PUT led`]));
  const { profile } = JSON.parse(printed) as { profile: { permissions: object; scopes: string[] } };
  expect(profile.scopes).toEqual(names);
  expect(Object.entries(profile.permissions)).toEqual(names.map((name) => [name, [['led', 4]]]));
  expect(Object.keys(readTrustFile(readFileSync(trust, 'utf8')).permissions)).toEqual(names);
});

describe('is refused, and leaves no trust file,', () => {
  test.each<[string, readonly string[], string, string]>([
    ['a cipher as --algorithm', [...READ, '--algorithm', 'A128GCM'], 'device_invalid', '--algorithm'],
    ['a MAC with sign1', [...READ, '--wrap', 'sign1', '--algorithm', 'HMAC 256/64'], 'device_invalid', '--algorithm'],
    [
      '--algorithm with encrypt0',
      [...READ, '--wrap', 'encrypt0', '--algorithm', 'ES256'],
      'device_invalid',
      '--algorithm',
    ],
    ['a MAC as --encryption', [...READ, '--encryption', 'HMAC 256/64'], 'device_invalid', '--encryption'],
    ['an unknown wrap', [...READ, '--wrap', 'rot13'], 'device_invalid', '--wrap'],
    ['no scope', [], 'device_invalid', '--allow'],
    ['a --cti-bytes that is too short', [...READ, '--cti-bytes', '3'], 'device_invalid', '--cti-bytes'],
    ['a --cti-bytes that is no number', [...READ, '--cti-bytes', 'few'], 'usage', '--cti-bytes'],
    [
      'a --max-token-bytes that is too small',
      [...READ, '--max-token-bytes', '10'],
      'device_invalid',
      '--max-token-bytes',
    ],
    ['an unknown method', ['--allow', 'read=GRAB led'], 'usage', 'GRAB'],
    ['a permission of another form', ['--allow', 'read'], 'usage', '--allow "read"'],
    ['an issuer that is not configured', [...READ, '--issuer', 'https://evil.example'], 'device_invalid', '--issuer'],
  ])('%s', async (_, options, code, words) => {
    const error = await refused(...DEVICE, ...options);
    expect(error.code).toBe(code);
    expect(error.detail).toContain(words);
    expect(existsSync(trust)).toBe(false);
  });

  test('a line that is not configured', async () => {
    const error = await refused('--audience', 'coap://tube-1', '--line', 'attic', ...READ);
    expect(error).toMatchObject({ code: 'device_invalid', detail: expect.stringMatching(/^--line: "attic".*bench/) });
    expect(existsSync(trust)).toBe(false);
  });

  test('a device that is found by radio where there is no radio', async () => {
    const error = await refused('--audience', 'coap://tube-1', '--ble', ...READ);
    expect(error).toMatchObject({ code: 'device_invalid', detail: expect.stringMatching(/^--ble: .*\[ble\]/) });
    expect(existsSync(trust)).toBe(false);
  });

  test('an audience that another device has', async () => {
    await add(...DEVICE, ...READ);
    const { noted } = await runLine([
      ...['devices', 'add', 'tube-2', '--config', config, '--trust', join(folder, 'second.json'), '--json'],
      ...DEVICE,
      ...READ,
    ]);
    expect(JSON.parse(noted.split('\n').at(-1) ?? '{}').error).toMatchObject({ code: 'audience_taken' });
    expect(existsSync(join(folder, 'second.json'))).toBe(false);
  });
});

test('a file that exists is not overwritten, and no device is registered', async () => {
  writeFileSync(trust, 'precious');
  const error = await refused(...DEVICE, ...READ);
  expect(error).toMatchObject({ code: 'file_exists', detail: trust });
  expect(readFileSync(trust, 'utf8')).toBe('precious');
  expect(existsSync(join(folder, 'state'))).toBe(false);
});

test('a device whose trust file cannot be written is removed again', async () => {
  const asked: string[] = [];
  const hub = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    request.resume();
    if (request.method === 'DELETE') response.writeHead(204).end();
    else response.writeHead(201).end(JSON.stringify({ device: DEVICE_VIEW, trust: 'x'.repeat(4_096) }));
  });
  const socket = join(folder, 'hub.sock');
  await new Promise<void>((resolve) => hub.listen(socket, resolve));
  try {
    // No process that this shell starts may write a byte to a file.
    const child = spawn(
      '/bin/sh',
      [
        ...['-c', 'ulimit -f 0; exec "$@"', 'sh', process.execPath, PROGRAM, 'devices', 'add', 'tube-1'],
        ...[...DEVICE, ...READ, '--trust', trust, '--socket', socket, '--json'],
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    const errors: Buffer[] = [];
    child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
    expect(await once(child, 'close')).toEqual([1, null]);
    expect(JSON.parse(Buffer.concat(errors).toString())).toMatchObject({ error: { code: 'file_unwritable' } });
    expect(asked).toEqual(['POST /devices', 'DELETE /devices/tube-1']);
    expect(existsSync(trust)).toBe(false);
  } finally {
    await new Promise((resolve) => hub.close(resolve));
  }
});

const DEVICE_VIEW = {
  id: 'tube-1',
  audience: 'coap://tube-1',
  line: 'bench',
  profile: { scopes: ['read'] },
  issuers: 'any',
  trust_version: 1,
  added_at: 1_700_000_000,
  waiting: 0,
};

import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Terminal } from '../../src/cli/command.ts';
import { runCommandLine } from '../../src/cli/program.ts';
import { openCwt } from '../../src/codec/cwt.ts';
import { readTrustFile } from '../../src/codec/trust-file.ts';
import { hex } from '../../src/core/bytes.ts';

function recordingTerminal() {
  const printed: string[] = [];
  const noted: string[] = [];
  const terminal: Terminal = {
    environment: {},
    print: (line) => void printed.push(line),
    heading: (line) => void printed.push(line),
    note: (line) => void noted.push(line),
    ask: async () => undefined,
    read: () => Promise.reject(new Error('the demo reads no file')),
  };
  return { printed, noted, terminal };
}

const STEPS = [
  'authorization-server',
  'provisioning',
  'hub',
  'ekg-machine',
  'doctor-login',
  'verdict',
  'session',
  'wrong-key',
  'replayed-device-proof',
  'revoked-token',
  'token',
  'delivery',
  'proof-of-possession',
  'delivered-once',
  'out-of-scope',
  'another-tube',
  'replayed-proof',
  'tampered-token',
  'stolen-token',
  'tube-away',
  'authorization-server-gone',
  'authorization-server-off',
];

let folder: string;
let status: number;
let summary: {
  ok: boolean;
  jwtBytes: number;
  cwtBytes: number;
  wireBytes: number;
  steps: { name: string; ok: boolean; ms: number }[];
};
const recorded = recordingTerminal();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'latchkey-test-'));
  await mkdir(join(folder, 'tmp'));
  vi.stubEnv('TMPDIR', join(folder, 'tmp'));
  status = await runCommandLine(['demo', '--json', '--artifacts', join(folder, 'out')], recorded.terminal);
  summary = JSON.parse(recorded.printed.at(-1) ?? '{}');
}, 60_000);

afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

const artifact = (name: string) => readFile(join(folder, 'out', name));

test('every step of the demo holds', () => {
  expect(recorded.noted).toEqual([]);
  expect(status).toBe(0);
  expect(summary.ok).toBe(true);
  expect(summary.steps.map(({ name, ok }) => ({ name, ok }))).toEqual(STEPS.map((name) => ({ name, ok: true })));
  for (const { ms } of summary.steps) expect(ms).toBeGreaterThanOrEqual(0);
});

test('with --json the summary is all that is printed', () => {
  expect(recorded.printed).toHaveLength(1);
});

test('the sizes are those of the artifacts, and of framing around them', async () => {
  const [jwt, cwt] = await Promise.all([artifact('token.jwt'), artifact('token.cwt')]);
  expect(summary).toMatchObject({ jwtBytes: jwt.length, cwtBytes: cwt.length });
  expect(summary.wireBytes).toBeGreaterThan(cwt.length);
  expect(summary.wireBytes).toBeLessThan(cwt.length + 150);
});

test('the JWT verifies with jose over jwks.json, which holds no private key', async () => {
  const keys = JSON.parse(String(await artifact('jwks.json'))) as JSONWebKeySet;
  expect(keys.keys.some((key) => key.d !== undefined)).toBe(false);
  const { payload } = await jwtVerify(String(await artifact('token.jwt')), createLocalJWKSet(keys), { typ: 'at+jwt' });
  expect(payload).toMatchObject({ scope: 'read', cnf: { jkt: expect.any(String) } });
});

test('the CWT opens with the keys of device-trust.json and says what expected-claims.json says', async () => {
  const trust = readTrustFile(String(await artifact('device-trust.json')));
  const { claims } = openCwt(await artifact('token.cwt'), { keys: trust.keys, expected: trust.wrap });
  const expected = JSON.parse(String(await artifact('expected-claims.json')));
  expect(expected).toMatchObject({ aud: trust.audience, scope: 'read', exp: claims.expiresAt, iat: claims.issuedAt });
  expect(hex(claims.cwtId ?? new Uint8Array(0))).toHaveLength(32);
  expect(await readdir(join(folder, 'out'))).toHaveLength(5);
});

test('nothing is left behind in the temporary folder', async () => {
  expect(await readdir(join(folder, 'tmp'))).toEqual([]);
});

test('without --json the story is told, and every step says that it holds', async () => {
  const told = recordingTerminal();
  expect(await runCommandLine(['demo'], told.terminal)).toBe(0);
  const story = told.printed.join('\n');
  expect(told.printed.filter((line) => /^ {3}ok \(\d+ ms\)$/.test(line))).toHaveLength(STEPS.length);
  expect(story).toContain('36.6 °C');
  expect(story).toContain('72 beats a minute');
  for (const code of ['proof_key_mismatch', 'proof_replayed', 'token_inactive', 'as_unreachable']) {
    expect(story).toContain(`refused by the EKG machine: ${code === 'as_unreachable' ? 503 : 401} ${code}`);
  }
  expect(story).not.toContain('eyJ');
  expect(story).not.toContain('\u001b');
}, 60_000);

test('a folder for the artifacts that cannot be written fails the demo', async () => {
  const failing = recordingTerminal();
  await writeFile(join(folder, 'a-file'), '');
  const unwritable = join(folder, 'a-file', 'out');
  const status = await runCommandLine(['demo', '--json', '--artifacts', unwritable], failing.terminal);
  expect(status).toBe(1);
  expect(JSON.parse(failing.printed.at(-1) ?? '{}')).toMatchObject({ ok: false });
  expect(failing.noted.at(-1)).toContain('"code":"file_unwritable"');
}, 60_000);

/** `latchkey token check` over a real state folder, without a hub and without a network. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCommandLine } from '../../src/cli/program.ts';
import { utf8 } from '../../src/core/bytes.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { signingKey, signJwt } from '../fixtures/jwt-signing.ts';

const key = signingKey('P-256', 'as-1', { alg: 'ES256' });
const folder = mkdtempSync(join(tmpdir(), 'token-check-'));
const config = join(folder, 'latchkey.toml');

async function run(args: readonly string[], input = '') {
  const printed: string[] = [];
  const noted: string[] = [];
  const status = await runCommandLine([...args, '--config', config], {
    environment: {},
    print: (line) => printed.push(line),
    heading: (line) => printed.push(line),
    note: (line) => noted.push(line),
    ask: async () => undefined,
    read: async () => utf8(input),
  });
  return { status, printed, noted };
}

function token(claims: JsonObject, typ = 'at+jwt'): string {
  const now = Math.floor(Date.now() / 1_000);
  const base = { iss: 'https://as.example', sub: 's', aud: 'coap://tube-1', iat: now, exp: now + 600, scope: 'read' };
  return signJwt({ key, header: { alg: 'ES256', kid: 'as-1', typ }, claims: { ...base, ...claims } });
}

const check = (text: string) => run(['token', 'check', '--device', 'tube-1', '--json', '-'], text);

beforeAll(async () => {
  writeFileSync(join(folder, 'jwks.json'), JSON.stringify({ keys: [key.jwk] }));
  writeFileSync(
    config,
    `state_dir = "${folder}/state"\n[admin]\nsocket = "${folder}/admin.sock"\n[[lines]]\nname = "a"\npath = "/dev/null"\n[[issuers]]\nissuer = "https://as.example"\njwks_file = "jwks.json"\n`,
  );
  const added = await run([
    'devices',
    'add',
    'tube-1',
    '--audience',
    'coap://tube-1',
    '--line',
    'a',
    '--allow',
    'read=FETCH temperature',
    '--trust',
    join(folder, 't'),
  ]);
  expect(added).toMatchObject({ status: 0 });
});
afterAll(() => rmSync(folder, { recursive: true }));

test.each([
  ['good', token({ cnf: { jkt: 'A'.repeat(43) } }), 0, { accepted: true }],
  ['without a key', token({}), 3, { code: 'confirmation_missing', remedy: { settings: ['bind = "first-presenter"'] } }],
  ['of another device', token({ aud: 'coap://tube-2' }), 3, { code: 'jwt_audience_mismatch', accepted: false }],
  ['that is opaque', 'ory_at_2Jr0', 3, { code: 'jwt_malformed', accepted: false }],
  ['that is over', token({ exp: 1_000 }), 3, { code: 'jwt_expired', reason: expect.any(String) }],
])('a token %s', async (_, text, status, explanation) => {
  const { printed, status: ended } = await check(text);
  expect(JSON.parse(printed.join(''))).toMatchObject(explanation);
  expect(ended).toBe(status);
});

/** `latchkey token check` over a real state folder, without a hub and without a network. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCommandLine } from '../../src/cli/program.ts';
import { utf8 } from '../../src/core/bytes.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { HubKeys } from '../../src/devices/hub-keys.ts';
import { unreadable } from '../../src/flows/explain/explain-token.ts';
import { openState } from '../../src/store/open-state.ts';
import { QuietLog } from '../fakes/quiet-log.ts';
import { decryptionJwk, encryptTo } from '../fixtures/encrypting-issuer.ts';
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
    `state_dir = "${folder}/state"\n[admin]\nsocket = "${folder}/admin.sock"\n[[lines]]\nname = "a"\npath = "/dev/null"\n[[issuers]]\nissuer = "https://as.example"\njwks_file = "jwks.json"\n[[issuers]]\nissuer = "https://spare.example"\njwks_file = "jwks.json"\n`,
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
    '--issuer',
    'https://as.example',
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
  ['that is opaque', 'ory_at_2Jr0', 3, { code: 'token_opaque', accepted: false }],
  ['that is cut', token({}).slice(0, 80), 3, { code: 'token_opaque', accepted: false }],
  ['that is no JSON', 'AAAA.AAAA.AAAA', 3, { code: 'jwt_malformed', accepted: false }],
  ['that is over', token({ exp: 1_000 }), 3, { code: 'jwt_expired', reason: expect.any(String) }],
])('a token %s', async (_, text, status, explanation) => {
  const { printed, status: ended } = await check(text);
  expect(JSON.parse(printed.join(''))).toMatchObject(explanation);
  expect(ended).toBe(status);
});

describe('a token of an issuer that is not known', () => {
  test.each<[string, JsonObject, string]>([
    [
      'with the way to its settings',
      { iss: 'https://other.example/realms/w' },
      '`latchkey issuers check https://other.example/realms/w`',
    ],
    [
      'with the dialect that it would be',
      { iss: 'https://other.example/realms/w' },
      'It looks like one with dialect "keycloak".',
    ],
    [
      'of ADFS with the address to ask',
      { iss: 'http://fs.example/adfs/services/trust' },
      '`latchkey issuers check https://fs.example/adfs`',
    ],
    ['that differs in a slash', { iss: 'https://as.example/' }, 'Write issuer = "https://as.example/".'],
    ['that differs in its port', { iss: 'https://as.example:443' }, 'Write issuer = "https://as.example:443".'],
    ['that a shell would obey, without it', { iss: 'https://as.example/$(reboot)' }, '`latchkey issuers check URL`'],
    ['that cannot be asked', { iss: 'http://as.example/other' }, '`latchkey issuers check URL`'],
    ['that is an ID token', { iss: 'https://other.example', at_hash: 'x' }, 'This is no access token: it has at_hash'],
  ])('%s', async (_, claims, reason) => {
    const { printed, status } = await check(token({ cnf: { jkt: 'A'.repeat(43) }, ...claims }));
    const found = JSON.parse(printed.join('')) as {
      reason: string;
      steps: readonly { step: string; result: string }[];
    };
    expect(found).toMatchObject({ accepted: false, code: 'jwt_issuer_unknown' });
    expect(found.reason).toContain(reason);
    expect(found.steps.filter(({ result }) => result === 'refused')).toEqual([
      {
        step: 'issuer',
        result: 'refused',
        says: `iss is ${JSON.stringify(claims.iss)}, configured: https://as.example, https://spare.example`,
      },
    ]);
    expect(status).toBe(3);
  });

  test.each<[string, JsonObject, string]>([
    ['no iss', { iss: undefined as never }, 'jwt_claim_missing'],
    ['an iss that is no text', { iss: 7 }, 'jwt_claim_invalid'],
  ])('or with %s', async (_, claims, code) => {
    const { printed, status } = await check(token(claims));
    expect(JSON.parse(printed.join(''))).toMatchObject({ code, reason: expect.stringContaining('who issued it') });
    expect(status).toBe(3);
  });

  test('or of one that is configured, and that the device does not take', async () => {
    const { printed, status } = await check(token({ iss: 'https://spare.example' }));
    expect(JSON.parse(printed.join(''))).toMatchObject({
      code: 'jwt_issuer_unknown',
      steps: expect.arrayContaining([
        {
          step: 'issuer',
          result: 'refused',
          says: 'iss is "https://spare.example", the device tube-1 takes tokens of https://as.example',
        },
      ]),
      reason: expect.stringContaining('Register it again with --issuer https://spare.example'),
    });
    expect(status).toBe(3);
  });

  test('is explained in words, and the error has its code', async () => {
    const { noted, printed, status } = await run(
      ['token', 'check', '--device', 'tube-1', '-'],
      token({ iss: 'https://other.example' }),
    );
    expect(printed).toContain(
      '! issuer       iss is "https://other.example", configured: https://as.example, https://spare.example',
    );
    expect(printed.at(-1)).toContain('latchkey issuers check https://other.example');
    expect(noted.join('\n')).toContain('[jwt_issuer_unknown]');
    expect(status).toBe(3);
  });
});

test('a token of the org authorization server of Okta is told from one of a custom one', async () => {
  const { printed } = await check(token({ iss: 'https://example.okta.com' }));
  expect(JSON.parse(printed.join(''))).toMatchObject({
    code: 'jwt_issuer_unknown',
    reason: expect.stringContaining('such as https://example.okta.com/oauth2/default.'),
  });
});

describe('a token that is encrypted as a whole', () => {
  let published: JsonObject;

  beforeAll(async () => {
    const log = new QuietLog();
    const state = await openState(join(folder, 'state'), { create: false, log });
    const [hubKey] = (await HubKeys.load(state.store, ['https://as.example'])).publicJwks().keys as JsonObject[];
    await state.close();
    if (hubKey === undefined) throw new Error('no key');
    published = hubKey;
  });
  const seal = (jwt: string, header: JsonObject = {}, to: JsonObject = published) => encryptTo(to, jwt, { header });

  test.each<[string, () => Promise<string>, JsonObject]>([
    ['for this hub', () => seal(token({ cnf: { jkt: 'A'.repeat(43) } })), { accepted: true }],
    [
      'for this hub, with a key in it',
      () => seal(token({ cnf: { jwk: { kty: 'oct', k: 'A'.repeat(43) } } })),
      { accepted: true },
    ],
    [
      'for this hub, and bound to no key',
      () => seal(token({})),
      { code: 'confirmation_missing', remedy: { settings: ['bind = "first-presenter"'] } },
    ],
    [
      'for this hub, with another aud outside',
      () => seal(token({}), { aud: 'coap://tube-2' }),
      { code: 'jwe_foreign' },
    ],
    ['for another recipient', () => seal(token({}), {}, decryptionJwk('theirs')), { code: 'token_encrypted' }],
    [
      'under the name of our key',
      () => seal(token({}), {}, decryptionJwk(String(published.kid))),
      { code: 'jwe_decryption_failed' },
    ],
    ['by an algorithm that is not accepted', () => seal(token({}), { enc: 'A256CBC-HS512' }), { code: 'jwe_invalid' }],
  ])('%s', async (_name, make, explanation) => {
    const { printed, status } = await check(await make());
    const found = JSON.parse(printed.join(''));
    expect(found).toMatchObject(explanation as object);
    expect(status).toBe(found.accepted ? 0 : 3);
    if (found.accepted) expect(found.steps[0].says).toBe('a signed JWT, encrypted for this hub');
  });

  test('says what is missing where a hub has the keys in use', () => {
    const text = 'AAAA.AAAA.AAAA.AAAA.AAAA';
    const found = unreadable(text, { takesTokens: true }, new LatchkeyError('store_locked'));
    expect(found).toMatchObject({ code: 'token_encrypted', reason: expect.stringContaining('Stop the hub') });
  });
});

/** `latchkey issuers check` against servers on loopback: node-oidc-provider, and such as answer what they should not. */
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { EXIT } from '../../src/cli/output.ts';
import { parseConfig } from '../../src/config/load.ts';
import { keysNow } from '../../src/hub.ts';
import { startAuthorizationServer } from '../fixtures/authorization-server.ts';
import { type CommandResult, runLine } from '../fixtures/fake-terminal.ts';
import { type Answer, type FaultyServer, startFaultyServer } from '../fixtures/faulty-server.ts';
import { signingKey } from '../fixtures/jwt-signing.ts';

const CA = fileURLToPath(new URL('../fixtures/tls/ca.pem', import.meta.url));
const OAUTH = '/.well-known/oauth-authorization-server';
const OPENID = '/.well-known/openid-configuration';
const key = signingKey('P-256', 'k1', { alg: 'ES256' }).jwk;

const closing: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const one of closing.splice(0)) await one.close();
});

const check = (...args: readonly string[]) => runLine(['issuers', 'check', ...args]);

function configOf(toml: string) {
  return parseConfig(toml, { file: 'printed.toml', folder: '/', environment: { HOME: '/nonexistent' } });
}

async function start(options?: Parameters<typeof startFaultyServer>[0]): Promise<FaultyServer> {
  const server = await startFaultyServer(options);
  closing.push(server);
  return server;
}

/** A server whose metadata is at one of the two places, and whose keys are good. */
async function serving(
  { at = OPENID, path = '', members = {} }: { at?: string; path?: string; members?: object },
  options?: Parameters<typeof startFaultyServer>[0],
) {
  const server = await start(options);
  const issuer = server.origin + path;
  const metadata = { issuer, jwks_uri: `${issuer}/jwks`, dpop_signing_alg_values_supported: ['ES256'], ...members };
  server.answers.set(at === OAUTH ? OAUTH + path : path + OPENID, { body: JSON.stringify(metadata) });
  server.answers.set(`${path}/jwks`, { body: JSON.stringify({ keys: [key] }) });
  return { server, issuer };
}

function codeOf({ noted }: CommandResult): unknown {
  const last = noted.split('\n').at(-1) ?? '';
  return (JSON.parse(last) as { error: { code: string } }).error.code;
}

describe('node-oidc-provider', () => {
  test('is asked, and what is printed is a configuration with which the hub reads its keys', async () => {
    const as = await startAuthorizationServer();
    closing.push(as);
    const { noted, printed, status } = await check(as.issuer);
    expect(status).toBe(EXIT.ok);
    expect(noted.split('\n')).toEqual([`${as.issuer}${OAUTH}: answered`, `${as.issuer}/jwks: answered`]);
    const config = configOf(printed);
    expect(config.issuers).toMatchObject([{ issuer: as.issuer, dialect: 'rfc9068', bind: 'token' }]);
    const [settings] = config.issuers;
    if (settings === undefined) throw new Error('no issuer');
    expect((await keysNow(settings, { keys: [] })).keys).toHaveLength(1);
  });

  test('is described as JSON', async () => {
    const as = await startAuthorizationServer();
    closing.push(as);
    const { noted, printed, status } = await check(as.issuer, '--json');
    expect({ status, noted }).toEqual({ status: EXIT.ok, noted: '' });
    const found = JSON.parse(printed) as { toml: string };
    expect(found).toMatchObject({
      issuer: as.issuer,
      dialect: null,
      metadata: `${as.issuer}${OAUTH}`,
      jwks_uri: `${as.issuer}/jwks`,
      keys: [{ kind: 'EC P-256', algorithms: ['ES256'] }],
      introspection: { address: `${as.issuer}/token/introspection`, method: 'client_secret_basic' },
      settings: { issuer: as.issuer, dialect: 'rfc9068' },
      findings: [{ finding: 'server_unknown' }],
    });
    expect(configOf(found.toml).issuers).toHaveLength(1);
  });
});

describe('a server is found', () => {
  test.each([
    ['by RFC 8414 alone', OAUTH, '/tenant'],
    ['by OpenID Connect Discovery alone', OPENID, '/tenant'],
    ['without a path', OAUTH, ''],
  ])('%s', async (_, at, path) => {
    const { issuer } = await serving({ at, path });
    const { printed, status } = await check(issuer);
    expect(status).toBe(EXIT.ok);
    expect(configOf(printed).issuers[0]?.issuer).toBe(issuer);
  });

  test.each<[string, string, (origin: string) => string]>([
    ['of OpenID Connect Discovery', OPENID, (origin) => `${origin}/tenant${OPENID}`],
    ['of RFC 8414', OAUTH, (origin) => `${origin}${OAUTH}/tenant`],
    ['of drafts of RFC 8414', OAUTH, (origin) => `${origin}/tenant${OAUTH}`],
  ])('by the address %s', async (_, at, address) => {
    const { issuer, server } = await serving({ at, path: '/tenant' });
    const { printed, status } = await check(address(server.origin));
    expect(status).toBe(EXIT.ok);
    expect(configOf(printed).issuers[0]?.issuer).toBe(issuer);
  });

  test('over TLS under an authority of the site, which the section names', async () => {
    const { issuer } = await serving({}, { certificate: 'server.pem' });
    const { printed, status } = await check(issuer, '--ca', CA);
    expect(status).toBe(EXIT.ok);
    expect(configOf(printed).issuers).toMatchObject([{ issuer, caFile: CA }]);
  });

  test('whatever the other place answers', async () => {
    const { issuer, server } = await serving({});
    for (const answer of [{ status: 302, headers: { location: '/login' } }, { body: '<html>' }, { status: 500 }]) {
      server.answers.set(OAUTH, answer);
      const { noted, status } = await check(issuer);
      expect(status).toBe(EXIT.ok);
      expect(noted.split('\n')).toHaveLength(3);
    }
  });
});

describe('metadata that names another issuer (RFC 8414 section 3.3)', () => {
  test('by a slash at its end: the section has the name as the server has it', async () => {
    const { issuer } = await serving({ path: '/tenant', members: {} });
    const { printed, status } = await check(`${issuer}/`);
    expect(status).toBe(EXIT.ok);
    expect(configOf(printed).issuers[0]?.issuer).toBe(issuer);
    expect(printed).toContain('# ! issuer_differs: ');
  });

  test('of another server that says the same: the section names that one', async () => {
    const other = await serving({ path: '/real' });
    const { issuer } = await serving({ members: { issuer: other.issuer } });
    const { printed, status } = await check(issuer);
    expect(status).toBe(EXIT.ok);
    expect(configOf(printed).issuers[0]?.issuer).toBe(other.issuer);
  });

  test('of another server that says something else: it is refused, with both names', async () => {
    const other = await serving({ path: '/real', members: { issuer: 'https://third.example' } });
    const { issuer } = await serving({ members: { issuer: other.issuer } });
    const { noted, printed, status } = await check(issuer);
    expect({ status, printed }).toEqual({ status: EXIT.failure, printed: '' });
    expect(noted).toContain(`the metadata for "${issuer}" names the issuer "${other.issuer}"`);
    expect(noted).toContain('[metadata_invalid]');
  });

  test.each([
    ['in a network on this side', 'http://192.168.1.1'],
    ['over http', 'http://as.example'],
    ['with a query', 'https://as.example/?p=policy'],
    ['with a line end in it', 'https://as.example/\r\n[[issuers]]'],
    ['that is a pattern', 'https://login.microsoftonline.com/{tenantid}/v2.0'],
  ])('%s: nothing is fetched from there', async (_, named) => {
    const { issuer } = await serving({ members: { issuer: named } });
    const result = await check(issuer, '--json');
    expect(codeOf(result)).toBe('metadata_invalid');
    expect(result.printed).toBe('');
  });
});

describe('an address is refused before anything is sent', () => {
  test.each([
    ['http beyond this machine', 'http://as.example'],
    ['another scheme', 'ftp://as.example'],
    ['no address', 'keycloak'],
    ['a user name', 'https://user@as.example'],
    ['a password', 'https://user:secret@as.example'],
    ['a query', 'https://as.example/?tenant=1'],
    ['a fragment', 'https://as.example/#top'],
    ['a control character', 'https://as.example/\u0007'],
  ])('%s', async (_, address) => {
    const result = await check(address, '--json');
    expect([result.status, codeOf(result)]).toEqual([EXIT.usage, 'usage']);
  });
});

describe('a server that cannot be used', () => {
  const large = `{"issuer":"${'x'.repeat(300_000)}"}`;
  const deep = `{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}`;

  test.each<[string, Answer, string]>([
    ['that answers nothing but 404', { status: 404 }, 'as_answer_refused'],
    ['that redirects', { status: 301, headers: { location: 'https://elsewhere.example/x?secret=1' } }, 'as_redirected'],
    ['whose metadata is too large', { body: large }, 'as_answer_too_large'],
    ['whose metadata never ends', { fault: 'endless' }, 'as_answer_too_large'],
    ['whose metadata is a web page', { body: '<html>' }, 'metadata_invalid'],
    ['whose metadata is deep', { body: deep }, 'metadata_invalid'],
    ['whose metadata has a member twice', { body: '{"issuer":"a","issuer":"b"}' }, 'metadata_invalid'],
    ['that ends the connection', { fault: 'reset' }, 'as_unreachable'],
  ])('%s', async (_, answer, code) => {
    const server = await start();
    for (const place of [OAUTH, OPENID]) server.answers.set(place, answer);
    const result = await check(server.origin, '--json');
    expect([result.status, codeOf(result), result.printed]).toEqual([EXIT.failure, code, '']);
    expect(result.noted).not.toContain('secret');
  });

  test('that redirects is told apart by where it sends the hub', async () => {
    const server = await start();
    const answer = { status: 301, headers: { location: 'https://elsewhere.example/x?secret=1' } };
    for (const place of [OAUTH, OPENID]) server.answers.set(place, answer);
    const { noted } = await check(server.origin);
    expect(noted).toContain('status 301 to "https://elsewhere.example/x"');
    expect(noted).not.toContain('secret');
  });

  test('that never answers is given up after five seconds', async () => {
    const server = await start();
    server.answers.set(OAUTH, { fault: 'hang' });
    const result = await check(server.origin, '--json');
    expect([codeOf(result), server.count(OPENID)]).toEqual(['as_timeout', 0]);
  }, 20_000);

  test('that is not there', async () => {
    const server = await startFaultyServer();
    await server.close();
    expect(codeOf(await check(server.origin, '--json'))).toBe('as_unreachable');
  });

  test.each([
    ['signed by an authority of its own', 'server.pem', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    ['one that no authority signed', 'client.pem', 'INVALID_PURPOSE'],
  ] as const)('whose certificate is %s', async (_, certificate, reason) => {
    const { issuer } = await serving({}, { certificate });
    const { noted, status } = await check(issuer);
    expect(status).toBe(EXIT.failure);
    expect(noted).toContain('[as_tls_untrusted]');
    expect(noted).toContain(`(${reason})`);
  });

  test('whose certificate is for another name', async () => {
    const { issuer } = await serving({}, { certificate: 'elsewhere.pem' });
    const { noted } = await check(issuer, '--ca', CA);
    expect(noted).toContain('(ERR_TLS_CERT_ALTNAME_INVALID)');
  });

  test('whose keys are not there: the answer is named beside the error', async () => {
    const { issuer, server } = await serving({});
    server.answers.set('/jwks', { status: 404 });
    const { noted } = await check(issuer);
    expect(noted).toContain(`${issuer}/jwks: The authorization server answered with an error (status 404)`);
  });

  test.each<[string, Answer, string]>([
    ['are none', { body: '{"keys":[]}' }, 'jwks_invalid'],
    ['are of a kind that no issuer may use', { body: '{"keys":[{"kty":"oct","k":"AAAA"}]}' }, 'jwks_invalid'],
    ['are not there', { status: 404 }, 'as_answer_refused'],
    ['are no JSON', { body: 'x' }, 'jwks_invalid'],
    ['are elsewhere', { status: 302 }, 'as_redirected'],
  ])('whose keys %s', async (_, answer, code) => {
    const { issuer, server } = await serving({});
    server.answers.set('/jwks', answer);
    expect(codeOf(await check(issuer, '--json'))).toBe(code);
  });

  test('whose jwks_uri is over http beyond this machine', async () => {
    const { issuer } = await serving({ members: { jwks_uri: 'http://as.example/jwks' } });
    expect(codeOf(await check(issuer, '--json'))).toBe('metadata_invalid');
  });
});

test('what a server names steers no terminal', async () => {
  const steering = '\u001b[2J\u202eevil\r\n[[issuers]]';
  const { issuer, server } = await serving({
    members: { introspection_endpoint: steering, dpop_signing_alg_values_supported: [steering] },
  });
  server.answers.set('/jwks', { body: JSON.stringify({ keys: [key, { kty: steering, kid: steering }] }) });
  const { noted, printed, status } = await check(issuer);
  expect(status).toBe(EXIT.ok);
  expect(noted + printed).not.toMatch(/[^\P{Cc}\n]|\p{Cf}/u);
  expect(configOf(printed).issuers).toHaveLength(1);
});

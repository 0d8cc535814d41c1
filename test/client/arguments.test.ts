/** What callers in JavaScript hand in by mistake: each is an error with a code, and names the argument. */
import { describe, expect, test } from 'vitest';
import { bearerToken, dpopToken } from '../../src/client/access-token.ts';
import { AuthorizationServer } from '../../src/client/authorization-server.ts';
import { readDelivery } from '../../src/client/hub-answer.ts';
import {
  ConnectedDevice,
  type Delivery,
  DpopKey,
  HubClient,
  LatchkeyError,
  makeCoseProof,
  openSessionKey,
} from '../../src/client/index.ts';
import { utf8 } from '../../src/core/bytes.ts';
import { Secret } from '../../src/core/secret.ts';
import { DELIVERED, json, scriptedHub, TOKEN_VALUE } from './scripted-hub.ts';
import { scriptedServer } from './scripted-server.ts';

const AUDIENCE = 'https://tube-1.devices.example';
/** The types would not let any of this through. */
const wrong = <T>(value: unknown): T => value as T;

/** What it throws, at once or later. */
async function thrown(action: () => unknown): Promise<unknown> {
  try {
    return await action();
  } catch (error) {
    return error;
  }
}

async function refused(action: () => unknown): Promise<string | undefined> {
  const error = await thrown(action);
  expect(error).toBeInstanceOf(LatchkeyError);
  expect(error).toMatchObject({ code: 'client_argument_invalid' });
  return (error as LatchkeyError).detail;
}

const ADDRESSES: readonly (readonly [unknown, string])[] = [
  [undefined, 'url: missing'],
  [7, 'url: not text'],
  ['', 'url: empty'],
  ['hub.example', 'url: not an address such as https://server.example'],
  ['ftp://hub.example', 'url: neither https nor http'],
  ['https://user:secret@hub.example', 'url: it holds a user name or password'],
  ['https://hub.example/?a=b', 'url: it has a query or a fragment'],
];

describe('the address of', () => {
  test.each(ADDRESSES)('a hub: %s', async (url, detail) => {
    expect(await refused(() => new HubClient({ url: wrong(url) }))).toBe(detail);
  });

  test.each(ADDRESSES)('a connected device: %s', async (url, detail) => {
    expect(await refused(() => new ConnectedDevice({ url: wrong(url), audience: AUDIENCE }))).toBe(detail);
  });

  test.each(ADDRESSES)('an issuer: %s', async (url, detail) => {
    const discover = () =>
      AuthorizationServer.discover({ issuer: wrong(url), clientId: 'app', authentication: { method: 'none' } });
    expect(await refused(discover)).toBe(detail.replace('url', 'issuer'));
  });

  test.each(['http://hub.example', 'http://192.168.1.7:8430', 'http://localhost.example', 'http://[::2]'])(
    'a hub without TLS beyond loopback: %s',
    async (url) => {
      const error = await thrown(() => new HubClient({ url }));
      expect(error).toMatchObject({ code: 'client_address_insecure', detail: `url: ${url}` });
    },
  );

  test.each(['http://127.0.0.1:8430', 'http://127.8.9.1', 'http://[::1]:8430', 'http://localhost:8430/lk'])(
    'a hub without TLS on loopback is fine: %s',
    (url) => {
      expect(new HubClient({ url })).toBeInstanceOf(HubClient);
    },
  );

  test('a connected device without TLS is refused, unless the caller takes what that costs', async () => {
    const options = { url: 'http://192.168.1.9', audience: AUDIENCE };
    expect(await thrown(() => new ConnectedDevice(options))).toMatchObject({ code: 'client_address_insecure' });
    expect(new ConnectedDevice({ ...options, allowHttp: true })).toBeInstanceOf(ConnectedDevice);
  });

  test('what holds a password is not repeated', async () => {
    const error = await thrown(() => new HubClient({ url: 'https://u:canary@hub.example' }));
    expect(String(error)).not.toContain('canary');
  });
});

const AS = { issuer: 'https://as.example', clientId: 'app' } as const;

describe('an authorization server', () => {
  test.each([
    ['no options', undefined, 'options: not an object'],
    ['no client id', { ...AS, clientId: undefined, authentication: { method: 'none' } }, 'clientId: missing'],
    ['no authentication', AS, "authentication: missing; a client without a secret has { method: 'none' }"],
    [
      'an unknown method',
      { ...AS, authentication: { method: 'basic' } },
      'authentication.method: none of none, client_secret_basic, client_secret_post, private_key_jwt',
    ],
    [
      'the secret as text',
      { ...AS, authentication: { method: 'client_secret_basic', secret: 'canary' } },
      'authentication.secret: text; hand it in as new Secret(text)',
    ],
    ['no secret', { ...AS, authentication: { method: 'client_secret_post' } }, 'authentication.secret: missing'],
    [
      'a secret of a variable that is not set',
      { ...AS, authentication: { method: 'client_secret_basic', secret: new Secret('') } },
      'authentication.secret: an empty Secret',
    ],
    [
      'a secret that holds undefined',
      { ...AS, authentication: { method: 'client_secret_basic', secret: new Secret(undefined) } },
      'authentication.secret: a Secret that holds no text',
    ],
    [
      'a CA that is a path',
      { ...AS, authentication: { method: 'none' }, ca: '/etc/ca.pem' },
      'ca: no certificate in PEM; hand in the text, not the path',
    ],
    [
      'a CA that is broken',
      { ...AS, authentication: { method: 'none' }, ca: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----' },
      'ca: a certificate that cannot be read',
    ],
  ])('%s', async (_, options, detail) => {
    expect(await refused(() => AuthorizationServer.discover(wrong(options)))).toBe(detail);
  });

  test.each([
    ['no request', undefined, 'request: not an object'],
    ['no scope', {}, 'scope: missing'],
    ['a list of scopes', { scope: ['read'] }, 'scope: not text'],
    ['a key that is a JWK', { scope: 'read', key: { kty: 'EC' } }, 'key: not a DpopKey'],
    ['a cnonce as text', { scope: 'read', cnonce: 'AQID' }, 'cnonce: not a Uint8Array; encode text first'],
    ['an empty resource', { scope: 'read', resource: '' }, 'resource: empty'],
  ])('%s', async (_, request, detail) => {
    const { server } = await scriptedServer([]);
    expect(await refused(() => server.clientCredentials(wrong(request)))).toBe(detail);
    expect(await refused(() => server.startDeviceAuthorization(wrong(request)))).toBe(detail);
    expect(await refused(() => server.startAuthorizationCode(wrong(request)))).toBe(detail);
  });

  test('other arguments', async () => {
    const { server } = await scriptedServer([]);
    const pending = { url: '', state: 's', verifier: new Secret('v'), request: { scope: 'read' } };
    expect(await refused(() => server.refresh(undefined))).toBe(
      'refreshToken: missing; the server gave none with this token',
    );
    expect(await refused(() => server.refresh(wrong('rt')))).toBe('refreshToken: not an object');
    expect(await refused(() => server.revoke(wrong('at')))).toBe('token: not an object');
    expect(await refused(() => server.finishAuthorizationCode(pending, '?code=1'))).toBe('callback: not an address');
    expect(await refused(() => server.finishDeviceAuthorization(wrong({})))).toBe('pending.deviceCode: missing');
  });
});

describe('a hub', () => {
  const hub = new HubClient({ url: 'https://hub.example', environment: scriptedHub().environment });
  const token = bearerToken(TOKEN_VALUE);
  const delivery = readDelivery({ body: utf8(JSON.stringify(DELIVERED)) });
  const TEXT = 'token: text; use dpopToken(text, key) or bearerToken(text)';

  test.each([
    ['no options', undefined, 'options: not an object'],
    ['no device', { audience: AUDIENCE, token }, 'device: missing'],
    ['no audience', { device: 'tube-1', token }, 'audience: missing'],
    ['a token as text', { device: 'tube-1', audience: AUDIENCE, token: TOKEN_VALUE }, TEXT],
    [
      'a token that is none',
      { device: 'tube-1', audience: AUDIENCE, token: {} },
      'token: not an access token of this library',
    ],
    [
      'a wait as text',
      { device: 'tube-1', audience: AUDIENCE, token, wait: '5s' },
      'wait: not a number of milliseconds',
    ],
  ])('%s', async (_, options, detail) => {
    expect(await refused(() => hub.deliver(wrong(options)))).toBe(detail);
  });

  test('other arguments', async () => {
    expect(await refused(() => hub.delivery(wrong(undefined)))).toBe('id: missing');
    expect(await refused(() => hub.settle(wrong('d-1')))).toBe('delivery: not an object');
    expect(await refused(() => hub.session(delivery, wrong(TOKEN_VALUE)))).toBe(TEXT);
    expect(await refused(() => hub.session(wrong('d-1'), token))).toBe('delivery: not an object');
  });

  test.each([
    ['no request', undefined, 'request: not an object'],
    [
      'an unknown method',
      { method: 'fetch', path: ['temperature'] },
      'method: none of GET, POST, PUT, DELETE, FETCH, PATCH, iPATCH',
    ],
    ['a path as text', { method: 'GET', path: 'temperature' }, "path: not a list of segments, such as ['temperature']"],
    ['an empty segment', { method: 'GET', path: ['a', ''] }, 'path: empty'],
    [
      'a payload as text',
      { method: 'PUT', path: ['led'], payload: 'on' },
      'payload: not a Uint8Array; encode text first',
    ],
  ])('%s to its device', async (_, request, detail) => {
    const session = hub.session(delivery, dpopToken(TOKEN_VALUE, await DpopKey.generate()));
    expect(await refused(() => session.request(wrong(request)))).toBe(detail);
    expect(await refused(() => session.sign(wrong(request), new Uint8Array(16)))).toBe(detail);
    expect(await refused(() => session.send(wrong(request), new Uint8Array(16)))).toBe(detail);
  });
});

test('a delivery that came from elsewhere is no reason for a TypeError', async () => {
  const { environment } = scriptedHub(() => json(200, DELIVERED));
  const hub = new HubClient({ url: 'https://hub.example', environment });
  const error = await thrown(() => hub.session(wrong<Delivery>({}), bearerToken(TOKEN_VALUE)));
  expect(error).toBeInstanceOf(LatchkeyError);
});

test('keys, tokens and proofs', async () => {
  const key = await DpopKey.generate();
  const token = dpopToken('canary', key);
  const nonce = new Uint8Array(16);
  expect(await refused(() => DpopKey.generate(wrong('RS256')))).toBe('algorithm: neither ES256 nor EdDSA');
  expect(await refused(() => DpopKey.fromJwk(wrong('{}')))).toBe('jwk: not a JSON object; parse text first');
  expect(await refused(() => dpopToken(wrong(undefined), key))).toBe('value: missing');
  expect(await refused(() => dpopToken('canary', wrong({})))).toBe('key: not a DpopKey');
  expect(await refused(() => bearerToken(''))).toBe('value: empty');
  expect(await refused(() => makeCoseProof({ token: wrong('canary'), audience: AUDIENCE, nonce }))).toMatch(
    /^token: text/,
  );
  expect(await refused(() => makeCoseProof({ token, audience: AUDIENCE, nonce: wrong('AA') }))).toMatch(/^nonce/);
  expect(await refused(() => openSessionKey('a.b.c', { token: wrong('canary'), audience: AUDIENCE }))).toMatch(
    /^token: text/,
  );
});

test('a connected device', async () => {
  const device = new ConnectedDevice({ url: 'https://ekg.example', audience: AUDIENCE });
  expect(await refused(() => device.open('readings', wrong('canary')))).toMatch(/^token: text/);
  expect(await refused(() => device.open(wrong(undefined), bearerToken('t')))).toBe('resource: missing');
  expect(await refused(() => new ConnectedDevice(wrong({ url: 'https://ekg.example' })))).toBe('audience: missing');
});

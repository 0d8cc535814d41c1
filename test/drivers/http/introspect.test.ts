import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import {
  allowInsecureRequests,
  ClientSecretBasic,
  ClientSecretPost,
  Configuration,
  customFetch,
  TlsClientAuth,
  tokenIntrospection,
} from 'openid-client';
import { Agent, fetch as undiciFetch } from 'undici';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { introspectRoutes } from '../../../drivers/http/introspect.ts';
import { HttpServer } from '../../../drivers/http/server.ts';
import { systemRandom } from '../../../drivers/system-time.ts';
import { readIntrospectionCborAnswer } from '../../../src/codec/introspection-reader.ts';
import { base64url, sha256 } from '../../../src/core/bytes.ts';
import type { ErrorCode } from '../../../src/core/error-catalogue.ts';
import { LatchkeyError } from '../../../src/core/errors.ts';
import { LIMITS } from '../../../src/core/limits.ts';
import { DeviceCredentials, httpSecret } from '../../../src/devices/device-credentials.ts';
import { Registry } from '../../../src/devices/registry.ts';
import { FaultyStore } from '../../fakes/faulty-store.ts';
import { QuietLog } from '../../fakes/quiet-log.ts';
import { activeAnswer, ScriptedRelay } from '../../fakes/scripted-relay.ts';
import { connectedDevice } from '../../fixtures/connected-device.ts';

const pem = (name: string) => readFileSync(new URL(`../../fixtures/tls/${name}.pem`, import.meta.url), 'utf8');
/** What a side of TLS shows: a certificate and its key. */
interface Shown {
  readonly cert: string;
  readonly key: string;
}

const HUB: Shown = { cert: pem('server'), key: pem('server-key') };
const DEVICE: Shown = { cert: pem('client'), key: pem('client-key') };
const UNREGISTERED: Shown = { cert: pem('elsewhere'), key: pem('server-key') };

const ekg = connectedDevice('ekg-1', { certificate: sha256(new X509Certificate(DEVICE.cert).raw) });
const pump = connectedDevice('pump-1');
const SECRET = httpSecret(ekg).expose();
const basic = (id: string, secret: string) => `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
const PROOF = `proof_type=x5t&x5t_s256=${base64url(new Uint8Array(32))}`;

let relay: ScriptedRelay;
let registry: Registry;
let log: QuietLog;
let server: HttpServer;
let origin: string;

async function open(tls = false): Promise<void> {
  relay = new ScriptedRelay();
  log = new QuietLog();
  registry = new Registry({ store: new FaultyStore(), log });
  await registry.add(ekg);
  await registry.add(pump);
  server = new HttpServer({
    routes: introspectRoutes({ relay, devices: new DeviceCredentials({ registry }) }),
    log,
    random: systemRandom,
    connections: { overall: 64, perNetwork: 64 },
    ...(tls ? { tls: { ...HUB, askForCertificate: registry.hasCertificates } } : {}),
  });
  const port = await server.listen({ host: '127.0.0.1', port: 0 });
  origin = tls ? `https://localhost:${port}` : `http://127.0.0.1:${port}`;
}

beforeEach(() => open());
afterEach(() => server.close(100));

const post = (body: string, headers: Readonly<Record<string, string>> = {}) =>
  fetch(`${origin}/introspect`, {
    method: 'POST',
    body,
    headers: { ...FORM, authorization: basic('ekg-1', SECRET), ...headers },
  });

const problem = async (answer: Response) => (await answer.json()) as Readonly<Record<string, unknown>>;

describe('a third-party library, unchanged', () => {
  const configuration = (secret: string) => {
    const known = new Configuration(
      { issuer: origin, introspection_endpoint: `${origin}/introspect` },
      'ekg-1',
      undefined,
      ClientSecretBasic(secret),
    );
    allowInsecureRequests(known);
    return known;
  };

  it('learns of a good token', async () => {
    const answer = await tokenIntrospection(configuration(SECRET), 'opaque-token');
    expect(answer).toMatchObject({ active: true, sub: 'doctor-7', scope: 'read', exp: 1_900_000_000 });
    expect(relay.requests[0]).toMatchObject({ device: 'ekg-1', proof: undefined });
    expect(relay.requests[0]?.token.expose()).toBe('opaque-token');
  });

  it('learns of a bad token nothing but that', async () => {
    relay.answer = { active: false, code: 'token_inactive', freshness: undefined };
    expect(await tokenIntrospection(configuration(SECRET), 'opaque-token')).toEqual({ active: false });
  });

  it('hands a proof on as additional parameters', async () => {
    relay.answer = activeAnswer({ proof: 'dpop' });
    const parameters = { proof_type: 'dpop', dpop: 'a.b.c', htm: 'GET', htu: 'https://ekg-1.ward.example/ecg' };
    const answer = await tokenIntrospection(configuration(SECRET), 't', parameters);
    expect(answer.latchkey).toMatchObject({ proof: 'dpop' });
    expect(relay.requests[0]?.proof).toMatchObject({ kind: 'dpop', method: 'GET' });
  });

  it('sees its wrong secret as a challenge', async () => {
    await expect(tokenIntrospection(configuration(httpSecret(pump).expose()), 't')).rejects.toMatchObject({
      status: 401,
      cause: [{ scheme: 'basic', parameters: { realm: 'latchkey' } }],
    });
  });
});

describe('a secret in the form', () => {
  const inForm = (body: string, headers: Readonly<Record<string, string>> = {}) =>
    fetch(`${origin}/introspect`, { method: 'POST', body, headers: { ...FORM, ...headers } });
  const withSecret = (secret: string, id = 'ekg-1') =>
    inForm(new URLSearchParams({ token: 't', client_id: id, client_secret: secret }).toString());

  it('of a third-party library authenticates the device', async () => {
    const known = new Configuration(
      { issuer: origin, introspection_endpoint: `${origin}/introspect` },
      'ekg-1',
      undefined,
      ClientSecretPost(SECRET),
    );
    allowInsecureRequests(known);
    expect(await tokenIntrospection(known, 'opaque-token')).toMatchObject({ active: true, sub: 'doctor-7' });
    expect(relay.requests[0]).toMatchObject({ device: 'ekg-1', proof: undefined });
  });

  it.each([
    ['of another device', () => withSecret(httpSecret(pump).expose())],
    ['of no device', () => withSecret(SECRET, 'nurse-1')],
    ['without an id', () => inForm(`token=t&client_secret=${SECRET}`)],
    ['that is missing', () => inForm('token=t&client_id=ekg-1')],
    ['sent twice', () => inForm(`token=t&client_id=ekg-1&client_secret=${SECRET}&client_secret=${SECRET}`)],
    ['in JSON', () => inForm('{}', { 'content-type': 'application/json' })],
  ])('%s is refused, and nothing is asked', async (_, ask) => {
    const answer = await ask();
    expect(answer.status).toBe(401);
    expect(await problem(answer)).toMatchObject({ code: 'device_unauthenticated' });
    expect(relay.requests).toEqual([]);
  });

  it('does not help a header with a wrong one', async () => {
    const authorization = basic('ekg-1', httpSecret(pump).expose());
    const answer = await inForm(`token=t&client_id=ekg-1&client_secret=${SECRET}`, { authorization });
    expect(answer.status).toBe(401);
  });

  it('is in no line of the log, and in no answer', async () => {
    const answer = await withSecret('canary-secret');
    expect(await answer.text()).not.toContain('canary');
    expect(log.lines.length).toBeGreaterThan(0);
    expect(JSON.stringify(log.lines)).not.toContain('canary');
  });
});

describe('a device that showed its secret', () => {
  it('gets JSON that nobody may keep', async () => {
    const answer = await post('token=t');
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('vary')).toBe('accept');
    expect(await answer.json()).toMatchObject({ active: true, latchkey: { proof: 'none' } });
  });

  it('gets CBOR where it asks for it', async () => {
    const answer = await post('token=t', { accept: 'application/ace+cbor' });
    expect(answer.headers.get('content-type')).toBe('application/ace+cbor');
    const reading = readIntrospectionCborAnswer(new Uint8Array(await answer.arrayBuffer()));
    expect(reading).toMatchObject({ active: true, members: { sub: 'doctor-7' } });
  });

  it.each([
    ['*/*', 'application/json'],
    ['application/*', 'application/json'],
    ['text/html, */*;q=0.1', 'application/json'],
    ['application/json;q=0.5, application/ace+cbor', 'application/ace+cbor'],
    ['application/ace+cbor;q=0.2, application/json;q=0.3', 'application/json'],
    ['application/json;q=0, */*', 'application/ace+cbor'],
    ['Application/JSON', 'application/json'],
  ])('gets for Accept: %s its %s', async (accept, type) => {
    expect((await post('token=t', { accept })).headers.get('content-type')).toBe(type);
  });

  it.each(['text/html', 'application/token-introspection+jwt', 'application/json;q=0', 'application/json;q=high'])(
    'gets 406 for Accept: %s',
    async (accept) => {
      const answer = await post('token=t', { accept });
      expect([answer.status, (await problem(answer)).code]).toEqual([406, 'media_type_not_offered']);
    },
  );

  it('is told why its proof was refused', async () => {
    relay.answer = { active: false, code: 'proof_key_mismatch', freshness: undefined };
    expect(await (await post(`token=t&${PROOF}`)).json()).toEqual({
      active: false,
      latchkey: { code: 'proof_key_mismatch' },
    });
  });

  it('may leave out the encoding that OAuth wants inside Basic', async () => {
    expect((await post('token=t', { authorization: basic('ekg%2D1', encodeURIComponent(SECRET)) })).status).toBe(200);
    expect((await post('token=t', { authorization: `basic ${basic('ekg-1', SECRET).slice(6)}` })).status).toBe(200);
  });

  it.each([
    ['no token', 'hint=x', 400, 'request_invalid'],
    ['a parameter twice', 'token=a&token=b', 400, 'request_invalid'],
    ['half a proof', 'token=a&proof_type=cose', 400, 'request_invalid'],
    ['too much', `token=a&x=${'x'.repeat(LIMITS.introspectionRequestBytes)}`, 413, 'request_too_large'],
  ])('gets a problem for %s', async (_, body, status, code) => {
    const answer = await post(body);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect([answer.status, (await problem(answer)).code]).toEqual([status, code]);
    expect(relay.requests).toEqual([]);
  });

  it.each(['application/json', 'application/x-www-form-urlencoded; charset=latin1', 'text/plain'])(
    'gets 415 for a body of type %s',
    async (type) => {
      const answer = await post('token=t', { 'content-type': type });
      expect([answer.status, (await problem(answer)).code]).toEqual([415, 'media_type_refused']);
    },
  );

  it('may name the one charset that a form has', async () => {
    const type = 'application/x-www-form-urlencoded;charset=UTF-8';
    expect((await post('token=t', { 'content-type': type })).status).toBe(200);
  });

  it.each([
    ['as_unreachable', 503],
    ['clock_unsure', 503],
    ['introspection_suspended', 503],
    ['device_unknown', 404],
  ] as [ErrorCode, number][])('gets a problem for %s, with a time to try again', async (code, status) => {
    relay.answer = new LatchkeyError(code, 'canary-detail');
    const answer = await post('token=t');
    const text = await answer.text();
    expect([answer.status, JSON.parse(text).code]).toEqual([status, code]);
    expect(answer.headers.has('retry-after')).toBe(status === 503);
    expect(text).not.toContain('canary');
  });

  it('may not ask with GET', async () => {
    expect((await fetch(`${origin}/introspect?token=t`)).status).toBe(405);
  });
});

describe('who shows nothing good', () => {
  const cases: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
    ['the secret of another device', { authorization: basic('ekg-1', httpSecret(pump).expose()) }],
    ['no secret', { authorization: basic('ekg-1', '') }],
    ['a device that is not registered', { authorization: basic('ekg-9', SECRET) }],
    ['an empty name', { authorization: basic('', SECRET) }],
    ['no colon', { authorization: `Basic ${Buffer.from('ekg-1').toString('base64')}` }],
    ['broken encoding', { authorization: basic('ekg-1%4', SECRET) }],
    ['bytes that are no UTF-8', { authorization: `Basic ${Buffer.of(0xff, 0x3a).toString('base64')}` }],
    ['a Bearer token', { authorization: `Bearer ${SECRET}` }],
    ['a name of 1,000 characters', { authorization: basic('e'.repeat(1_000), SECRET) }],
    ['an empty header', { authorization: '' }],
  ];

  it.each(cases)('gets one refusal for %s', async (_, headers) => {
    const answer = await post('token=canary-token', headers);
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe('Basic realm="latchkey", charset="UTF-8"');
    const { id, ...others } = await problem(answer);
    expect(id).toBe(answer.headers.get('x-request-id'));
    expect(others).toEqual({
      type: 'urn:latchkey:error:device_unauthenticated',
      title: 'The device did not show who it is',
      status: 401,
      code: 'device_unauthenticated',
      error: 'invalid_client',
    });
    expect(relay.requests).toEqual([]);
  });

  it('gets the same for no header at all', async () => {
    const answer = await fetch(`${origin}/introspect`, { method: 'POST', body: 'token=t', headers: FORM });
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toContain('Basic');
  });

  it('is refused before its request is looked at', async () => {
    const answer = await post('', { authorization: basic('ekg-9', 'x'), 'content-type': 'text/plain' });
    expect(answer.status).toBe(401);
  });

  it('leaves no secret in the log', async () => {
    await post('token=canary-token', { authorization: basic('ekg-1', 'canary-secret') });
    await post('token=canary-token&token=canary-token');
    expect(JSON.stringify(log.lines)).not.toContain('canary');
  });
});

describe('a device with a certificate', () => {
  beforeEach(async () => {
    await server.close(100);
    await open(true);
  });

  const ask = (shown: Shown | undefined, headers: Readonly<Record<string, string>> = {}) =>
    new Promise<{ status: number; body: string }>((resolve, reject) => {
      const url = new URL(`${origin}/introspect`);
      const options = {
        method: 'POST',
        headers: { ...FORM, ...headers },
        ca: pem('ca'),
        agent: false,
        ...shown,
      } as const;
      httpsRequest(url, options, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text;
        });
        response.once('end', () => resolve({ status: response.statusCode ?? 0, body }));
      })
        .once('error', reject)
        .end('token=t');
    });

  it('is known by it', async () => {
    expect((await ask(DEVICE)).status).toBe(200);
    expect(relay.requests[0]?.device).toBe('ekg-1');
  });

  it('is known by it to a third-party library (RFC 8705)', async () => {
    const agent = new Agent({ connect: { ca: pem('ca'), ...DEVICE } });
    const known = new Configuration(
      { issuer: origin, introspection_endpoint: `${origin}/introspect` },
      'ekg-1',
      undefined,
      TlsClientAuth(),
    );
    known[customFetch] = (url, options) =>
      undiciFetch(url, { ...options, dispatcher: agent } as Parameters<
        typeof undiciFetch
      >[1]) as unknown as Promise<Response>;
    try {
      expect(await tokenIntrospection(known, 't')).toMatchObject({ active: true });
      expect(await tokenIntrospection(known, 't')).toMatchObject({ active: true });
    } finally {
      await agent.close();
    }
    expect(relay.requests.map(({ device }) => device)).toEqual(['ekg-1', 'ekg-1']);
  });

  it('may show its secret all the same', async () => {
    const authorization = basic('pump-1', httpSecret(pump).expose());
    expect((await ask(undefined, { authorization })).status).toBe(200);
    expect(relay.requests[0]?.device).toBe('pump-1');
  });

  it('is refused with a certificate that is not registered', async () => {
    const answer = await ask(UNREGISTERED);
    expect([answer.status, JSON.parse(answer.body).code]).toEqual([401, 'device_unauthenticated']);
  });

  it('is refused without one', async () => {
    expect((await ask(undefined)).status).toBe(401);
  });

  it('is not saved by it from a wrong secret', async () => {
    expect((await ask(DEVICE, { authorization: basic('ekg-1', 'wrong') })).status).toBe(401);
  });

  it('is refused once it is removed', async () => {
    await registry.remove('ekg-1');
    expect((await ask(DEVICE)).status).toBe(401);
  });
});

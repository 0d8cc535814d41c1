/** The introspector over the real driver, against real servers that do what servers do on bad days. */
import { createPublicKey } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import {
  type AuthorizationServerOptions,
  connectAuthorizationServer,
} from '../../../drivers/as/authorization-server.ts';
import { signatureVerifier } from '../../../src/codec/jws-signature.ts';
import { sha256, utf8 } from '../../../src/core/bytes.ts';
import { LatchkeyError } from '../../../src/core/errors.ts';
import type { JsonObject, JsonValue } from '../../../src/core/json.ts';
import type { IntrospectorOptions } from '../../../src/pop/introspection/introspector.ts';
import { FakeTime } from '../../fakes/fake-time.ts';
import {
  type FaultyServer,
  type FaultyServerOptions,
  startFaultyServer,
  tlsFile,
} from '../../fixtures/faulty-server.ts';
import { active, CLIENT_ID, ISSUER, introspectorRig, verifiersOf } from '../../fixtures/introspector-rig.ts';
import { signingKey, signJwt } from '../../fixtures/jwt-signing.ts';
import { rejection } from '../../fixtures/key-cache-rig.ts';

const deep = (levels: number): JsonValue => (levels === 0 ? 1 : [deep(levels - 1)]);
const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function start(options?: FaultyServerOptions): Promise<FaultyServer> {
  const server = await startFaultyServer(options);
  open.push(server);
  server.answers.set('/introspect', { body: JSON.stringify(active()) });
  return server;
}

function asking(
  { origin }: Pick<FaultyServer, 'origin'>,
  options: Partial<IntrospectorOptions> = {},
  connection: AuthorizationServerOptions = {},
) {
  const url = `${origin}/introspect`;
  const as = connectAuthorizationServer(connection);
  const addresses = async () => ({ endpoint: url, certificateEndpoint: url });
  const rig = introspectorRig({ as, addresses, ...options });
  open.push(rig.introspector);
  return rig;
}

describe('a server', () => {
  test('that answers is believed', async () => {
    const { ask } = asking(await start());
    expect(await ask()).toMatchObject({ active: true });
  });

  test('that is slow is given up at the deadline, and not asked again', async () => {
    const server = await start();
    server.answers.set('/introspect', { fault: 'hang' });
    const { ask } = asking(server, { deadline: 500 });
    expect(await rejection(ask())).toBe('as_timeout');
    expect(server.count('/introspect')).toBe(1);
  });

  test('that stops in the middle of its answer is given up at the deadline', async () => {
    const server = await start();
    server.answers.set('/introspect', { fault: 'stall', body: '{"active":' });
    const { ask } = asking(server, { deadline: 100 });
    expect(await rejection(ask())).toBe('as_timeout');
  });

  test('that fails is not believed', async () => {
    const server = await start();
    server.answers.set('/introspect', { status: 500, body: JSON.stringify(active()) });
    expect(await rejection(asking(server).ask())).toBe('as_answer_refused');
  });

  test('that answers garbage is not believed', async () => {
    const server = await start();
    server.answers.set('/introspect', { body: '\u0000{"active":true}' });
    expect(await rejection(asking(server).ask())).toBe('introspection_answer_invalid');
  });

  test('that answers a web page is not believed', async () => {
    const server = await start();
    server.answers.set('/introspect', { headers: { 'content-type': 'text/html' }, body: '<html>Log in</html>' });
    expect(await rejection(asking(server).ask())).toBe('introspection_answer_invalid');
  });

  test('that answers without end is given up', async () => {
    const server = await start();
    server.answers.set('/introspect', { fault: 'endless' });
    expect(await rejection(asking(server).ask())).toBe('as_answer_too_large');
  });

  test('that sends us elsewhere is not followed, so the token goes nowhere else', async () => {
    const server = await start();
    const elsewhere = await start();
    server.answers.set('/introspect', { status: 307, headers: { location: `${elsewhere.origin}/introspect` } });
    expect(await rejection(asking(server).ask())).toBe('as_redirected');
    expect(elsewhere.requests).toHaveLength(0);
  });

  test('whose certificate is not trusted never sees the token', async () => {
    const server = await start({ certificate: 'server.pem' });
    const { ask } = asking(server, {}, { ca: tlsFile('other-ca.pem') });
    expect(await rejection(ask())).toBe('as_tls_untrusted');
    expect(server.requests).toHaveLength(0);
  });

  test('that ended the connection meanwhile is asked again', async () => {
    const server = await start();
    const { ask } = asking(server);
    await ask('one');
    server.dropConnections();
    expect(await ask('two')).toMatchObject({ active: true });
  });

  test('that is gone is given a pause, and serves again when it is back', async () => {
    const server = await startFaultyServer();
    const port = Number(new URL(server.origin).port);
    await server.close();
    const { ask, time, log, introspector } = asking(server);
    for (let failure = 0; failure < 5; failure++) {
      expect(await rejection(ask(`token-${failure}`))).toBe('as_unreachable');
    }
    expect(await rejection(ask())).toBe('introspection_suspended');
    await start({ port });
    expect(await rejection(ask())).toBe('introspection_suspended');
    await time.advance(1_000);
    expect(await ask()).toMatchObject({ active: true });
    expect(introspector.status()).toMatchObject({ state: 'ready' });
    expect(log.events()).toEqual(['introspection_suspended', 'introspection_resumed']);
  });

  test('that is asked more than it can answer is not taken for gone: no pause, and no old verdict serves', async () => {
    let revoked = false;
    const slow = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      const answer = () => JSON.stringify(body.includes('token=stolen') && !revoked ? active() : { active: false });
      const send = () => response.setHeader('content-type', 'application/json').end(answer());
      request.on('end', () => void setTimeout(send, 40));
    });
    await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve));
    open.push({ close: async () => void slow.close().closeAllConnections() });
    const origin = `http://127.0.0.1:${(slow.address() as AddressInfo).port}`;
    const { ask, introspector } = asking({ origin }, { deadline: 600, lifetime: 0, staleGrace: 600 });
    expect(await ask('stolen')).toMatchObject({ active: true });
    revoked = true;
    const flood = Array.from({ length: 60 }, (_, index) => rejection(ask(`made-up-${index}`)));
    expect(await rejection(ask('stolen'))).toBe('introspection_overloaded');
    expect(new Set(await Promise.all(flood))).toEqual(new Set(['none', 'introspection_overloaded']));
    expect(introspector.status()).toMatchObject({ state: 'ready', failures: 0 });
    expect(await ask('stolen')).toMatchObject({ active: false });
  });

  test('that has not answered yet when the hub stops is not waited for', async () => {
    const server = await start();
    server.answers.set('/introspect', { fault: 'hang' });
    const { ask, introspector } = asking(server);
    const answer = rejection(ask());
    await expect.poll(() => server.count('/introspect')).toBe(1);
    await introspector.close();
    expect(await answer).toBe('as_unreachable');
    expect(introspector.status()).toMatchObject({ asking: 0 });
  });
});

describe('a signed answer', () => {
  const key = signingKey('P-256', 'k1');
  const verifiers = verifiersOf('k1', signatureVerifier('ES256', createPublicKey(key.privateKey)));

  function signed(claims: JsonObject = {}, header: JsonObject = {}): string {
    const iat = new FakeTime().now().earliest;
    return signJwt({
      key,
      header: { alg: 'ES256', typ: 'token-introspection+jwt', kid: 'k1', ...header },
      claims: { iss: ISSUER, aud: CLIENT_ID, iat, token_introspection: active(), ...claims },
    });
  }

  async function answering(jws: string) {
    const server = await start();
    server.answers.set('/introspect', {
      headers: { 'content-type': 'application/token-introspection+jwt' },
      body: jws,
    });
    return asking(server, { signing: 'required', verifiers });
  }

  test('is verified, and kept as evidence', async () => {
    const jws = signed();
    const { ask } = await answering(jws);
    const answer = await ask();
    expect(answer).toMatchObject({ active: true, evidence: { digest: sha256(utf8(jws)) } });
    expect(answer.evidence?.jws?.expose()).toBe(jws);
    expect((await ask()).evidence).toBe(answer.evidence);
  });

  test('that the token is not active is evidence as well', async () => {
    const jws = signed({ token_introspection: { active: false } });
    const { ask } = await answering(jws);
    const answer = await ask();
    expect(answer).toMatchObject({ active: false, code: 'token_inactive' });
    expect(answer.evidence?.jws?.expose()).toBe(jws);
  });

  test('that cannot be read is the matter of one token, though the AS signed it', async () => {
    const { ask, introspector } = await answering(signed({ token_introspection: active({ scope: deep(20) }) }));
    for (let token = 0; token < 10; token++) {
      expect(await rejection(ask(`token-${token}`))).toBe('introspection_answer_invalid');
    }
    expect(introspector.status()).toMatchObject({ state: 'ready', failures: 0 });
  });

  test('with a secret key in it leaves only its hash as evidence', async () => {
    const jwk = { kty: 'oct', k: 'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr8' };
    const jws = signed({ token_introspection: active({ cnf: { jwk } }) });
    const answer = await (await answering(jws)).ask();
    expect(answer.evidence).toEqual({ digest: sha256(jws), jws: undefined });
    expect(answer).toMatchObject({ active: true, confirmation: { jwk: { kty: 'oct' } } });
  });

  test.each<[string, JsonObject]>([
    ['an OSCORE secret', { osc: { id: 'AQ', ms: '+a+Dg2jjU+eIiOFCa8HxJ+4' } }],
    ['a member that nobody knows', { secret: 'f9af838368e353e78888e1426bc1f1ee' }],
    ['a member that nobody knows beside one that is known', { jkt: 'x'.repeat(43), 'x-key': 'f9af838368e353e7' }],
    ['a key that has more than a public one', { jwk: { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', seed: 'AyM1' } }],
    ['a key of a type that nobody knows', { jwk: { kty: 'AKP', pub: 'AyM1' } }],
  ])('whose cnf has %s leaves only its hash as evidence', async (_, cnf) => {
    const jws = signed({ token_introspection: active({ cnf }) });
    const answer = await (await answering(jws)).ask();
    expect(answer.evidence).toEqual({ digest: sha256(jws), jws: undefined });
  });

  test('that a token is not active, and holds a secret all the same, leaves only its hash as evidence', async () => {
    const jws = signed({ token_introspection: { active: false, cnf: { osc: { ms: 'f9af838368e353e7' } } } });
    const answer = await (await answering(jws)).ask();
    expect(answer.evidence).toEqual({ digest: sha256(jws), jws: undefined });
  });

  test.each<[string, JsonObject]>([
    ['a thumbprint', { jkt: 'x'.repeat(43) }],
    ['a certificate', { 'x5t#S256': 'x'.repeat(43) }],
    ['the name of a key', { kid: 'k1' }],
    ['a public key', { jwk: { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', kid: 'k1', use: 'sig', alg: 'ES256' } }],
  ])('whose cnf has %s is kept as evidence', async (_, cnf) => {
    const jws = signed({ token_introspection: active({ cnf }) });
    const answer = await (await answering(jws)).ask();
    expect(answer.evidence?.jws?.expose()).toBe(jws);
  });

  test.each([
    ['of another issuer', { iss: 'https://elsewhere.example' }, {}],
    ['about a token of another issuer', { token_introspection: active({ iss: 'https://elsewhere.example' }) }, {}],
    ['for another client', { aud: 'elsewhere' }, {}],
    ['under a key that is not known', {}, { kid: 'k2' }],
    ['by an algorithm that is not that of the key', {}, { alg: 'RS256' }],
    ['of the type of an access token', {}, { typ: 'at+jwt' }],
  ])('%s is not believed', async (_, claims, header) => {
    const { ask } = await answering(signed(claims, header));
    expect(await rejection(ask())).toBe('introspection_answer_untrusted');
  });

  test('that was altered on the way is not believed', async () => {
    const [header, , signature] = signed().split('.');
    const claims = { iss: ISSUER, aud: CLIENT_ID, iat: new FakeTime().now().earliest, token_introspection: active() };
    const forged = Buffer.from(JSON.stringify({ ...claims, extra: 1 })).toString('base64url');
    const { ask } = await answering(`${header}.${forged}.${signature}`);
    expect(await rejection(ask())).toBe('introspection_answer_untrusted');
  });

  test.each(['as_unreachable', 'as_answer_refused', 'jwks_invalid', 'keys_too_old'] as const)(
    'whose key cannot be had, by %s, is no failure of the endpoint, and lets no old verdict serve',
    async (code) => {
      const server = await start();
      const { ask, introspector, time } = asking(server, {
        staleGrace: 3_600,
        verifiers: async () => {
          throw new LatchkeyError(code);
        },
      });
      expect(await ask()).toMatchObject({ active: true });
      await time.advance(60_000);
      const headers = { 'content-type': 'application/token-introspection+jwt' };
      server.answers.set('/introspect', { headers, body: signed({}, { kid: 'made-up' }) });
      expect(await rejection(ask())).toBe(code.startsWith('keys_') ? code : 'keys_unavailable');
      expect(introspector.status()).toMatchObject({ state: 'ready', failures: 0 });
    },
  );
});

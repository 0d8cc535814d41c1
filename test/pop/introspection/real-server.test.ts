/** The introspector against node-oidc-provider, in each way that the two can work together. */
import { generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import type { JWK } from 'oidc-provider';
import { afterEach, describe, expect, test } from 'vitest';
import { connectAuthorizationServer } from '../../../drivers/as/authorization-server.ts';
import { monotonic, systemRandom, systemTimers } from '../../../drivers/system-time.ts';
import { sha256 } from '../../../src/core/bytes.ts';
import type { FloorClock } from '../../../src/core/clock.ts';
import { Secret } from '../../../src/core/secret.ts';
import {
  type ClientAuthenticationSettings,
  clientAuthentication,
} from '../../../src/pop/introspection/client-authentication.ts';
import { Introspector, type IntrospectorOptions } from '../../../src/pop/introspection/introspector.ts';
import { looksLikeJwt } from '../../../src/pop/introspection/token-form.ts';
import { issuerPolicy } from '../../../src/trust/issuer-policy.ts';
import { Issuers } from '../../../src/trust/issuers.ts';
import { FaultyStore } from '../../fakes/faulty-store.ts';
import { QuietLog } from '../../fakes/quiet-log.ts';
import {
  APP_CLIENT,
  type DemoAuthorizationServer,
  EKG_AUDIENCE,
  HUB_CLIENT,
  issueToken,
  MACHINE_CLIENT,
  revokeToken,
  startAuthorizationServer,
} from '../../fixtures/authorization-server.ts';
import { rejection } from '../../fixtures/key-cache-rig.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

const clock: FloorClock = {
  now: () => ({ earliest: Math.floor(Date.now() / 1_000), latest: Math.ceil(Date.now() / 1_000) }),
  monotonic,
  certain: () => Math.floor(Date.now() / 1_000),
};

async function start(options?: Parameters<typeof startAuthorizationServer>[0]) {
  const as = await startAuthorizationServer(options);
  open.push(as);
  return as;
}

const BASIC: ClientAuthenticationSettings = {
  method: 'client_secret_basic',
  clientId: HUB_CLIENT.id,
  secret: new Secret(HUB_CLIENT.secret),
};

/** As the hub puts it together: keys and endpoint by discovery. */
function connect(as: DemoAuthorizationServer, settings = BASIC, options: Partial<IntrospectorOptions> = {}) {
  const log = new QuietLog();
  const issuers = new Issuers({
    policies: [issuerPolicy({ issuer: as.issuer, source: { kind: 'discovery' } })],
    connect: () => connectAuthorizationServer(),
    store: new FaultyStore(),
    clock,
    timers: systemTimers,
    random: systemRandom,
    log,
  });
  const keys = issuers.find(as.issuer)?.keys;
  if (keys === undefined) throw new Error('no issuer');
  const introspector = new Introspector({
    issuer: as.issuer,
    as: connectAuthorizationServer({ connections: 4 }),
    addresses: () => keys.introspection(),
    known: () => keys.knownIntrospection(),
    authentication: clientAuthentication(settings, as.issuer),
    signing: 'optional',
    verifiers: async (keyId, algorithm) => (await keys.forKeyId(keyId)).ring.candidates(keyId, algorithm),
    deadline: 5_000,
    leeway: 60,
    lifetime: 60,
    staleGrace: 0,
    whenUnsure: 'deny',
    clock,
    random: systemRandom,
    timers: systemTimers,
    log,
    ...options,
  });
  open.push(issuers, introspector);
  return (token: string) => introspector.introspect(new Secret(token), sha256(token), 'ekg-1');
}

test('a server that wants the secret in the form gets it there, and refuses a wrong one', async () => {
  const hub = { ...HUB_CLIENT, secretMethod: 'client_secret_post' as const };
  const as = await start({ clients: [MACHINE_CLIENT, APP_CLIENT, hub] });
  const { jwt: token } = await issueToken(as, { resource: EKG_AUDIENCE });
  expect(await connect(as, { ...BASIC, method: 'client_secret_post' })(token)).toMatchObject({ active: true });
  const wrong = connect(as, { ...BASIC, method: 'client_secret_post', secret: new Secret('wrong') });
  expect(await rejection(wrong(token))).toBe('introspection_client_refused');
});

describe('an opaque token of node-oidc-provider', () => {
  test('is active, with its audience, scope and DPoP key', async () => {
    const as = await start();
    const { jwt: token } = await issueToken(as, { resource: EKG_AUDIENCE });
    expect(looksLikeJwt(token)).toBe(false);
    expect(await connect(as)(token)).toMatchObject({
      active: true,
      audience: [EKG_AUDIENCE],
      scope: ['read'],
      clientId: MACHINE_CLIENT.id,
      members: { iss: as.issuer, token_type: 'DPoP' },
      confirmation: { jkt: expect.stringMatching(/^[\w-]{43}$/) },
      evidence: undefined,
    });
  });

  test('is asked about once, though the server says no-store', async () => {
    const as = await start();
    const ask = connect(as);
    const { jwt: token } = await issueToken(as, { resource: EKG_AUDIENCE });
    await Promise.all(Array.from({ length: 20 }, () => ask(token)));
    await ask(token);
    expect(as.requests('/token/introspection')).toBe(1);
  });

  test('that is revoked is inactive', async () => {
    const as = await start();
    const ask = connect(as, BASIC, { lifetime: 0 });
    const { jwt: token } = await issueToken(as, { resource: EKG_AUDIENCE });
    expect(await ask(token)).toMatchObject({ active: true });
    await revokeToken(as, token);
    expect(await ask(token)).toMatchObject({ active: false, code: 'token_inactive' });
  });

  test('that the server never made is inactive', async () => {
    const as = await start();
    expect(await connect(as)('mF_9.B5f-4.1JqM')).toMatchObject({ active: false, code: 'token_inactive' });
  });

  test('comes with a signed answer where the server signs', async () => {
    const as = await start({ signsIntrospection: true });
    const { jwt: token } = await issueToken(as, { resource: EKG_AUDIENCE });
    const answer = await connect(as, BASIC, { signing: 'required' })(token);
    expect(answer).toMatchObject({ active: true, audience: [EKG_AUDIENCE] });
    expect(answer.evidence?.jws?.expose().split('.')).toHaveLength(3);
  });

  test('is not believed without signature where one is required', async () => {
    const as = await start();
    const { jwt: token } = await issueToken(as, { resource: EKG_AUDIENCE });
    expect(await rejection(connect(as, BASIC, { signing: 'required' })(token))).toBe('introspection_answer_untrusted');
  });
});

describe('a hub', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = { ...(publicKey.export({ format: 'jwk' }) as JsonWebKey), kid: 'hub-1', alg: 'ES256' } as JWK;
  const clients = [MACHINE_CLIENT, APP_CLIENT, { id: HUB_CLIENT.id, keys: [jwk], introspects: true }];
  const key = new Secret(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());

  test('that signs assertions is accepted, time and again', async () => {
    const as = await start({ clients });
    const ask = connect(
      as,
      { method: 'private_key_jwt', clientId: HUB_CLIENT.id, key, keyId: 'hub-1' },
      { lifetime: 0 },
    );
    const { jwt: token } = await issueToken(as, { resource: EKG_AUDIENCE });
    expect(await ask(token)).toMatchObject({ active: true });
    expect(await ask(token)).toMatchObject({ active: true });
  });

  test('with the wrong key is refused', async () => {
    const as = await start({ clients });
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    const wrong = new Secret(other.export({ type: 'pkcs8', format: 'pem' }).toString());
    const ask = connect(as, { method: 'private_key_jwt', clientId: HUB_CLIENT.id, key: wrong, keyId: 'hub-1' });
    expect(await rejection(ask('token'))).toBe('introspection_client_refused');
  });

  test('with the wrong secret is refused', async () => {
    const as = await start();
    const ask = connect(as, { ...BASIC, secret: new Secret('wrong') });
    expect(await rejection(ask('token'))).toBe('introspection_client_refused');
  });

  test('that may not introspect learns nothing', async () => {
    const as = await start({ clients: [MACHINE_CLIENT, APP_CLIENT, { id: HUB_CLIENT.id, secret: HUB_CLIENT.secret }] });
    const { jwt: token } = await issueToken(as, { resource: EKG_AUDIENCE });
    expect(await connect(as)(token)).toMatchObject({ active: false, code: 'token_inactive' });
  });

  test('that asks about a JWT is refused by a server that introspects opaque tokens only', async () => {
    const as = await start();
    const { jwt } = await issueToken(as);
    expect(looksLikeJwt(jwt)).toBe(true);
    expect(await rejection(connect(as)(jwt))).toBe('introspection_refused');
  });

  test('learns that a server is not there', async () => {
    const as = await startAuthorizationServer();
    await as.close();
    expect(await rejection(connect(as)('token'))).toBe('as_unreachable');
  });
});

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { utf8 } from '../../src/core/bytes.ts';
import { StaticKeys } from '../../src/trust/issuer-keys.ts';
import { issuerPolicy } from '../../src/trust/issuer-policy.ts';
import { recordKey } from '../../src/trust/key-record.ts';
import { signingKey } from '../fixtures/jwt-signing.ts';
import { KeyCacheRig, rejection } from '../fixtures/key-cache-rig.ts';

const { jwk } = signingKey('P-256', 'k1');
const METADATA = '/.well-known/oauth-authorization-server';
const ENDPOINT = 'https://as.example/introspect';

let rig: KeyCacheRig;
beforeEach(async () => {
  rig = await KeyCacheRig.start({ keys: [jwk] });
});
afterEach(async () => {
  await rig.stop();
});

test('the endpoint is where the metadata says', async () => {
  rig.metadata(METADATA, { introspection_endpoint: ENDPOINT });
  const { cache, pass } = await rig.boot();
  await pass(0);
  expect(await cache.introspection()).toEqual({ endpoint: ENDPOINT, certificateEndpoint: ENDPOINT });
});

test('clients with a certificate may have an endpoint of their own (RFC 8705 §5)', async () => {
  const alias = 'https://mtls.as.example/introspect';
  rig.metadata(METADATA, {
    introspection_endpoint: ENDPOINT,
    mtls_endpoint_aliases: { introspection_endpoint: alias },
  });
  const { cache, pass } = await rig.boot();
  await pass(0);
  expect(await cache.introspection()).toEqual({ endpoint: ENDPOINT, certificateEndpoint: alias });
});

test.each([
  ['none', {}],
  ['one that is no text', { introspection_endpoint: 7 }],
  ['one over plain http to another machine', { introspection_endpoint: 'http://as.example/introspect' }],
  ['aliases that are none', { mtls_endpoint_aliases: 'https://as.example/introspect' }],
])('with %s there is no endpoint, and the keys are good all the same', async (_, members) => {
  rig.metadata(METADATA, members);
  const { cache, pass } = await rig.boot();
  await pass(0);
  expect(await cache.introspection()).toEqual({ endpoint: undefined, certificateEndpoint: undefined });
  expect(cache.status().keys).toHaveLength(1);
});

test('it is asked for with the first token, where the issuer was not reached before', async () => {
  rig.metadata(METADATA, { introspection_endpoint: ENDPOINT });
  const { cache } = await rig.boot();
  expect(await cache.introspection()).toMatchObject({ endpoint: ENDPOINT });
});

test('it is remembered while the issuer is away', async () => {
  rig.metadata(METADATA, { introspection_endpoint: ENDPOINT });
  const { cache, pass } = await rig.boot();
  await pass(0);
  await rig.server.close();
  await pass(2 * 86_400_000);
  expect(await cache.introspection()).toMatchObject({ endpoint: ENDPOINT });
});

/** Where the issuer itself has its endpoint. */
const own = () => `${rig.issuer}/introspect`;

/** A hub that ran while the metadata said so, and was switched off before its issuer went away. */
async function lastRun(members: Parameters<KeyCacheRig['metadata']>[1]): Promise<void> {
  rig.metadata(METADATA, members);
  rig.jwks([jwk]);
  const { cache, pass } = await rig.boot();
  await pass(0);
  await cache.close();
  rig.server.answers.clear();
}

function record(): Record<string, unknown> {
  const bytes = rig.store.entries.get(recordKey(rig.issuer)) ?? new Uint8Array();
  return JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>;
}

describe('while the issuer is away, a hub that was started anew', () => {
  test('knows the endpoint from its disk', async () => {
    await lastRun({ introspection_endpoint: own() });
    const { cache, pass } = await rig.boot();
    expect(await cache.introspection()).toEqual({ endpoint: own(), certificateEndpoint: own() });
    await pass(0);
    expect(await cache.introspection()).toMatchObject({ endpoint: own() });
  });

  test('knows the one for clients with a certificate too', async () => {
    const alias = `${rig.issuer}/mtls/introspect`;
    await lastRun({ introspection_endpoint: own(), mtls_endpoint_aliases: { introspection_endpoint: alias } });
    const { cache } = await rig.boot();
    expect(await cache.introspection()).toEqual({ endpoint: own(), certificateEndpoint: alias });
  });

  test('knows none at another server: its disk could have been changed', async () => {
    await lastRun({ introspection_endpoint: ENDPOINT });
    expect(JSON.stringify(record())).not.toContain(ENDPOINT);
    const { cache } = await rig.boot();
    expect(await rejection(cache.introspection())).toBe('as_answer_refused');
  });

  test('takes none of its own for one with a certificate that is at another server', async () => {
    await lastRun({ introspection_endpoint: own(), mtls_endpoint_aliases: { introspection_endpoint: ENDPOINT } });
    const { cache } = await rig.boot();
    expect(await cache.introspection()).toEqual({ endpoint: own(), certificateEndpoint: undefined });
  });

  test.each([
    ['at another server', () => ENDPOINT],
    ['at another port', () => 'http://127.0.0.1:1/introspect'],
    ['that begins like the issuer', () => `${rig.issuer}.evil.example/introspect`],
    ['with the issuer as its user', () => `${rig.issuer}@evil.example/introspect`],
    ['that is no text', () => 7],
  ])('sends no token to an address %s on its disk, and believes the record in nothing', async (_, address) => {
    for (const member of ['introspection_endpoint', 'certificate_introspection_endpoint']) {
      await lastRun({ introspection_endpoint: own() });
      rig.store.entries.set(recordKey(rig.issuer), utf8(JSON.stringify({ ...record(), [member]: address() })));
      const { cache, log } = await rig.boot();
      expect(log.events()).toContain('keys_set_aside');
      expect(await rejection(cache.introspection())).toBe('as_answer_refused');
      expect(cache.status().keys).toEqual([]);
    }
  });
});

describe('when the issuer is there at the start', () => {
  test('its word counts, and not what the disk says', async () => {
    await lastRun({ introspection_endpoint: own() });
    const moved = `${rig.issuer}/moved`;
    rig.metadata(METADATA, { introspection_endpoint: moved });
    rig.jwks([jwk]);
    const { cache } = await rig.boot();
    expect(await cache.introspection()).toMatchObject({ endpoint: moved });
    expect(record()).toMatchObject({ introspection_endpoint: moved });
  });

  test('and it has no endpoint any more, there is none', async () => {
    await lastRun({ introspection_endpoint: own() });
    rig.metadata(METADATA);
    rig.jwks([jwk]);
    const { cache } = await rig.boot();
    expect(await cache.introspection()).toEqual({ endpoint: undefined, certificateEndpoint: undefined });
    expect(record()).not.toHaveProperty('introspection_endpoint');
  });

  test('the record of an older hub gets the endpoint, and then no write is made for it', async () => {
    await lastRun({});
    rig.metadata(METADATA, { introspection_endpoint: own() });
    rig.jwks([jwk]);
    const writes = rig.store.writes;
    for (let boot = 0; boot < 2; boot += 1) {
      const { cache, pass } = await rig.boot();
      await pass(0);
      await cache.close();
    }
    expect(rig.store.writes).toBe(writes + 1);
    expect(record()).toMatchObject({ introspection_endpoint: own() });
  });
});

describe('it is not known of an issuer that was never reached, and the error is the reason for that', () => {
  test.each([
    ['as_answer_refused', () => rig.server.answers.clear()],
    ['metadata_invalid', () => rig.metadata(METADATA, { issuer: 'https://other.example' })],
    ['as_unreachable', () => rig.server.close()],
  ] as const)('%s', async (code, begin) => {
    await begin();
    const { cache, pass } = await rig.boot();
    await pass(0);
    expect(await rejection(cache.introspection())).toBe(code);
    expect(cache.knownIntrospection()).toBeUndefined();
  });
});

test('it is not looked for where the key set has a configured address', async () => {
  const url = `${rig.server.origin}/jwks`;
  const { cache, pass } = await rig.boot({ policy: rig.policy({ source: { kind: 'jwks', url } }) });
  await pass(0);
  expect(await rejection(cache.introspection())).toBe('introspection_unavailable');
  expect(cache.knownIntrospection()).toEqual({ endpoint: undefined, certificateEndpoint: undefined });
  expect(rig.server.requests.map(({ path }) => path)).toEqual(['/jwks']);
});

test('it is not known of keys from a file', async () => {
  const jwks = { keys: [jwk] };
  const policy = issuerPolicy({ issuer: 'https://as.example', source: { kind: 'file', jwks } });
  const keys = new StaticKeys(policy, jwks);
  expect(await rejection(keys.introspection())).toBe('introspection_unavailable');
  expect(keys.knownIntrospection()).toEqual({ endpoint: undefined, certificateEndpoint: undefined });
});

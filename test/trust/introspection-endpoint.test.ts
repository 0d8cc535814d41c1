import { afterEach, beforeEach, expect, test } from 'vitest';
import { StaticKeys } from '../../src/trust/issuer-keys.ts';
import { issuerPolicy } from '../../src/trust/issuer-policy.ts';
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

test('it is not known of an issuer that was never reached, and the error says why', async () => {
  rig.server.answers.clear();
  const { cache, pass } = await rig.boot();
  await pass(0);
  await expect(cache.introspection()).rejects.toMatchObject({
    code: 'introspection_unavailable',
    detail: 'as_answer_refused',
  });
});

test('it is not looked for where the key set has a configured address', async () => {
  const url = `${rig.server.origin}/jwks`;
  const { cache, pass } = await rig.boot({ policy: rig.policy({ source: { kind: 'jwks', url } }) });
  await pass(0);
  expect(await rejection(cache.introspection())).toBe('introspection_unavailable');
  expect(rig.server.requests.map(({ path }) => path)).toEqual(['/jwks']);
});

test('it is not known of keys from a file', async () => {
  const jwks = { keys: [jwk] };
  const policy = issuerPolicy({ issuer: 'https://as.example', source: { kind: 'file', jwks } });
  expect(await rejection(new StaticKeys(policy, jwks).introspection())).toBe('introspection_unavailable');
});

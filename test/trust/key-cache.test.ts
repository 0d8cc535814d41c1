import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ErrorCode } from '../../src/core/error-catalogue.ts';
import { verifyJwt } from '../../src/trust/verify-jwt.ts';
import { signingKey, signJwt } from '../fixtures/jwt-signing.ts';
import { KeyCacheRig, rejection } from '../fixtures/key-cache-rig.ts';

const first = signingKey('P-256', 'k1').jwk;
const second = signingKey('P-256', 'k2').jwk;
const newKey = signingKey('P-256', 'k3');
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let rig: KeyCacheRig;
beforeEach(async () => {
  rig = await KeyCacheRig.start({ keys: [first] });
});
afterEach(async () => {
  await rig.stop();
});

describe('finding the keys', () => {
  test('begins at the place of RFC 8414, between host and path', async () => {
    await rig.stop();
    rig = await KeyCacheRig.start({ path: '/realms/clinic', keys: [first] });
    const { cache, pass } = await rig.boot();
    await pass(0);
    expect(rig.server.requests.map(({ path }) => path)).toEqual([
      '/.well-known/oauth-authorization-server/realms/clinic',
      '/jwks',
    ]);
    expect((await cache.forKeyId('k1')).ring.has('k1')).toBe(true);
  });

  test('goes on at the place of OpenID Connect, behind the path', async () => {
    await rig.stop();
    rig = await KeyCacheRig.start({ path: '/realms/clinic', keys: [first] });
    rig.server.answers.delete('/.well-known/oauth-authorization-server/realms/clinic');
    rig.metadata('/realms/clinic/.well-known/openid-configuration');
    const { cache, pass } = await rig.boot();
    await pass(0);
    expect(cache.status().keys).toEqual([{ keyId: 'k1', algorithms: ['ES256'] }]);
  });

  test('reads no metadata where the key set has a configured address', async () => {
    const url = `${rig.server.origin}/jwks`;
    const { pass } = await rig.boot({ policy: rig.policy({ source: { kind: 'jwks', url } }) });
    await pass(0);
    expect(rig.server.requests.map(({ path }) => path)).toEqual(['/jwks']);
  });

  test('reads the metadata at a configured address alone', async () => {
    rig.metadata('/metadata');
    const url = `${rig.server.origin}/metadata`;
    const { pass } = await rig.boot({ policy: rig.policy({ source: { kind: 'discovery', url } }) });
    await pass(0);
    expect(rig.server.requests.map(({ path }) => path)).toEqual(['/metadata', '/jwks']);
  });

  test.each([
    ['of another issuer', { issuer: 'https://else.example' }],
    ['of the issuer with a slash more', { issuer: 'SLASH' }],
    ['without jwks_uri', { jwks_uri: null }],
    ['with a jwks_uri over plain http to another machine', { jwks_uri: 'http://as.example/jwks' }],
    ['with a jwks_uri in a file', { jwks_uri: 'file:///etc/passwd' }],
    ['with a jwks_uri that has a password', { jwks_uri: 'https://user:pass@as.example/jwks' }],
  ])('refuses metadata %s', async (_name, members) => {
    const slash = 'issuer' in members && members.issuer === 'SLASH' ? { issuer: `${rig.issuer}/` } : {};
    rig.metadata('/.well-known/oauth-authorization-server', { ...members, ...slash });
    const { cache, pass } = await rig.boot();
    await pass(0);
    expect(cache.status().lastError).toBe('metadata_invalid');
    expect(await rejection(cache.forKeyId('k1'))).toBe('keys_unavailable');
  });

  test('takes the keys from where they were, when the metadata goes bad later', async () => {
    const { cache, pass } = await rig.boot();
    await pass(0);
    rig.metadata('/.well-known/oauth-authorization-server', { issuer: 'https://else.example' });
    rig.jwks([first, second]);
    await pass(25 * HOUR);
    expect(cache.status()).toMatchObject({ lastError: 'metadata_invalid' });
    expect(cache.status().keys).toHaveLength(2);
  });

  test('follows a key set that moved', async () => {
    const { cache, pass } = await rig.boot();
    await pass(0);
    rig.answer({ status: 404 });
    rig.metadata('/.well-known/oauth-authorization-server', { jwks_uri: `${rig.server.origin}/new-jwks` });
    rig.server.answers.set('/new-jwks', { body: JSON.stringify({ keys: [second] }) });
    await pass(2 * HOUR);
    expect(cache.status().keys.map(({ keyId }) => keyId)).toEqual(['k2']);
  });
});

describe('keeping them fresh', () => {
  test('asks again ahead of time, at three quarters of the stated lifetime', async () => {
    rig.jwks([first], { 'cache-control': 'max-age=1000' });
    const { pass } = await rig.boot();
    await pass(0);
    await pass(749_000);
    expect(rig.server.count('/jwks')).toBe(1);
    await pass(2_000);
    expect(rig.server.count('/jwks')).toBe(2);
  });

  test('takes the time that an answer spent in caches off its lifetime', async () => {
    rig.jwks([first], { 'cache-control': 'max-age=1000', age: '600' });
    const { cache, pass } = await rig.boot();
    await pass(0);
    expect(cache.status().nextRefresh).toBe(300);
  });

  test.each([
    ['no-store', 45],
    ['max-age=0', 45],
    ['max-age=31536000', 64_800],
    ['nonsense', 2_700],
  ])('stays inside the bounds for Cache-Control: %s', async (header, seconds) => {
    rig.jwks([first], { 'cache-control': header });
    const { cache, pass } = await rig.boot();
    await pass(0);
    expect(cache.status().nextRefresh).toBe(seconds);
  });

  test('sends the ETag back, and takes "unchanged" as a confirmation', async () => {
    rig.jwks([first], { etag: '"v1"' });
    const { cache, pass } = await rig.boot();
    await pass(0);
    rig.answer({ status: 304 });
    await pass(HOUR);
    expect(rig.server.requests.at(-1)?.headers['if-none-match']).toBe('"v1"');
    expect(cache.status()).toMatchObject({ age: 900, lastError: undefined });
  });

  test('distrusts a withdrawn key at once', async () => {
    rig.jwks([first, second]);
    const { cache, pass } = await rig.boot();
    await pass(0);
    rig.jwks([second]);
    await pass(HOUR);
    expect((await cache.forKeyId('k2')).ring.has('k1')).toBe(false);
  });

  test('does not fill the log, however many keys come and go', async () => {
    const many = (name: string) =>
      Array.from({ length: 32 }, (_, index) => ({ ...first, kid: `${name}${index}`.padEnd(128, '.') }));
    const unusable = Array.from({ length: 32 }, (_, index) => ({ kty: 'AKP', kid: `u${index}`.padEnd(128, '.') }));
    rig.jwks([...many('a'), ...unusable]);
    const { log, pass } = await rig.boot();
    await pass(0);
    rig.jwks([...many('b'), ...unusable]);
    await pass(HOUR);
    const changes = log.lines.filter(({ fields }) => fields.event === 'keys_changed');
    expect(changes).toHaveLength(2);
    expect(changes.at(-1)?.fields).toMatchObject({
      added: { count: 32 },
      withdrawn: { count: 32 },
      skipped: { count: 32 },
    });
    for (const { fields } of changes) expect(JSON.stringify(fields).length).toBeLessThan(5_000);
  });

  test('tries again after 15 s, and then doubles, up to an hour', async () => {
    rig.answer({ status: 500 });
    const { cache, pass } = await rig.boot();
    const delays: (number | undefined)[] = [];
    for (let failure = 0; failure < 10; failure++) {
      await pass((delays.at(-1) ?? 0) * 1000);
      delays.push(cache.status().nextRefresh);
    }
    expect(delays).toEqual([15, 30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
  });
});

describe('an answer that is broken costs no key', () => {
  test.each([
    ['status 500', { status: 500, body: '{"keys":[]}' }, 'as_answer_refused'],
    ['status 403 with a good set', { status: 403, body: JSON.stringify({ keys: [second] }) }, 'as_answer_refused'],
    [
      'a page in HTML',
      { body: '<html>Please log in</html>', headers: { 'content-type': 'text/html' } },
      'jwks_invalid',
    ],
    ['nothing', { body: '' }, 'jwks_invalid'],
    ['a set without keys', { body: '{"keys":[]}' }, 'jwks_invalid'],
    ['no set', { body: '{}' }, 'jwks_invalid'],
    ['a list', { body: '[]' }, 'jwks_invalid'],
    ['a member twice', { body: '{"keys":[],"keys":[]}' }, 'jwks_invalid'],
    ['keys for encryption only', { body: JSON.stringify({ keys: [{ ...second, use: 'enc' }] }) }, 'jwks_invalid'],
    ['keys of algorithms that are not allowed', { body: '{"keys":[{"kty":"oct","k":"AAAA"}]}' }, 'jwks_invalid'],
    ['100 keys', { body: JSON.stringify({ keys: Array(100).fill(second) }) }, 'jwks_invalid'],
    ['300 KiB', { body: ' '.repeat(300_000) }, 'as_answer_too_large'],
    ['a redirect', { status: 302, headers: { location: 'http://as.example/' } }, 'as_redirected'],
    ['"unchanged", unasked', { status: 304 }, 'as_answer_refused'],
    ['an end without an answer', { fault: 'reset' as const }, 'as_unreachable'],
  ])('%s', async (_name, answer, code) => {
    const { cache, log, pass } = await rig.boot();
    await pass(0);
    rig.answer(answer);
    await pass(HOUR);
    expect(cache.status()).toMatchObject({ lastError: code, keys: [{ keyId: 'k1' }] });
    expect((await cache.forKeyId('k1')).age).toBe(3_600);
    expect(log.events()).toContain('keys_refresh_failed');
  });

  test('an issuer that is gone', async () => {
    const { cache, pass } = await rig.boot();
    await pass(0);
    await rig.server.close();
    await pass(24 * HOUR);
    expect(cache.status()).toMatchObject({ lastError: 'as_unreachable', age: 86_400 });
    expect((await cache.forKeyId('k1')).age).toBe(86_400);
  });
});

describe('a kid that is not held', () => {
  test('makes the cache ask, and is there then', async () => {
    const { cache, pass } = await rig.boot();
    await pass(0);
    await pass(MINUTE);
    rig.jwks([first, second]);
    expect((await cache.forKeyId('k2')).ring.has('k2')).toBe(true);
    expect(rig.server.count('/jwks')).toBe(2);
  });

  test('costs one request however many tokens have one', async () => {
    const { cache, pass } = await rig.boot();
    await pass(0);
    await pass(MINUTE);
    const held = await Promise.all(Array.from({ length: 50 }, (_, index) => cache.forKeyId(`made-up-${index}`)));
    expect(held).toHaveLength(50);
    expect(rig.server.count('/jwks')).toBe(2);
  });

  test('makes the cache ask a moment after a refresh that no token set off', async () => {
    const { cache, pass } = await rig.boot({ policy: rig.policy({ unknownKeyCooldown: 30 }) });
    await pass(0);
    await pass(1_000);
    rig.jwks([first, second]);
    expect((await cache.forKeyId('k2')).ring.has('k2')).toBe(true);
    expect(rig.server.count('/jwks')).toBe(2);
  });

  test('joins a refresh that the timer set off, and may set one off after it', async () => {
    const { cache, pass, time } = await rig.boot();
    await time.advance(0);
    while (rig.server.requests.length === 0) await new Promise<void>((resolve) => setImmediate(resolve));
    await cache.forKeyId('k1');
    expect(rig.server.count('/jwks')).toBe(1);
    await pass(0);
    rig.jwks([first, second]);
    expect((await cache.forKeyId('k2')).ring.has('k2')).toBe(true);
  });

  test('is asked for once more where the attempt that was joined began before the issuer had the key', async () => {
    const { cache, time } = await rig.boot();
    rig.server.answers.set('/jwks', () => {
      rig.jwks([first, second]);
      return { body: JSON.stringify({ keys: [first] }) };
    });
    await time.advance(0);
    while (rig.server.requests.length === 0) await new Promise<void>((resolve) => setImmediate(resolve));
    const held = await Promise.all(Array.from({ length: 10 }, () => cache.forKeyId('k2')));
    expect(held.every(({ ring }) => ring.has('k2'))).toBe(true);
    expect(rig.server.count('/jwks')).toBe(2);
  });

  test('is not asked for once more where the attempt that was joined failed', async () => {
    const { cache, time } = await rig.boot();
    rig.answer({ status: 500 });
    await time.advance(0);
    while (rig.server.requests.length === 0) await new Promise<void>((resolve) => setImmediate(resolve));
    expect(await rejection(cache.forKeyId('k2'))).toBe('keys_unavailable');
    expect(rig.server.count('/jwks')).toBe(1);
  });

  test('costs none before the cooldown is over, and one then', async () => {
    const { cache, pass } = await rig.boot({ policy: rig.policy({ unknownKeyCooldown: 30 }) });
    await pass(0);
    for (let second = 0; second < 30; second++) {
      await cache.forKeyId(`made-up-${second}`);
      await pass(1_000);
    }
    expect(rig.server.count('/jwks')).toBe(2);
    for (let token = 0; token < 10; token++) await cache.forKeyId('made-up');
    expect(rig.server.count('/jwks')).toBe(3);
  });

  test('does not keep the introspection endpoint from being looked for', async () => {
    rig.server.answers.clear();
    const { cache, pass } = await rig.boot();
    await pass(0);
    await rejection(cache.forKeyId('made-up'));
    rig.metadata('/.well-known/oauth-authorization-server', { introspection_endpoint: `${rig.issuer}/introspect` });
    rig.jwks([first]);
    expect(await cache.introspection()).toMatchObject({ endpoint: `${rig.issuer}/introspect` });
  });

  test('costs one a cooldown while the issuer is broken, too', async () => {
    const { cache, pass } = await rig.boot();
    await pass(0);
    await pass(MINUTE);
    rig.answer({ status: 500 });
    for (let token = 0; token < 10; token++) {
      expect(await rejection(cache.forKeyId('made-up'))).toBe('as_answer_refused');
    }
    expect(rig.server.count('/jwks')).toBe(2);
    expect(await rejection(cache.forKeyId('k1'))).toBe('none');
  });

  test.each<[string, Parameters<KeyCacheRig['answer']>[0], ErrorCode]>([
    ['answers with an error', { status: 500 }, 'as_answer_refused'],
    ['ends the connection', { fault: 'reset' }, 'as_unreachable'],
    ['sends the hub elsewhere', { status: 302, headers: { location: 'https://else.example/' } }, 'as_redirected'],
    ['answers with garbage', { body: '{' }, 'jwks_invalid'],
  ])('is refused for now, and not for good, while the issuer %s', async (_name, answer, code) => {
    const { cache, pass } = await rig.boot({ policy: rig.policy({ unknownKeyCooldown: 5 }) });
    await pass(0);
    await pass(MINUTE);
    rig.answer(answer);
    const claims = { iss: rig.issuer, aud: 'https://tube-1.example', exp: 1_800_000_000, sub: 's', iat: 1_700_000_000 };
    const verify = () =>
      verifyJwt(signJwt({ key: newKey, header: { alg: 'ES256', typ: 'at+jwt', kid: 'k3' }, claims }), {
        issuers: { find: () => ({ policy: rig.policy(), keys: cache }) },
        audience: 'https://tube-1.example',
        time: { earliest: 1_700_000_060, latest: 1_700_000_060 },
        whenUnsure: 'deny',
      });
    await expect(verify()).rejects.toMatchObject({ code, entry: { status: 503 }, retryAfter: 5 });
    // In the cooldown nothing is asked, and the answer is the same.
    const asked = rig.server.requests.length;
    await pass(1_000);
    await expect(verify()).rejects.toMatchObject({ code, entry: { status: 503 }, retryAfter: 4 });
    expect(rig.server.requests).toHaveLength(asked);
    // A good answer without the key is one: then the token is refused for good, in the cooldown too.
    rig.jwks([first]);
    await pass(4_000);
    expect(await rejection(verify())).toBe('key_unknown');
    expect(await rejection(verify())).toBe('key_unknown');
    rig.jwks([first, newKey.jwk]);
    await pass(5_000);
    expect(await rejection(verify())).toBe('none');
  });

  test('is no reason to ask when a token names none', async () => {
    const { cache, pass } = await rig.boot();
    await pass(0);
    await pass(MINUTE);
    await cache.forKeyId(undefined);
    expect(rig.server.count('/jwks')).toBe(1);
  });
});

test('status tells what is held, what was skipped and when the issuer is asked again', async () => {
  rig.jwks([first, { kty: 'oct', kid: 'shared', k: 'AAAA' }]);
  const { cache, pass } = await rig.boot();
  await pass(0);
  await pass(10_000);
  expect(cache.status()).toEqual({
    issuer: rig.issuer,
    source: 'discovery',
    keys: [{ keyId: 'k1', algorithms: ['ES256'] }],
    skipped: [{ keyId: 'shared', reason: 'a private or secret key, published' }],
    age: 10,
    offlineLimit: 2_592_000,
    lastError: undefined,
    nextRefresh: 2_690,
  });
});

test('closing ends an exchange under way, without a complaint', async () => {
  rig.answer({ fault: 'hang' });
  const { cache, time, log } = await rig.boot();
  await time.advance(0);
  while (rig.server.count('/jwks') === 0) await new Promise<void>((resolve) => setImmediate(resolve));
  await cache.close();
  expect(log.lines.filter(({ level }) => level !== 'info')).toEqual([]);
  expect(time.pendingTimers).toBe(0);
});

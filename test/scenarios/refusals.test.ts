/** What clients get to see when the hub refuses: status, code and challenge, over real HTTP to the built hub. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { type CryptoKey, calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { base64url, sha256 } from '../../src/core/bytes.ts';
import { CATALOGUE, type ErrorCode } from '../../src/core/error-catalogue.ts';
import { TUBE_AUDIENCE } from '../fixtures/authorization-server.ts';
import { StaticIssuer } from '../fixtures/static-issuer.ts';
import { World } from '../fixtures/world.ts';

const issuer = new StaticIssuer();
let world: World;
let key: { privateKey: CryptoKey; jwk: JWK; thumbprint: string };
let url: string;

beforeAll(async () => {
  world = await World.open({
    prepare: (folder) => issuer.writeJwks(join(folder, 'static.json')),
    issuers: `[[issuers]]\nissuer = "${issuer.issuer}"\njwks_file = "static.json"\n`,
  });
  await world.plugIn();
  key = await freshKey();
  url = `${world.hub.address}/devices/tube-1/authz-info`;
});

afterAll(() => world.close());

async function freshKey() {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const jwk = await exportJWK(publicKey);
  return { privateKey, jwk, thumbprint: await calculateJwkThumbprint(jwk) };
}

const token = (claims: Record<string, unknown> = {}) =>
  issuer.sign({ aud: TUBE_AUDIENCE, scope: 'read', cnf: { jkt: key.thumbprint }, ...claims });

async function nonce(): Promise<string> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { authorization: `DPoP ${token()}`, dpop: await proof(token(), {}) },
  });
  return answer.headers.get('dpop-nonce') ?? '';
}

async function proof(jwt: string, claims: Record<string, unknown>, by = key): Promise<string> {
  return new SignJWT({
    jti: randomUUID(),
    htm: 'POST',
    htu: url,
    iat: Math.floor(Date.now() / 1_000),
    ath: base64url(sha256(jwt)),
    ...claims,
  })
    .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk: by.jwk as { kty: string } })
    .sign(by.privateKey);
}

async function present(headers: Record<string, string>, to = url) {
  const answer = await fetch(to, { method: 'POST', headers });
  const body = (await answer.json()) as { type?: string; title?: string; code?: string; detail?: string; fix?: string };
  return {
    status: answer.status,
    code: body.code,
    challenge: answer.headers.get('www-authenticate'),
    type: body.type,
    fix: body.fix,
    detail: body.detail,
  };
}

describe('POST /devices/{id}/authz-info', () => {
  test('takes a good token with a good proof', async () => {
    const jwt = token();
    const answer = await present({ authorization: `DPoP ${jwt}`, dpop: await proof(jwt, { nonce: await nonce() }) });
    expect(answer).toMatchObject({ status: 201, code: undefined });
  });

  test.each<[string, Record<string, unknown>, string, RegExp | undefined]>([
    ['without a nonce', { nonce: undefined }, 'proof_nonce_required', undefined],
    ['with a nonce of its own making', { nonce: 'mine' }, 'proof_nonce_required', undefined],
    ['for another method', { htm: 'GET' }, 'proof_method_mismatch', /^htm is "GET", expected "POST"$/],
    [
      'for another address',
      { htu: 'https://elsewhere.example/devices/tube-1/authz-info?secret' },
      'proof_uri_mismatch',
      /^htu is "https:\/\/elsewhere.example\/devices\/tube-1\/authz-info", expected "http:\/\/127.0.0.1:\d+\/devices\/tube-1\/authz-info" or /,
    ],
    [
      'for another token',
      { ath: base64url(sha256('other')) },
      'proof_token_mismatch',
      /^ath is ".{43}", expected ".{43}"$/,
    ],
    [
      'with the token in place of its hash',
      { ath: 'eyJhbGciOiJFUzI1NiJ9.canary' },
      'proof_token_mismatch',
      /^ath has 27 characters, expected ".{43}"$/,
    ],
    [
      'of an hour ago',
      { iat: Math.floor(Date.now() / 1_000) - 3_600 },
      'proof_stale',
      /^iat is \S+Z, now is \S+Z, and \d+ s are allowed$/,
    ],
  ])('refuses a proof %s', async (_, claims, code, detail) => {
    const jwt = token();
    const answer = await present({
      authorization: `DPoP ${jwt}`,
      dpop: await proof(jwt, { nonce: await nonce(), ...claims }),
    });
    expect(answer).toMatchObject({ status: 401, code });
    if (detail === undefined) expect(answer.detail).toBeUndefined();
    else expect(answer.detail).toMatch(detail);
    expect(answer.challenge).toContain(code === 'proof_nonce_required' ? 'use_dpop_nonce' : 'invalid_dpop_proof');
  });

  test('refuses a proof by another key', async () => {
    const jwt = token();
    const stranger = await freshKey();
    expect(
      await present({ authorization: `DPoP ${jwt}`, dpop: await proof(jwt, { nonce: await nonce() }, stranger) }),
    ).toMatchObject({ status: 401, code: 'proof_key_mismatch' });
  });

  test('refuses a proof that was used before', async () => {
    const jwt = token();
    const used = await proof(jwt, { nonce: await nonce() });
    expect((await present({ authorization: `DPoP ${jwt}`, dpop: used })).status).toBe(201);
    expect(await present({ authorization: `DPoP ${jwt}`, dpop: used })).toMatchObject({
      status: 401,
      code: 'proof_replayed',
    });
  });

  test('refuses a bound token without proof, whatever the scheme', async () => {
    expect(await present({ authorization: `DPoP ${token()}` })).toMatchObject({ status: 401, code: 'proof_missing' });
    expect(await present({ authorization: `Bearer ${token()}` })).toMatchObject({ status: 401, code: 'proof_missing' });
  });

  test('refuses a token without cnf', async () => {
    expect(await present({ authorization: `Bearer ${token({ cnf: undefined })}` })).toMatchObject({
      status: 403,
      code: 'confirmation_missing',
    });
  });

  test.each<[string, () => string, number, string, RegExp?]>([
    [
      'for another device',
      () => token({ aud: 'https://tube-2.devices.example' }),
      403,
      'jwt_audience_mismatch',
      /^aud is "https:\/\/tube-2.devices.example", expected "[^"]+"$/,
    ],
    [
      'for several devices, bound to no key',
      () => token({ aud: [TUBE_AUDIENCE, 'https://tube-2.devices.example'], cnf: undefined }),
      403,
      'audience_ambiguous',
      /^aud is \[.+\], and cnf is missing$/,
    ],
    ['that is bound to no key', () => token({ cnf: undefined }), 403, 'confirmation_missing', /^cnf is missing$/],
    [
      'without a scope that the device knows',
      () => token({ scope: 'dance' }),
      403,
      'scope_empty',
      /^scope is "dance", expected "read" or "configure"$/,
    ],
    [
      'that is expired',
      () => token({ exp: Math.floor(Date.now() / 1_000) - 1 }),
      401,
      'jwt_expired',
      /^exp is \S+Z, now is \S+Z$/,
    ],
    ['of an unknown issuer', () => token({ iss: 'https://evil.example' }), 401, 'jwt_issuer_unknown'],
    ['that was altered', () => `${token().slice(0, -4)}AAAA`, 401, 'jwt_signature_invalid'],
    [
      'that is an ID token',
      () => issuer.sign({ aud: TUBE_AUDIENCE }, `{"alg":"ES256","typ":"JWT","kid":"${issuer.keyId}"}`),
      401,
      'jwt_type_refused',
      /^typ is "JWT", expected "at\+jwt": token_types may have "JWT"$/,
    ],
    [
      'of another type that nobody signed',
      () =>
        `${Buffer.from(`{"alg":"ES256","kid":"${issuer.keyId}"}`).toString('base64url')}.${token().split('.')[1]}.AAAA`,
      401,
      'jwt_type_refused',
    ],
    [
      'with alg none',
      () => `${Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url')}.${token().split('.')[1]}.`,
      401,
      'jwt_algorithm_refused',
    ],
  ])('refuses a token %s', async (_, make, status, code, detail) => {
    const jwt = make();
    const answer = await present({ authorization: `DPoP ${jwt}`, dpop: await proof(jwt, { nonce: await nonce() }) });
    expect(answer).toMatchObject({ status, code, fix: CATALOGUE[code as ErrorCode].fix });
    if (detail === undefined) expect(answer.detail).toBeUndefined();
    else expect(answer.detail).toMatch(detail);
    const page = await fetch(new URL(answer.type ?? '', url));
    expect({ status: page.status, type: page.headers.get('content-type') }).toEqual({
      status: 200,
      type: 'text/plain; charset=utf-8',
    });
    expect(await page.text()).toContain(CATALOGUE[code as ErrorCode].title);
  });

  test('leaves the device and both values in the log', async () => {
    const jwt = token({ aud: 'https://tube-3.devices.example' });
    await present({ authorization: `DPoP ${jwt}`, dpop: await proof(jwt, {}) });
    const lines = () => world.hub.output.filter((line) => line.includes('tube-3'));
    await world.until(() => lines().length > 0);
    expect(JSON.parse(lines()[0] ?? '')).toMatchObject({
      event: 'refused',
      device: 'tube-1',
      code: 'jwt_audience_mismatch',
      detail: `aud is "https://tube-3.devices.example", expected "${TUBE_AUDIENCE}"`,
    });
  });

  test('has no page about what is no code', async () => {
    const answer = await fetch(new URL('/errors/constructor', url));
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({ code: 'not_found', type: '/errors/not_found' });
  });

  test('refuses a request without a token, and says which schemes there are and no error', async () => {
    expect(await present({})).toMatchObject({
      status: 401,
      code: 'token_missing',
      challenge: 'Bearer, DPoP algs="ES256 EdDSA"',
    });
  });

  test('answers a refused Bearer token in its own scheme', async () => {
    const answer = await present({ authorization: `Bearer ${token({ iss: 'https://evil.example' })}` });
    expect(answer).toMatchObject({ status: 401, challenge: 'Bearer error="invalid_token", DPoP algs="ES256 EdDSA"' });
  });

  test.each<[string, Record<string, string>]>([
    ['Basic credentials', { authorization: 'Basic eDp5' }],
    ['a scheme without token', { authorization: 'DPoP ' }],
  ])('refuses a request with %s', async (_, headers) => {
    expect(await present(headers)).toMatchObject({ status: 400, code: 'request_invalid' });
  });

  test('refuses a device that nobody registered', async () => {
    expect(
      await present({ authorization: `Bearer ${token()}` }, `${world.hub.address}/devices/tube-9/authz-info`),
    ).toMatchObject({ status: 404, code: 'device_unknown' });
  });

  test('refuses tokens of an issuer that the device was not registered for', async () => {
    const file = join(world.folder.path, 'other-trust.json');
    const added = await world.folder.command(
      ...[
        'devices',
        'add',
        'tube-3',
        '--config',
        world.folder.config,
        '--audience',
        'https://tube-3.devices.example',
        '--line',
        'bench',
        '--trust',
        file,
      ],
      ...['--allow', 'read=FETCH temperature', '--issuer', world.as.issuer],
    );
    expect(added.status).toBe(0);
    const jwt = token({ aud: 'https://tube-3.devices.example' });
    expect(
      await present({ authorization: `Bearer ${jwt}` }, `${world.hub.address}/devices/tube-3/authz-info`),
    ).toMatchObject({ status: 401, code: 'jwt_issuer_unknown' });
  });
});

describe('GET /deliveries/{id}', () => {
  test('refuses an id that nobody was given', async () => {
    const answer = await fetch(`${world.hub.address}/deliveries/${'0'.repeat(32)}`);
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({ code: 'delivery_unknown' });
  });
});

/** An issuer that puts a key of another issuer's client into a token of its own gets nothing for it. */
import { join } from 'node:path';
import { CompactEncrypt, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose';
import { afterEach, expect, test } from 'vitest';
import { TUBE_AUDIENCE } from '../fixtures/authorization-server.ts';
import { StaticIssuer } from '../fixtures/static-issuer.ts';
import { World } from '../fixtures/world.ts';

let world: World | undefined;
afterEach(async () => {
  await world?.close();
  world = undefined;
});

test('a JWE that an issuer took out of a token of another one is refused, and the device never gets the key', async () => {
  const honest = new StaticIssuer('https://honest.example');
  const hostile = new StaticIssuer('https://hostile.example');
  const table = ({ issuer }: StaticIssuer, file: string) =>
    `[[issuers]]\nissuer = "${issuer}"\njwks_file = "${file}"\n`;
  const opened = await World.open({
    prepare(folder) {
      honest.writeJwks(join(folder, 'honest.json'));
      hostile.writeJwks(join(folder, 'hostile.json'));
    },
    issuers: table(honest, 'honest.json') + table(hostile, 'hostile.json'),
  });
  world = opened;
  await opened.plugIn();
  const publishedFor = async ({ issuer }: StaticIssuer) => {
    const answer = await fetch(`${opened.hub.address}/jwks?issuer=${encodeURIComponent(issuer)}`);
    return ((await answer.json()) as { keys: [JWK] }).keys[0];
  };
  const sealed = async (key: JWK, header: { kid?: string; iss?: string } = {}) =>
    new CompactEncrypt(Buffer.from(JSON.stringify({ kty: 'oct', k: Buffer.alloc(32, 7).toString('base64url') })))
      .setProtectedHeader({ alg: 'ECDH-ES+A128KW', enc: 'A128GCM', ...header })
      .encrypt(await importJWK(key, 'ECDH-ES+A128KW'));
  const present = async (issuer: StaticIssuer, jwe: string) => {
    const token = issuer.sign({ aud: TUBE_AUDIENCE, scope: 'read', cnf: { jwe } });
    const answer = await fetch(`${opened.hub.address}/devices/tube-1/authz-info`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
    });
    return { status: answer.status, code: ((await answer.json()) as { code?: string }).code };
  };

  const key = await publishedFor(honest);
  const named = await sealed(key, { kid: key.kid ?? '' });
  expect(await present(hostile, named)).toEqual({ status: 401, code: 'jwe_foreign' });
  expect(await present(hostile, await sealed(key))).toEqual({ status: 401, code: 'jwe_decryption_failed' });
  const own = await publishedFor(hostile);
  expect(own.kid).not.toBe(key.kid);
  const replicated = await sealed(own, { iss: honest.issuer });
  expect(await present(hostile, replicated)).toEqual({ status: 401, code: 'jwe_foreign' });
  expect(opened.device.acceptedTokens).toBe(0);
  expect(await present(honest, named)).toMatchObject({ status: 201 });

  const unnamed = await fetch(`${opened.hub.address}/jwks`);
  expect(unnamed.status).toBe(404);
  expect(await unnamed.json()).toMatchObject({ code: 'jwks_issuer_unknown' });
});

test('a token that is encrypted as a whole travels, and one that another issuer signed does not', async () => {
  const honest = new StaticIssuer('https://honest.example');
  const hostile = new StaticIssuer('https://hostile.example');
  const opened = await World.open({
    prepare(folder) {
      honest.writeJwks(join(folder, 'honest.json'));
      hostile.writeJwks(join(folder, 'hostile.json'));
    },
    issuers:
      `[[issuers]]\nissuer = "${honest.issuer}"\njwks_file = "honest.json"\nencryption_key = "RSA"\n` +
      `[[issuers]]\nissuer = "${hostile.issuer}"\njwks_file = "hostile.json"\n`,
  });
  world = opened;
  await opened.plugIn();
  const published = await fetch(`${opened.hub.address}/jwks?issuer=${encodeURIComponent(honest.issuer)}`);
  const [key] = ((await published.json()) as { keys: [JWK] }).keys;
  expect(key).toMatchObject({ kty: 'RSA', alg: 'RSA-OAEP-256' });
  const encrypted = async (jwt: string, to: JWK = key) =>
    new CompactEncrypt(Buffer.from(jwt))
      .setProtectedHeader({
        alg: 'RSA-OAEP-256',
        enc: 'A256GCM',
        cty: 'JWT',
        ...(to.kid === undefined ? {} : { kid: to.kid }),
      })
      .encrypt(await importJWK(to, 'RSA-OAEP-256'));
  const present = async (token: string) => {
    const answer = await fetch(`${opened.hub.address}/devices/tube-1/authz-info`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
    });
    const { code, state, bytes } = (await answer.json()) as { code?: string; state?: string; bytes?: { jwt: number } };
    return { status: answer.status, code, state, bytes: bytes?.jwt };
  };
  // Only a token that is encrypted may hold a symmetric key as it is (RFC 7800 section 3.2).
  const claims = {
    aud: TUBE_AUDIENCE,
    scope: 'read',
    cnf: { jwk: { kty: 'oct', k: Buffer.alloc(32, 7).toString('base64url') } },
  };

  expect(await present(honest.sign(claims))).toMatchObject({ status: 401, code: 'confirmation_invalid' });
  expect(await present(await encrypted(hostile.sign(claims)))).toMatchObject({ status: 401, code: 'jwe_foreign' });
  const theirs = (await exportJWK((await generateKeyPair('RSA-OAEP-256')).publicKey)) as JWK;
  expect(await present(await encrypted(honest.sign(claims), { ...theirs, kid: 'theirs' }))).toMatchObject({
    status: 401,
    code: 'token_encrypted',
  });
  expect(await present('an-opaque-token')).toMatchObject({ status: 401, code: 'token_opaque' });
  expect(opened.device.acceptedTokens).toBe(0);

  const token = await encrypted(honest.sign(claims));
  expect(await present(token)).toMatchObject({ status: 201, state: 'delivered', bytes: token.length });
});

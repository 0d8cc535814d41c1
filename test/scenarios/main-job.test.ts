import { join } from 'node:path';
import { CompactEncrypt, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose';
import { afterEach, describe, expect, test } from 'vitest';
import { bearerToken } from '../../src/client/index.ts';
import { decodeCbor } from '../../src/codec/cbor.ts';
import { importJwk } from '../../src/codec/cose/key.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { TUBE_AUDIENCE } from '../fixtures/authorization-server.ts';
import { StaticIssuer } from '../fixtures/static-issuer.ts';
import { World, type WorldOptions } from '../fixtures/world.ts';

let world: World | undefined;

/** A hub with its device plugged in. */
async function ready(options?: WorldOptions): Promise<World> {
  world = await World.open(options);
  await world.plugIn();
  return world;
}

afterEach(async () => {
  await world?.close();
  world = undefined;
});

describe('the main job', () => {
  test.each([
    ['mac0', ['--wrap', 'mac0']],
    ['mac0 with the whole MAC', ['--wrap', 'mac0', '--algorithm', 'HMAC 256/256']],
    ['sign1', ['--wrap', 'sign1']],
    ['sign1 by EdDSA', ['--wrap', 'sign1', '--algorithm', 'EdDSA']],
    ['encrypt0', ['--wrap', 'encrypt0']],
    ['sign1 inside encrypt0', ['--wrap', 'sign1+encrypt0', '--claims', 'full', '--cwt-tag']],
    ['mac0 inside encrypt0', ['--wrap', 'mac0+encrypt0', '--scope-form', 'bytes']],
  ])('a JWT becomes a CWT that the device accepts, and its holder gets an answer: %s', async (_, device) => {
    const { as, client, device: tube, token } = bound(await ready({ device }));
    const held = await token();
    const delivery = await client.deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token: held });
    expect(delivery).toMatchObject({ state: 'delivered', device: 'tube-1' });
    const answer = await client.session(delivery, held).request({ method: 'FETCH', path: ['temperature'] });
    expect(decodeCbor(answer.payload)).toBeInstanceOf(Map);
    expect(tube.acceptedTokens).toBe(1);
    expect(as.requests('/jwks')).toBe(1);
  });

  test('a device that lost its power takes the same token again', async () => {
    const opened = await ready({ device: ['--wrap', 'sign1'] });
    const client = opened.client();
    const token = await opened.token();
    const first = await client.deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token });
    await opened.powerCycle();
    const request = { method: 'FETCH', path: ['temperature'] } as const;
    await expect(client.session(first, token).request(request)).rejects.toMatchObject({ deviceCode: '4.01' });
    const second = await client.deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token });
    expect((await client.session(second, token).request(request)).payload.length).toBeGreaterThan(0);
  });

  test('a token of Keycloak travels: spaces in the header, typ JWT, kid, several unknown claims', async () => {
    const { issuer, opened } = await withStaticIssuer('token_types = ["JWT"]\n');
    const { privateKey } = await generateKeyPair('ES256', { extractable: true });
    const jwk = await exportJWK(privateKey);
    const jwt = issuer.sign(
      {
        aud: TUBE_AUDIENCE,
        typ: 'Bearer',
        azp: 'app',
        acr: '1',
        'allowed-origins': ['*'],
        realm_access: { roles: ['offline_access'] },
        scope: 'profile read',
        cnf: { jwk: publicOf(jwk) },
      },
      `{"alg" : "ES256","typ" : "JWT","kid" : "${issuer.keyId}"}`,
    );
    await travels(opened, jwt, jwk);
  });

  test('a token of an ACE server travels: a symmetric key in cnf.jwe, encrypted to the hub', async () => {
    const { issuer, opened } = await withStaticIssuer('');
    const shared: JWK = { kty: 'oct', k: Buffer.alloc(32, 5).toString('base64url'), alg: 'HS256' };
    const { keys } = (await (
      await fetch(`${opened.hub.address}/jwks?issuer=${encodeURIComponent(issuer.issuer)}`)
    ).json()) as { keys: JWK[] };
    const hubKey = keys[0];
    if (hubKey === undefined) throw new Error('the hub publishes no key');
    const jwe = await new CompactEncrypt(Buffer.from(JSON.stringify(shared)))
      .setProtectedHeader({
        alg: 'ECDH-ES+A128KW',
        enc: 'A128GCM',
        ...(hubKey.kid === undefined ? {} : { kid: hubKey.kid }),
      })
      .encrypt(await importJWK(hubKey, 'ECDH-ES+A128KW'));
    await travels(opened, issuer.sign({ aud: TUBE_AUDIENCE, scope: 'read', cnf: { jwe } }), shared);
  });
});

function publicOf({ d, ...jwk }: JWK): JWK {
  return jwk;
}

function bound(opened: World) {
  return { as: opened.as, client: opened.client(), device: opened.device, token: () => opened.token() };
}

async function withStaticIssuer(settings: string): Promise<{ issuer: StaticIssuer; opened: World }> {
  const issuer = new StaticIssuer();
  const opened = await ready({
    prepare: (folder) => issuer.writeJwks(join(folder, 'static.json')),
    issuers: `[[issuers]]\nissuer = "${issuer.issuer}"\njwks_file = "static.json"\n${settings}`,
  });
  return { issuer, opened };
}

/** Delivered as Bearer, since the device checks possession by itself, and then used with the key. */
async function travels(opened: World, jwt: string, key: JWK): Promise<void> {
  const client = opened.client();
  const token = bearerToken(jwt, importJwk({ ...key } as JsonObject));
  const delivery = await client.deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token });
  expect(delivery.state).toBe('delivered');
  const answer = await client.session(delivery, token).request({ method: 'FETCH', path: ['temperature'] });
  expect(decodeCbor(answer.payload)).toBeInstanceOf(Map);
}

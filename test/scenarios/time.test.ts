/** Devices that do not know the time: one is told by the hub, another does without. The built hub, over a real line. */
import { join } from 'node:path';
import { exportJWK, generateKeyPair } from 'jose';
import { afterEach, describe, expect, test } from 'vitest';
import { bearerToken, HubRefusal } from '../../src/client/index.ts';
import { importJwk } from '../../src/codec/cose/key.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { TUBE_AUDIENCE } from '../fixtures/authorization-server.ts';
import { StaticIssuer } from '../fixtures/static-issuer.ts';
import { World } from '../fixtures/world.ts';

let world: World | undefined;

afterEach(async () => {
  await world?.close();
  world = undefined;
});

test('a device whose clock was never set asks the hub, and takes tokens from then on', async () => {
  const opened = await World.open({ clock: 'hub' });
  world = opened;
  await opened.plugIn();
  await opened.until(() => opened.events.some(({ event }) => event === 'time_told'));
  const delivery = await opened
    .client()
    .deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token: await opened.token() });
  expect(delivery).toMatchObject({ state: 'delivered', receipt: true });
});

test('a hub that does not know the time says so, and the device goes on denying', async () => {
  const opened = await World.open({ clock: 'hub' });
  world = opened;
  await opened.hub.stop();
  opened.folder.reconfigure((toml) => toml.replace('trust = "system"', 'trust = "never"'));
  opened.hub = await opened.folder.start();
  await opened.plugIn();
  await opened.until(() => opened.events.some(({ event }) => event === 'time_not_told'));
  expect(opened.events.some(({ event }) => event === 'time_told')).toBe(false);
});

describe('a device without a clock', () => {
  /** Tokens as an AS makes them that knows RFC 9200: no server here does. */
  async function withoutClock(policy = '') {
    const issuer = new StaticIssuer();
    const opened = await World.open({
      clock: 'none',
      device: ['--no-clock', '--wrap', 'sign1'],
      issuers: `[[issuers]]\nissuer = "${issuer.issuer}"\njwks_file = "jwks.json"\n${policy}`,
      prepare: (folder) => issuer.writeJwks(join(folder, 'jwks.json')),
    });
    world = opened;
    await opened.plugIn();
    // A device that is not reached yet gives no nonce; once it is, it is told who its issuers are.
    await opened.until(() => opened.events.some(({ event }) => event === 'trust_taken'));
    const { privateKey } = await generateKeyPair('ES256', { extractable: true });
    const jwk = (await exportJWK(privateKey)) as JsonObject;
    const { d: _, ...publicJwk } = jwk;
    const client = opened.client();
    const token = (claims: Readonly<Record<string, unknown>>) =>
      bearerToken(
        issuer.sign({ aud: TUBE_AUDIENCE, scope: 'read', cnf: { jwk: publicJwk }, ...claims }),
        importJwk(jwk),
      );
    const deliver = (claims: Readonly<Record<string, unknown>>) => {
      const given = token(claims);
      return client
        .deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token: given })
        .then((delivery) => client.session(delivery, given));
    };
    return { deliver, opened };
  }

  const refusalOf = (delivering: Promise<unknown>): Promise<HubRefusal> =>
    delivering.then(
      () => expect.unreachable('the token was taken'),
      (error: unknown) => (error instanceof HubRefusal ? error : expect.unreachable(String(error))),
    );

  const cnonceOf = (refusal: HubRefusal) => Buffer.from(refusal.creationHints?.cnonce ?? []).toString('base64url');

  test('gives the client a nonce by way of the hub, and takes the token that comes with it', async () => {
    const { deliver, opened } = await withoutClock();
    const refusal = await refusalOf(deliver({ exi: 300 }));
    expect(refusal).toMatchObject({
      hubCode: 'cnonce_missing',
      status: 401,
      creationHints: { audience: TUBE_AUDIENCE },
    });
    const session = await deliver({ exi: 300, cnonce: cnonceOf(refusal) });
    const answer = await session.request({ method: 'FETCH', path: ['temperature'] });
    expect(answer.payload.length).toBeGreaterThan(0);
    expect(opened.device.acceptedTokens).toBe(1);
  });

  test('refuses a nonce of before it was switched off, and its holder gets a new one at once', async () => {
    const { deliver, opened } = await withoutClock();
    const old = cnonceOf(await refusalOf(deliver({ exi: 300 })));
    await opened.powerCycle();
    const refusal = await refusalOf(deliver({ exi: 300, cnonce: old }));
    expect(refusal).toMatchObject({ hubCode: 'device_refused_token', deviceCode: '4.01' });
    await deliver({ exi: 300, cnonce: cnonceOf(refusal) });
    expect(opened.device.acceptedTokens).toBe(1);
  });

  test('takes a token without exp where the operator allows it, and nowhere else', async () => {
    const { deliver } = await withoutClock();
    expect(await refusalOf(deliver({ exi: 300, exp: undefined }))).toMatchObject({ hubCode: 'jwt_claim_missing' });
    await world?.close();
    const allowed = await withoutClock('exi_without_exp = true\n');
    const cnonce = cnonceOf(await refusalOf(allowed.deliver({ exi: 300, exp: undefined })));
    await allowed.deliver({ exi: 300, exp: undefined, cnonce });
    expect(allowed.opened.device.acceptedTokens).toBe(1);
  });

  test('gets no token that lives by the calendar, and its client a nonce to ask for another one with', async () => {
    const { deliver, opened } = await withoutClock();
    const refusal = await refusalOf(deliver({}));
    expect(refusal).toMatchObject({ hubCode: 'cnonce_missing' });
    expect(cnonceOf(refusal)).not.toBe('');
    expect(opened.events.filter(({ event }) => event.startsWith('token'))).toEqual([]);
  });
});

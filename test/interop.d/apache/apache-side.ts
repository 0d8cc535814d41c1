/** Apache with mod_oauth2, as it comes, asks the built hub about bearer tokens. Prints a line for each case. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  EKG_AUDIENCE,
  HUB_CLIENT,
  issueToken,
  revokeToken,
  startAuthorizationServer,
  TUBE_AUDIENCE,
} from '../../fixtures/authorization-server.ts';
import { Report } from '../report.ts';
import { using } from '../using.ts';
import { Ward } from '../ward.ts';
import { Apache, type ApacheOptions, READING } from './apache.ts';

type Server = Awaited<ReturnType<typeof startAuthorizationServer>>;
/** Seconds for which the hub keeps an answer of the authorization server here, and Apache one of the hub. */
const CACHE = 1;
const EXPIRY = 1;

const bearer = async (as: Server, options: Parameters<typeof issueToken>[1] = {}) =>
  (await issueToken(as, { resource: EKG_AUDIENCE, bound: false, ...options })).jwt;

async function cases(report: Report, as: Server, apache: Apache): Promise<void> {
  await report.check('an active token gets the page', async () => {
    const { status, body } = await apache.get('readings', await bearer(as));
    assert.deepEqual([status, body], [200, READING]);
  });

  await report.check('no token gets no page', async () => {
    const { status, challenge } = await apache.get('readings');
    assert.deepEqual([status, /error="invalid_request"/.test(challenge)], [401, true], challenge);
  });

  const refused: readonly (readonly [string, () => Promise<string>])[] = [
    ['that the server never wrote', async () => 'made-up'],
    ['for another device', () => bearer(as, { resource: TUBE_AUDIENCE })],
    ['that is bound to a key, shown without a proof', () => bearer(as, { bound: true })],
    [
      'that its client revoked',
      async () => {
        const token = await bearer(as);
        await revokeToken(as, token);
        return token;
      },
    ],
  ];
  for (const [name, token] of refused)
    await report.check(`a token ${name} gets 401`, async () => {
      const { status, body, challenge } = await apache.get('readings', await token());
      assert.deepEqual([status, body.includes(READING)], [401, false]);
      assert.match(challenge, /error="invalid_token"/);
    });

  await report.check('an active token without the scope of the page gets 401', async () => {
    const token = await bearer(as);
    assert.equal((await apache.get('settings', token)).status, 401);
    assert.equal((await apache.get('settings', await bearer(as, { scope: 'configure' }))).status, 200);
  });

  // Apache keeps the answer for five minutes, as it comes, whatever `Cache-Control` the hub sends: `expiry` shortens that.
  await report.check('a token that was used and is revoked then gets 401 once both caches are over', async () => {
    const token = await bearer(as);
    assert.equal((await apache.get('readings', token)).status, 200);
    await revokeToken(as, token);
    await sleep((CACHE + EXPIRY + 1) * 1_000);
    assert.equal((await apache.get('readings', token)).status, 401);
  });
}

async function main(): Promise<boolean> {
  const report = new Report('apache');
  await using(startAuthorizationServer, async (as) => {
    const open = () =>
      Ward.open({
        issuers: `[[issuers]]\nissuer = "${as.issuer}"\nclient_id = "${HUB_CLIENT.id}"\nclient_secret_file = "secret"\nintrospection_cache = "${CACHE}s"\n`,
        credential: { file: 'secret', content: HUB_CLIENT.secret },
        audiences: { tube: TUBE_AUDIENCE, ekg: EKG_AUDIENCE },
        ekgOptions: ['--bearer'],
      });
    await using(open, async (ward) => {
      const { device, httpSecret } = ward.credentials;
      const options: ApacheOptions = {
        endpoint: `${ward.address}/introspect`,
        client: { id: device, secret: httpSecret.expose() },
        authentication: 'client_secret_basic',
        expiry: EXPIRY,
      };
      await using(
        () => Apache.start(options),
        (apache) => cases(report, as, apache),
      );
      await using(
        () => Apache.start({ ...options, authentication: 'client_secret_post' }),
        (apache) =>
          report.check('its client_secret_post is good, too', async () => {
            assert.equal((await apache.get('readings', await bearer(as))).status, 200);
          }),
      );
      await using(
        () => Apache.start({ ...options, client: { id: device, secret: 'another' } }),
        (apache) =>
          report.check('with a wrong secret no token is good', async () => {
            assert.equal((await apache.get('readings', await bearer(as))).status, 401);
          }),
      );
    });
  });
  return report.isGood;
}

if (!(await main())) process.exitCode = 1;

/**
 * Ory Hydra as the authorization server of the built hub. Starts it, adds clients, and prints a line for each case.
 *
 *   PROGRAM   the built Hydra
 */
import assert from 'node:assert/strict';
import { bearerToken, DpopKey, type DpopToken, dpopToken } from '../../../src/client/index.ts';
import { insideOf } from '../inside-of.ts';
import { recipeFor } from '../recipes.ts';
import { Report } from '../report.ts';
import { using } from '../using.ts';
import { Ward } from '../ward.ts';
import { Hydra, type HydraClient } from './hydra.ts';

const AUDIENCES = { tube: 'coap://tube-1.devices.example', ekg: 'https://ekg-1.devices.example' };
const JWT_CLIENT: HydraClient = { id: 'writes-jwts', secret: 'secret-of-the-first', strategy: 'jwt' };
const OPAQUE_CLIENT: HydraClient = { id: 'is-opaque', secret: 'secret-of-the-second', strategy: 'opaque' };
/** Hydra binds no key. This line of the recipe has the hub do so. */
const BIND = 'bind = "first-presenter"\n';

/** A bearer token, presented with a key that Hydra knows nothing of. */
async function tokenFor(issuer: string, { id, secret }: HydraClient, audience?: string): Promise<DpopToken> {
  const answer = await fetch(`${issuer}/oauth2/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      scope: 'read',
      ...(audience === undefined ? {} : { audience }),
    }),
  });
  const { access_token: value } = (await answer.json()) as { readonly access_token?: string };
  if (value === undefined) throw new Error(`Hydra gave no token: ${answer.status}`);
  return dpopToken(value, await DpopKey.generate());
}

async function unboundCases(report: Report, issuer: string, ward: Ward): Promise<void> {
  await report.check('a JWT is right but for its key: without `bind` it is refused for that alone', async () => {
    const token = await tokenFor(issuer, JWT_CLIENT, AUDIENCES.tube);
    const { claims, header } = insideOf(token);
    report.note(`header ${header}; claims ${Object.keys(claims).join(' ')}`);
    assert.deepEqual([claims.aud, claims.scp, claims.cnf], [[AUDIENCES.tube], ['read'], undefined]);
    await assert.rejects(ward.send(bearerToken(token.value.expose())), { hubCode: 'confirmation_missing' });
  });

  await report.check('a JWT for another device is refused for its audience', async () => {
    const token = await tokenFor(issuer, JWT_CLIENT, AUDIENCES.ekg);
    await assert.rejects(ward.send(token), { hubCode: 'jwt_audience_mismatch' });
  });

  await report.check('a JWT of a client that asked for no audience is refused for that', async () => {
    await assert.rejects(ward.send(await tokenFor(issuer, JWT_CLIENT)), { hubCode: 'jwt_claim_missing' });
  });
}

async function introspectionCases(report: Report, issuer: string, ward: Ward): Promise<void> {
  await report.check('an opaque token is active at a device that takes bearer tokens', async () => {
    const token = await tokenFor(issuer, OPAQUE_CLIENT, AUDIENCES.ekg);
    assert.equal(token.value.expose().split('.').length === 3, false);
    const { active, latchkey, members } = await ward.askPlainly(token);
    assert.equal(active, true, `inactive: ${latchkey.code}`);
    assert.deepEqual([members.scope, members.client_id], ['read', OPAQUE_CLIENT.id]);
    assert.equal(members.iss, issuer);
  });

  await report.check('an opaque token for another device is inactive', async () => {
    const { active, latchkey } = await ward.askPlainly(await tokenFor(issuer, OPAQUE_CLIENT, AUDIENCES.tube));
    assert.equal(active, false);
    report.note(`for another device: ${latchkey.code ?? 'no code'}`);
  });

  await report.check('an opaque token that Hydra never wrote is inactive', async () => {
    const { active } = await ward.askPlainly(dpopToken('ory_at_made.up', await DpopKey.generate()));
    assert.equal(active, false);
  });

  await report.check('a JWT is active at the connected device too', async () => {
    const { active, latchkey, members } = await ward.askPlainly(await tokenFor(issuer, JWT_CLIENT, AUDIENCES.ekg));
    assert.equal(active, true, `inactive: ${latchkey.code}`);
    assert.equal(members.scope, 'read');
  });
}

async function main(program: string): Promise<boolean> {
  const report = new Report('hydra');
  await using(
    () => Hydra.start(program),
    async (hydra) => {
      for (const client of [JWT_CLIENT, OPAQUE_CLIENT]) await hydra.addClient(client, Object.values(AUDIENCES));
      const recipe = recipeFor('Ory Hydra', hydra.issuer);
      assert.ok(recipe.includes(BIND));
      const unbound = recipe.replace(BIND, '');
      await using(
        () => Ward.open({ issuers: unbound, audiences: AUDIENCES }),
        (ward) => unboundCases(report, hydra.issuer, ward),
      );
      // Its admin port asks for no secret, and takes any.
      const asking = `introspection_url = "${hydra.introspection}"\nclient_id = "hub"\nclient_secret_file = "secret"\n`;
      await using(
        () =>
          Ward.open({
            issuers: unbound + asking,
            credential: { file: 'secret', content: 'any' },
            audiences: AUDIENCES,
            ekgOptions: ['--bearer'],
          }),
        (ward) => introspectionCases(report, hydra.issuer, ward),
      );
    },
  );
  return report.isGood;
}

const [program = ''] = process.argv.slice(2);
if (!(await main(program))) process.exitCode = 1;

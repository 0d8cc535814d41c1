/** Glewlwyd as the authorization server of the built hub. Starts it, sets it up, and prints a line for each case. */
import assert from 'node:assert/strict';
import { AuthorizationServer, DpopKey, type DpopToken, Secret } from '../../../src/client/index.ts';
import { insideOf } from '../inside-of.ts';
import { recipeFor } from '../recipes.ts';
import { Report } from '../report.ts';
import { using } from '../using.ts';
import { Ward } from '../ward.ts';
import { Glewlwyd } from './glewlwyd.ts';

const AUDIENCES = { tube: 'https://tube-1.devices.example', ekg: 'https://ekg-1.devices.example' };
// Glewlwyd does not decode what form encoding makes of a dash, so the secrets have none.
const MACHINE = { id: 'machine', secret: 'secretOfTheMachine' };
const PROOF_ATTEMPTS = 5;
const HUB = { id: 'hub', secret: 'secretOfTheHub' };

async function tokenFor(glewlwyd: Glewlwyd, resource: string): Promise<DpopToken> {
  const server = await AuthorizationServer.discover({
    issuer: glewlwyd.issuer,
    clientId: MACHINE.id,
    authentication: { method: 'client_secret_basic', secret: new Secret(MACHINE.secret) },
  });
  // Glewlwyd 2.7.5 has refused a good proof now and then, and taken the next one.
  for (let attempt = 1; ; attempt += 1) {
    try {
      const key = await DpopKey.generate();
      return (await server.clientCredentials({ scope: 'read', resource, key })) as DpopToken;
    } catch (error) {
      if (attempt === PROOF_ATTEMPTS || !String(error).includes('invalid_dpop_proof')) throw error;
      process.stdout.write(`# a proof was refused: ${glewlwyd.proofRefusal}\n`);
    }
  }
}

async function deliveryCases(report: Report, glewlwyd: Glewlwyd, ward: Ward): Promise<void> {
  await report.check('a token travels by the recipe of docs/servers.md, and the device answers', async () => {
    const token = await tokenFor(glewlwyd, AUDIENCES.tube);
    const { claims, header } = insideOf(token);
    report.note(`header ${header}; claims ${Object.keys(claims).join(' ')}`);
    assert.equal(claims.aud, AUDIENCES.tube);
    assert.equal((await ward.send(token)).state, 'queued');
    await ward.plugIn();
    assert.ok((await ward.use(token)) > 0);
  });

  await report.check('a token in the hands of another key’s holder does not travel', async () => {
    const token = await tokenFor(glewlwyd, AUDIENCES.tube);
    await assert.rejects(ward.send({ ...token, key: await DpopKey.generate() }), { hubCode: 'proof_key_mismatch' });
  });

  await report.check('a token for another device does not travel', async () => {
    const token = await tokenFor(glewlwyd, AUDIENCES.ekg);
    await assert.rejects(ward.send(token), { hubCode: 'jwt_audience_mismatch' });
  });

  await report.check('an audience that begins with coap: is refused by Glewlwyd', async () => {
    await assert.rejects(tokenFor(glewlwyd, 'coap://tube-1.devices.example'), /invalid_target/);
  });
}

async function introspectionCases(report: Report, glewlwyd: Glewlwyd, ward: Ward): Promise<void> {
  await report.check('a token is active by introspection, and the answer names the issuer', async () => {
    const token = await tokenFor(glewlwyd, AUDIENCES.ekg);
    const { active, latchkey, members } = await ward.ask(token, { wantsSessionKey: true });
    assert.equal(active, true, `inactive: ${latchkey.code}`);
    assert.deepEqual([latchkey.proof, latchkey.freshness?.source], ['dpop', 'introspection']);
    assert.deepEqual([members.iss, members.aud, members.scope], [glewlwyd.issuer, AUDIENCES.ekg, 'read']);
    assert.deepEqual(members.cnf, { jkt: token.key.thumbprint });
    assert.ok(latchkey.session_key !== undefined);
  });

  await report.check('a token with the proof of another key is inactive', async () => {
    const { active, latchkey } = await ward.ask(await tokenFor(glewlwyd, AUDIENCES.ekg), {
      by: await DpopKey.generate(),
    });
    assert.deepEqual([active, latchkey.code], [false, 'proof_key_mismatch']);
  });
}

/** By a secret, Glewlwyd tells a client about its own tokens and no others. */
async function otherClientCases(report: Report, glewlwyd: Glewlwyd, ward: Ward): Promise<void> {
  await report.check(
    'a token of another client than the hub’s is inactive: Glewlwyd tells the hub nothing',
    async () => {
      const { active, latchkey } = await ward.ask(await tokenFor(glewlwyd, AUDIENCES.ekg));
      assert.deepEqual([active, latchkey.code], [false, 'token_inactive']);
    },
  );
}

async function main(): Promise<boolean> {
  const report = new Report('glewlwyd');
  await using(
    () => Glewlwyd.start(),
    async (glewlwyd) => {
      await glewlwyd.setUp('read', Object.values(AUDIENCES));
      await glewlwyd.addClient(MACHINE.id, MACHINE.secret, 'read');
      await glewlwyd.addClient(HUB.id, HUB.secret, 'read');
      const recipe = recipeFor('Glewlwyd', glewlwyd.issuer);
      await using(
        () => Ward.open({ issuers: recipe, audiences: AUDIENCES }),
        (ward) => deliveryCases(report, glewlwyd, ward),
      );
      const wardOf = (client: typeof MACHINE) => () =>
        Ward.open({
          issuers: `${recipe}introspection = "always"\nclient_id = "${client.id}"\nclient_secret_file = "secret"\n`,
          credential: { file: 'secret', content: client.secret },
          audiences: AUDIENCES,
        });
      await using(wardOf(MACHINE), (ward) => introspectionCases(report, glewlwyd, ward));
      await using(wardOf(HUB), (ward) => otherClientCases(report, glewlwyd, ward));
    },
  );
  return report.isGood;
}

if (!(await main())) process.exitCode = 1;

/**
 * Spring Authorization Server as the authorization server of the built hub. Starts it and prints a line for each case.
 *
 *   CLASSPATH   our application and what it needs
 */
import assert from 'node:assert/strict';
import { AuthorizationServer, bearerToken, DpopKey, type DpopToken, Secret } from '../../../src/client/index.ts';
import { insideOf } from '../inside-of.ts';
import { recipeFor } from '../recipes.ts';
import { Report } from '../report.ts';
import { freePorts, ServerProcess } from '../server-process.ts';
import { using } from '../using.ts';
import { Ward } from '../ward.ts';

/** As Server.java has them. */
const AUDIENCES = { tube: 'https://tube-1.devices.example', ekg: 'https://ekg-1.devices.example' };
const HUB = 'latchkey-hub';
const secretOf = (client: string) => `secret-of-${client}`;

async function tokenOf(issuer: string, clientId: string): Promise<DpopToken> {
  const server = await AuthorizationServer.discover({
    issuer,
    clientId,
    authentication: { method: 'client_secret_basic', secret: new Secret(secretOf(clientId)) },
  });
  return (await server.clientCredentials({ scope: 'read', key: await DpopKey.generate() })) as DpopToken;
}

async function deliveryCases(report: Report, issuer: string, ward: Ward): Promise<void> {
  await report.check('a JWT travels by the recipe of docs/servers.md, and the device answers', async () => {
    const token = await tokenOf(issuer, 'tube-machine');
    const { claims, header } = insideOf(token);
    report.note(`header ${header}; claims ${Object.keys(claims).join(' ')}; scope ${JSON.stringify(claims.scope)}`);
    assert.equal((claims.cnf as { readonly jkt: string }).jkt, token.key.thumbprint);
    assert.equal((await ward.send(token)).state, 'queued');
    await ward.plugIn();
    assert.ok((await ward.use(token)) > 0);
  });

  await report.check('a JWT in the hands of another key’s holder does not travel', async () => {
    const token = await tokenOf(issuer, 'tube-machine');
    await assert.rejects(ward.send({ ...token, key: await DpopKey.generate() }), { hubCode: 'proof_key_mismatch' });
  });

  await report.check('a JWT for another device does not travel', async () => {
    await assert.rejects(ward.send(await tokenOf(issuer, 'ekg-machine')), { hubCode: 'jwt_audience_mismatch' });
  });

  await report.check('without the customizer the audience is the client, and the token is for no device', async () => {
    const token = await tokenOf(issuer, 'plain-machine');
    assert.equal(insideOf(token).claims.aud, 'plain-machine');
    await assert.rejects(ward.send(token), { hubCode: 'jwt_audience_mismatch' });
  });

  await report.check('an opaque token does not travel to a device that cannot ask', async () => {
    await assert.rejects(ward.send(await tokenOf(issuer, 'opaque-machine')), { status: 401 });
  });
}

async function introspectionCases(report: Report, issuer: string, ward: Ward): Promise<void> {
  for (const client of ['opaque-machine', 'ekg-machine']) {
    await report.check(`a token of ${client} is active by introspection, with its proof`, async () => {
      const token = await tokenOf(issuer, client);
      const { active, latchkey, members } = await ward.ask(token, { wantsSessionKey: true });
      assert.equal(active, true, `inactive: ${latchkey.code}`);
      assert.deepEqual([latchkey.proof, latchkey.freshness?.source], ['dpop', 'introspection']);
      assert.deepEqual([members.iss, members.scope], [issuer, 'read']);
      assert.deepEqual(members.cnf, { jkt: token.key.thumbprint });
      assert.ok(latchkey.session_key !== undefined);
    });
  }

  await report.check('an opaque token with the proof of another key is inactive', async () => {
    const token = await tokenOf(issuer, 'opaque-machine');
    const { active, latchkey } = await ward.ask(token, { by: await DpopKey.generate() });
    assert.deepEqual([active, latchkey.code], [false, 'proof_key_mismatch']);
  });

  await report.check('a bound token without a proof is inactive', async () => {
    const token = await tokenOf(issuer, 'opaque-machine');
    assert.equal((await ward.askPlainly(bearerToken(token.value.expose()))).active, false);
  });
}

async function main(classpath: string): Promise<boolean> {
  const report = new Report('spring');
  const [port = 0] = await freePorts(1);
  const issuer = `http://127.0.0.1:${port}`;
  await using(
    () =>
      ServerProcess.start({
        command: 'java',
        args: [
          // It runs for a minute: the second compiler costs more than it brings.
          ...['-XX:TieredStopAtLevel=1', '-Xmx256m', '-cp', classpath, 'latchkey.Server'],
          ...[`--server.port=${port}`, '--server.address=127.0.0.1'],
          `--spring.security.oauth2.authorizationserver.issuer=${issuer}`,
        ],
        readyAt: `${issuer}/.well-known/openid-configuration`,
      }),
    async () => {
      const recipe = recipeFor('Spring Authorization Server', issuer);
      await using(
        () => Ward.open({ issuers: recipe, audiences: AUDIENCES }),
        (ward) => deliveryCases(report, issuer, ward),
      );
      const asking = `introspection = "always"\nclient_id = "${HUB}"\nclient_secret_file = "secret"\n`;
      await using(
        () =>
          Ward.open({
            issuers: recipe + asking,
            credential: { file: 'secret', content: secretOf(HUB) },
            audiences: AUDIENCES,
          }),
        (ward) => introspectionCases(report, issuer, ward),
      );
    },
  );
  return report.isGood;
}

const [classpath = ''] = process.argv.slice(2);
if (!(await main(classpath))) process.exitCode = 1;

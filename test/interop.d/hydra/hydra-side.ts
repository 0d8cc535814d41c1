/**
 * Ory Hydra as the authorization server of the built hub. Starts it, adds clients, and prints a line for each case.
 *
 *   PROGRAM   the built Hydra
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  bearerToken,
  type Delivery,
  DpopKey,
  type DpopToken,
  dpopToken,
  HubRefusal,
} from '../../../src/client/index.ts';
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
/** Milliseconds. A case has 60 s, and may have to be patient twice. */
const PATIENCE = 25_000;
const PAUSE = 500;

/** A bearer token, presented with a key that Hydra knows nothing of. */
async function tokenFor(issuer: string, client: HydraClient, audience?: string): Promise<DpopToken> {
  const answer = await askForToken(issuer, client, audience);
  const { access_token: value } = (await answer.json()) as { readonly access_token?: string };
  if (value === undefined) throw new Error(`Hydra gave no token: ${answer.status}`);
  return dpopToken(value, await DpopKey.generate());
}

/** Hydra ends a connection by itself where it needs too long to make its first key. It keeps the key. */
async function askForToken(issuer: string, { id, secret }: HydraClient, audience?: string): Promise<Response> {
  const start = performance.now();
  for (;;) {
    try {
      return await fetch(`${issuer}/oauth2/token`, {
        method: 'POST',
        headers: { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` },
        body: new URLSearchParams({
          grant_type: 'client_credentials',
          scope: 'read',
          ...(audience === undefined ? {} : { audience }),
        }),
      });
    } catch (error) {
      if (!(error instanceof TypeError) || performance.now() - start > PATIENCE) throw error;
    }
  }
}

/** Tries again while the refusal is one that passes. */
async function presentWhile(
  isPassing: (refusal: HubRefusal) => boolean,
  present: () => Promise<Delivery>,
): Promise<Delivery> {
  const start = performance.now();
  for (;;) {
    try {
      return await present();
    } catch (error) {
      const isLate = performance.now() - start > PATIENCE;
      if (isLate || !(error instanceof HubRefusal) || !isPassing(error)) throw error;
      await sleep(PAUSE);
    }
  }
}

async function unboundCases(report: Report, issuer: string, ward: Ward): Promise<void> {
  // Hydra makes two RSA keys of 4096 bits at the first question for its key set, and at the same time another one for its
  // first token. That takes seconds: the hub gives up on the question, or gets an answer without the key of the token.
  await report.check(
    'the first JWT is right but for its key: without `bind` it is refused for that alone',
    async () => {
      const token = await tokenFor(issuer, JWT_CLIENT, AUDIENCES.tube);
      const { claims, header } = insideOf(token);
      report.note(`header ${header}; claims ${Object.keys(claims).join(' ')}`);
      assert.deepEqual([claims.aud, claims.scp, claims.cnf], [[AUDIENCES.tube], ['read'], undefined]);
      const shown = bearerToken(token.value.expose());
      const presented = presentWhile(
        ({ status }) => status === 503,
        () => ward.send(shown),
      );
      await assert.rejects(presented, { hubCode: 'confirmation_missing' });
    },
  );

  await report.check('a JWT for another device is refused for its audience', async () => {
    const token = await tokenFor(issuer, JWT_CLIENT, AUDIENCES.ekg);
    await assert.rejects(ward.send(token), { hubCode: 'jwt_audience_mismatch' });
  });

  await report.check('a JWT of a client that asked for no audience is refused for that', async () => {
    await assert.rejects(ward.send(await tokenFor(issuer, JWT_CLIENT)), { hubCode: 'jwt_claim_missing' });
  });
}

/** By the recipe, whose `bind` makes up for the key that Hydra does not bind. */
async function boundCases(report: Report, issuer: string, ward: Ward): Promise<void> {
  let token: DpopToken;
  await report.check(
    'a JWT is bound to the key of its first presenter, travels, and the device answers that key',
    async () => {
      // The hub binds no token that may be older than its own start.
      const delivery = await presentWhile(
        ({ hubCode }) => hubCode === 'token_binding_unknown',
        async () => {
          token = await tokenFor(issuer, JWT_CLIENT, AUDIENCES.tube);
          return ward.send(token);
        },
      );
      assert.equal(delivery.state, 'queued');
      await ward.plugIn();
      assert.ok((await ward.use(token)) > 0);
    },
  );

  await report.check('the same JWT with another key is refused', async () => {
    const other = { ...token, key: await DpopKey.generate() };
    await assert.rejects(ward.send(other), { hubCode: 'token_bound_elsewhere' });
  });

  await report.check('a JWT without a proof is refused', async () => {
    const { value } = await tokenFor(issuer, JWT_CLIENT, AUDIENCES.tube);
    await assert.rejects(ward.send(bearerToken(value.expose())), { hubCode: 'proof_missing' });
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
      await using(
        // Hydra and the hub have one clock here.
        () => Ward.open({ issuers: `${recipe}leeway = "1s"\n`, audiences: AUDIENCES }),
        (ward) => boundCases(report, hydra.issuer, ward),
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

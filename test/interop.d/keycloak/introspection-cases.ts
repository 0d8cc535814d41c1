/** What a connected device is told of tokens that the hub asks the realm about. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { DpopKey, type DpopToken } from '../../../src/client/index.ts';
import { insideOf } from '../inside-of.ts';
import type { Answer, Ward } from '../ward.ts';
import { FOR_EKG, FOR_TUBE } from './clients.ts';
import type { DeliveryParts } from './delivery-cases.ts';
import type { Keycloak } from './keycloak.ts';

/** Seconds for which the hub believes "active". */
export const CACHE = 2;

export interface IntrospectionParts extends DeliveryParts {
  readonly keycloak: Keycloak;
  /** Name of the realm. */
  readonly realm: string;
}

/** The word of the realm itself, and the device may act on it. */
async function demandActive(ward: Ward, token: DpopToken): Promise<Answer['members']> {
  const { active, latchkey, members } = await ward.ask(token);
  assert.equal(active, true, `inactive: ${latchkey.code}`);
  assert.deepEqual(
    [latchkey.proof, latchkey.freshness?.source, latchkey.freshness?.stale],
    ['dpop', 'introspection', false],
  );
  assert.equal(members.scope, 'read');
  // Keycloak's own member beside it, `kc-jkt-type`, is left out: nobody here could check it.
  assert.deepEqual(members.cnf, { jkt: token.key.thumbprint });
  return members;
}

/** "Active" is remembered for a while; once that is over the realm's new word counts. */
async function demandRevoked(ward: Ward, token: DpopToken): Promise<void> {
  await sleep(CACHE * 1_000);
  const { active, latchkey } = await ward.ask(token);
  assert.deepEqual([active, latchkey.code], [false, 'token_inactive']);
}

export async function introspectionCases({
  clients,
  keycloak,
  realm,
  report,
  ward,
}: IntrospectionParts): Promise<void> {
  await report.check('a machine’s token is active by introspection, with a session key for both ends', async () => {
    const token = await clients.machine(FOR_EKG);
    const { active, latchkey, members } = await ward.ask(token, { wantsSessionKey: true });
    report.note(`introspection members ${Object.keys(members).join(' ')}; token_type ${String(members.token_type)}`);
    assert.equal(active, true, `inactive: ${latchkey.code}`);
    assert.equal(members.client_id, 'ekg-machine');
    assert.ok(latchkey.session_key !== undefined);
  });

  await report.check('a lightweight token is active, and introspection tells what it does not', async () => {
    const token = await clients.machine(FOR_EKG, 'lean-machine');
    const { claims } = insideOf(token);
    report.note(`lightweight: claims ${Object.keys(claims).join(' ')}`);
    const members = await demandActive(ward, token);
    assert.equal(claims.realm_access, undefined);
    assert.ok(members.realm_access !== undefined);
  });

  await report.check('a token shown by another key’s holder is inactive', async () => {
    const token = await clients.machine(FOR_EKG);
    const { active, latchkey } = await ward.ask(token, { by: await DpopKey.generate() });
    assert.deepEqual([active, latchkey.code], [false, 'proof_key_mismatch']);
  });

  await report.check('a bound token without proof is inactive, and nothing more is said', async () => {
    const { active, latchkey, members } = await ward.askPlainly(await clients.machine(FOR_EKG));
    assert.deepEqual({ active, latchkey, members }, { active: false, latchkey: {}, members: {} });
  });

  await report.check('a token for another device is inactive', async () => {
    const { active, latchkey } = await ward.ask(await clients.machine(FOR_TUBE));
    assert.deepEqual([active, latchkey.code], [false, 'jwt_audience_mismatch']);
  });

  await report.check(
    'a token that does not have the hub in its audience is inactive: the realm tells it nothing',
    async () => {
      const { active, latchkey } = await ward.ask(await clients.machine('read ekg-1'));
      assert.deepEqual([active, latchkey.code], [false, 'token_inactive']);
    },
  );

  await report.check('a token that its client revoked is inactive once the cache is over', async () => {
    const token = await clients.machine(FOR_EKG);
    await demandActive(ward, token);
    await clients.revoke(token);
    await demandRevoked(ward, token);
  });

  await report.check('the token of a doctor who was logged out is inactive once the cache is over', async () => {
    const token = await clients.doctor(FOR_EKG);
    await demandActive(ward, token);
    await keycloak.logOut(realm, 'doctor');
    await demandRevoked(ward, token);
  });
}

export async function keyClientCases({ clients, report, ward }: DeliveryParts): Promise<void> {
  await report.check('a hub that authenticates by private_key_jwt may introspect', async () => {
    await demandActive(ward, await clients.machine(FOR_EKG));
  });
}

/** The realm gets a new signing key, and withdraws the old one. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { type DpopToken, HubRefusal } from '../../../src/client/index.ts';
import { insideOf } from '../inside-of.ts';
import type { Ward } from '../ward.ts';
import { FOR_EKG, FOR_TUBE } from './clients.ts';
import type { IntrospectionParts } from './introspection-cases.ts';

/** Milliseconds that the hub gets for seeing what changed at the realm; it may ask once a second here. */
const PATIENCE = 15_000;

function keyIdOf(token: DpopToken): string {
  return (JSON.parse(insideOf(token).header) as { readonly kid: string }).kid;
}

/** Whether the tube's token travels, or the code by which the hub refuses it. */
async function outcome(ward: Ward, token: DpopToken): Promise<string> {
  try {
    return (await ward.use(token)) > 0 ? 'travels' : 'is answered with nothing';
  } catch (error) {
    if (error instanceof HubRefusal) return error.hubCode;
    throw error;
  }
}

/** Tries until there is another outcome than `first`, or patience is over; answers with it and the seconds that it took. */
async function outcomeAfter(first: string, ward: Ward, token: DpopToken) {
  const start = performance.now();
  for (;;) {
    const found = await outcome(ward, token);
    const took = performance.now() - start;
    if (found !== first || took > PATIENCE) return { found, took: Math.round(took / 100) / 10 };
    await sleep(200);
  }
}

export async function rotationCases({ clients, keycloak, realm, report, ward }: IntrospectionParts): Promise<void> {
  const before = await clients.machine(FOR_TUBE);
  const shownBefore = await clients.machine(FOR_EKG);

  await report.check('after a rotation tokens of the new key travel, and those of the old one still do', async () => {
    await keycloak.addSigningKey(realm, 'es256-second');
    const after = await clients.machine(FOR_TUBE);
    assert.notEqual(keyIdOf(after), keyIdOf(before));
    const { found, took } = await outcomeAfter('key_unknown', ward, after);
    report.note(`the new key was known after ${took} s`);
    assert.equal(found, 'travels');
    assert.equal(await outcome(ward, before), 'travels');
  });

  await report.check('tokens of a withdrawn key do not travel once the hub has seen it', async () => {
    await keycloak.disableKey(realm, 'es256-first');
    const { found, took } = await outcomeAfter('travels', ward, before);
    report.note(`the old key was forgotten after ${took} s`);
    assert.equal(found, 'key_unknown');
  });

  await report.check('tokens of a withdrawn key are inactive to a connected device', async () => {
    const { active, latchkey } = await ward.ask(shownBefore);
    assert.deepEqual([active, latchkey.code], [false, 'key_unknown']);
  });

  await report.check('tokens of the new key go on to travel', async () => {
    assert.equal(await outcome(ward, await clients.machine(FOR_TUBE)), 'travels');
  });
}

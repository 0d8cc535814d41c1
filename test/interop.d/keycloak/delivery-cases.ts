/** Tokens of the realm on their way to a device that cannot reach it. */
import assert from 'node:assert/strict';
import { DpopKey, type DpopToken } from '../../../src/client/index.ts';
import { insideOf } from '../inside-of.ts';
import type { Report } from '../report.ts';
import type { Ward } from '../ward.ts';
import { type Clients, FOR_EKG, FOR_TUBE } from './clients.ts';
import { TUBE_AUDIENCE } from './realm.ts';

export interface DeliveryParts {
  readonly clients: Clients;
  readonly report: Report;
  readonly ward: Ward;
}

/** The delivery has to fail with this code of the hub. */
async function refused(ward: Ward, token: DpopToken, code: string): Promise<void> {
  await assert.rejects(ward.send(token), { hubCode: code });
}

export async function deliveryCases({ clients, report, ward }: DeliveryParts): Promise<void> {
  await report.check('a machine’s JWT waits for a device that is away, and travels when it comes', async () => {
    const token = await clients.machine(FOR_TUBE);
    const { claims, header } = insideOf(token);
    report.note(`header ${header}; claims ${Object.keys(claims).join(' ')}`);
    assert.equal((JSON.parse(header) as { typ: string }).typ, 'JWT');
    assert.equal(claims.aud, TUBE_AUDIENCE);
    assert.equal((claims.cnf as { jkt: string }).jkt, token.key.thumbprint);
    assert.equal((await ward.send(token)).state, 'queued');
    await ward.plugIn();
    assert.ok((await ward.use(token)) > 0);
  });

  await report.check(
    'a doctor’s JWT, by authorization code with PKCE, travels, and the device answers her',
    async () => {
      const token = await clients.doctor(FOR_TUBE);
      const { claims, header } = insideOf(token);
      report.note(`header ${header}; claims ${Object.keys(claims).join(' ')}`);
      assert.equal((JSON.parse(header) as { typ: string }).typ, 'at+jwt');
      assert.equal(claims.aud, TUBE_AUDIENCE);
      assert.ok((await ward.use(token)) > 0);
    },
  );

  await report.check('a JWT in the hands of another key’s holder does not travel', async () => {
    const token = await clients.machine(FOR_TUBE);
    await refused(ward, { ...token, key: await DpopKey.generate() }, 'proof_key_mismatch');
  });

  await report.check('a JWT for another device does not travel', async () => {
    await refused(ward, await clients.machine(FOR_EKG), 'jwt_audience_mismatch');
  });

  await report.check('a JWT for several audiences travels, since it is bound to a key', async () => {
    const token = await clients.machine(`${FOR_TUBE} asked-by-hub`);
    const { aud } = insideOf(token).claims;
    assert.ok(Array.isArray(aud) && aud.length > 1 && aud.includes(TUBE_AUDIENCE));
    assert.ok((await ward.use(token)) > 0);
  });

  await report.check('a JWT without a scope of the device does not travel', async () => {
    await refused(ward, await clients.machine('tube-1'), 'scope_empty');
  });
}

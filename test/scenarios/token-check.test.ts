/** `latchkey token check` beside the running hub: over its admin socket, with the keys of its issuers, and against what the hub itself decides. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Secret } from '../../src/client/index.ts';
import type { Credentials } from '../../src/codec/credentials-file.ts';
import { EKG_AUDIENCE, issueToken, TUBE_AUDIENCE } from '../fixtures/authorization-server.ts';
import { askOverHttp, registerDevice, shown } from '../fixtures/relay-asking.ts';
import { StaticIssuer } from '../fixtures/static-issuer.ts';
import { World } from '../fixtures/world.ts';

const EKG = 'https://ekg-7.devices.example';
const issuer = new StaticIssuer();
let world: World;
let ekg: Credentials;
let bearer: Credentials;

beforeAll(async () => {
  world = await World.open({
    prepare: (folder) => issuer.writeJwks(join(folder, 'jwks.json')),
    issuers: `[[issuers]]\nissuer = "${issuer.issuer}"\njwks_file = "jwks.json"\n`,
  });
  ekg = await registerDevice(world.folder, 'ekg-7', EKG, '--any-issuer');
  bearer = await registerDevice(world.folder, 'ekg-8', 'https://ekg-8.devices.example', '--any-issuer', '--bearer');
  await world.plugIn();
});

afterAll(() => world.close());

interface Found {
  readonly accepted: boolean;
  readonly code?: string;
  readonly remedy?: { readonly settings: readonly string[] };
  readonly reason?: string;
  readonly steps: readonly { readonly step: string; readonly result: string; readonly says: string }[];
}

async function check(
  token: string,
  device: string,
): Promise<Found & { readonly status: number; readonly noted: string }> {
  const file = join(world.folder.path, 'token');
  writeFileSync(file, token);
  const arguments_ = ['token', 'check', file, '--device', device, '--config', world.folder.config, '--json'];
  const { err, out, status } = await world.folder.command(...arguments_);
  if (out === '') throw new Error(err);
  return { ...(JSON.parse(out) as Found), status, noted: err };
}

/** What the hub makes of it for the offline device. */
async function delivered(jwt: string): Promise<string> {
  const asked = new URL('/devices/tube-1/authz-info', world.hub.address);
  const answer = await fetch(asked, { method: 'POST', headers: { authorization: `Bearer ${jwt}` } });
  const body = (await answer.json()) as { readonly code?: string };
  return body.code ?? 'delivered';
}

describe('an offline device', () => {
  test('gets the token that is found good, with all steps', async () => {
    const token = await world.token();
    const found = await check(token.value.expose(), 'tube-1');
    expect(found).toMatchObject({ accepted: true, status: 0, noted: '' });
    expect(found.steps.map(({ result }) => result)).toEqual(found.steps.map(() => 'good'));
    const delivery = await world.client().deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token });
    expect(delivery.state).toBe('delivered');
  });

  test.each<[string, string, () => Promise<string> | string]>([
    [
      'for another device',
      'jwt_audience_mismatch',
      () => issuer.sign({ aud: EKG, scope: 'read', cnf: { jkt: 'A'.repeat(43) } }),
    ],
    ['that is over', 'jwt_expired', () => issuer.sign({ aud: TUBE_AUDIENCE, scope: 'read', exp: 1_000_000_000 })],
    [
      'signed by another key',
      'jwt_signature_invalid',
      () => new StaticIssuer().sign({ aud: TUBE_AUDIENCE, scope: 'read' }),
    ],
    [
      'of an issuer that is not configured',
      'jwt_issuer_unknown',
      () => new StaticIssuer('https://other.example').sign({ aud: TUBE_AUDIENCE }),
    ],
    ['without a key', 'confirmation_missing', async () => (await issueToken(world.as, { bound: false })).jwt],
    [
      'with typ JWT',
      'jwt_type_refused',
      () => issuer.sign({ aud: TUBE_AUDIENCE }, '{"alg":"ES256","typ":"JWT","kid":"static-1"}'),
    ],
  ])('is refused a token %s by the hub with the code that the command names', async (_, code, make) => {
    const jwt = await make();
    expect(await delivered(jwt)).toBe(code);
    expect(await check(jwt, 'tube-1')).toMatchObject({ accepted: false, code, status: 3 });
  });

  test('would get a token without a key under the setting that is named', async () => {
    const { jwt } = await issueToken(world.as, { bound: false });
    expect((await check(jwt, 'tube-1')).remedy?.settings).toEqual(['bind = "first-presenter"']);
  });
});

describe('a connected device', () => {
  test('learns that a bound token is good, as the command says', async () => {
    const token = await world.token();
    const found = await check(token.value.expose(), 'ekg-7');
    // A token for another audience is not active.
    expect(found).toMatchObject({ accepted: false, code: 'jwt_audience_mismatch', status: 3 });
    const answer = await askOverHttp(world.hub, await shown(token), ekg);
    expect(answer.body).toMatchObject({ active: false, latchkey: { code: 'jwt_audience_mismatch' } });
  });

  test.each([
    ['that takes no bearer tokens', 'ekg-7', { accepted: false, code: 'confirmation_missing' }],
    ['that takes bearer tokens', 'ekg-8', { accepted: true }],
  ])('%s', async (_, device, expected) => {
    const jwt = issuer.sign({ aud: `https://${device}.devices.example`, scope: 'read' });
    const found = await check(jwt, device);
    expect(found).toMatchObject(expected);
    const by = device === 'ekg-7' ? ekg : bearer;
    const question = {
      token: new Secret(jwt),
      proof: undefined,
      wantsSessionKey: false,
      clientFormat: 'jose',
    } as const;
    const answer = await askOverHttp(world.hub, question as never, by);
    expect(answer.body.active).toBe(expected.accepted);
    // No size is named for a device to which no token goes.
    expect(found.steps.find(({ step }) => step === 'size')?.says).toBe(found.accepted ? 'no limit' : '');
  });

  test('is told that the server is asked about an opaque token', async () => {
    const { jwt: opaque } = await issueToken(world.as, { resource: EKG_AUDIENCE });
    const found = await check(opaque, 'ekg-7');
    expect(found).toMatchObject({ accepted: false, code: 'token_opaque', status: 3 });
    expect(found.reason).toContain('introspection');
  });
});

test('the keys are those that the hub holds while the server is away, and those that it has kept once it has ended', async () => {
  const token = (await world.token()).value.expose();
  await world.switchOffAs();
  expect(await check(token, 'tube-1')).toMatchObject({ accepted: true, status: 0 });
  await world.hub.stop();
  expect(await check(token, 'tube-1')).toMatchObject({ accepted: true, status: 0 });
});

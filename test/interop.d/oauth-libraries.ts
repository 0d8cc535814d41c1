/** OAuth libraries of another language at the built hub: a client that delivers, and a resource server that asks. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import {
  EKG_AUDIENCE,
  HUB_CLIENT,
  issueToken,
  MACHINE_CLIENT,
  revokeToken,
  startAuthorizationServer,
  TUBE_AUDIENCE,
} from '../fixtures/authorization-server.ts';
import { Report } from './report.ts';
import { using } from './using.ts';
import { Ward } from './ward.ts';

type Answer = Readonly<Record<string, unknown>>;
type Ask = (command: string, ...args: readonly string[]) => Promise<Answer>;
type Server = Awaited<ReturnType<typeof startAuthorizationServer>>;

/** Milliseconds for one command of the peer. */
const DEADLINE = 40_000;

export interface Libraries {
  /** Of the suite, of the client and of the resource server. */
  readonly names: { readonly suite: string; readonly client: string; readonly server: string };
  /** A program that runs `deliver`, `read` and `protect`, as python-oauth/python_side.py describes them. */
  readonly program: string;
  readonly args: readonly string[];
}

function peer({ program, args: first }: Libraries): Ask {
  return async (command, ...args) => {
    const { stdout } = await promisify(execFile)(program, [...first, command, ...args], { timeout: DEADLINE });
    return JSON.parse(stdout) as Answer;
  };
}

async function clientCases(report: Report, client: string, ask: Ask, as: Server, ward: Ward): Promise<void> {
  const endpoint = `${ward.address}/devices/tube-1/authz-info`;
  const { id, secret } = MACHINE_CLIENT;

  const read = (signer: 'own' | 'other') => ask('read', as.issuer, id, secret, 'read', TUBE_AUDIENCE, endpoint, signer);

  await report.check(`${client} has its DPoP token delivered, and reads from the device with its key`, async () => {
    await ward.plugIn();
    assert.deepEqual(await read('own'), {
      status: 200,
      device_code: '2.05',
      verified: true,
      reading: { milliCelsius: 36_600 },
    });
  });

  await report.check(`the device answers no request that ${client} signs with another key`, async () => {
    assert.deepEqual(await read('other'), { status: 403, code: 'device_refused_request' });
  });

  await report.check(`a token of ${client} for another device is refused`, async () => {
    const { status } = await ask('deliver', as.issuer, id, secret, 'read', EKG_AUDIENCE, endpoint);
    assert.equal(status, 401);
  });
}

async function serverCases(report: Report, server: string, ask: Ask, as: Server, ward: Ward): Promise<void> {
  const protect = (token: string, scope = 'read') =>
    ask(
      'protect',
      `${ward.address}/introspect`,
      ward.credentials.device,
      ward.credentials.httpSecret.expose(),
      token,
      scope,
    );
  const bearer = async () => (await issueToken(as, { resource: EKG_AUDIENCE, bound: false })).jwt;

  await report.check(`${server} takes a bearer token that the hub says is active`, async () => {
    assert.deepEqual(await protect(await bearer()), { outcome: 'taken', scope: 'read' });
  });

  await report.check(`${server} refuses it for a scope that it does not have`, async () => {
    assert.deepEqual(await protect(await bearer(), 'configure'), { outcome: 'insufficient_scope' });
  });

  await report.check(`${server} refuses a token that its client revoked`, async () => {
    const token = await bearer();
    await revokeToken(as, token);
    assert.deepEqual(await protect(token), { outcome: 'invalid_token' });
  });

  await report.check(`${server} hears of an error where the authorization server is away`, async () => {
    const token = await bearer();
    await as.close();
    assert.deepEqual(await protect(token), { outcome: 'unavailable' });
  });
}

export async function tryLibraries(libraries: Libraries): Promise<boolean> {
  const { names } = libraries;
  const report = new Report(names.suite);
  const ask = peer(libraries);
  let isAway = false;
  await using(
    async () => {
      const as = await startAuthorizationServer();
      const end = as.close.bind(as);
      // The last case ends it, and so does the end of the run.
      return Object.assign(as, {
        close: async () => {
          if (isAway) return;
          isAway = true;
          await end();
        },
      });
    },
    async (as) => {
      await using(
        () =>
          Ward.open({
            issuers: `[[issuers]]\nissuer = "${as.issuer}"\nclient_id = "${HUB_CLIENT.id}"\nclient_secret_file = "secret"\n`,
            credential: { file: 'secret', content: HUB_CLIENT.secret },
            audiences: { tube: TUBE_AUDIENCE, ekg: EKG_AUDIENCE },
            ekgOptions: ['--bearer'],
          }),
        async (ward) => {
          await clientCases(report, names.client, ask, as, ward);
          await serverCases(report, names.server, ask, as, ward);
        },
      );
    },
  );
  return report.isGood;
}

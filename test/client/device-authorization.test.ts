import { decodeJwt } from 'jose';
import { afterEach, describe, expect, test } from 'vitest';
import { AuthorizationServer } from '../../src/client/authorization-server.ts';
import { DpopKey } from '../../src/client/dpop-key.ts';
import { type ClientEnvironment, systemEnvironment } from '../../src/client/environment.ts';
import {
  type DemoAuthorizationServer,
  startAuthorizationServer,
  TUBE_AUDIENCE,
} from '../fixtures/authorization-server.ts';
import { decide } from '../fixtures/device-page.ts';
import { drive, json, type Script } from './scripted-hub.ts';
import { scriptedServer, TOKEN } from './scripted-server.ts';

const REQUEST = { scope: 'read', resource: 'coap://tube-1', audience: 'tubes' } as const;
const DEVICE_CODE = {
  device_code: 'dc-canary',
  user_code: 'WDJB-MJHT',
  verification_uri: 'https://as.example/go',
  expires_in: 600,
} as const;
const says = (error: string, headers = {}) => json(400, { error }, headers);
const pending = () => says('authorization_pending');
const unreachable = () => {
  throw new TypeError('fetch failed', { cause: Object.assign(new Error(), { code: 'ECONNRESET' }) });
};

/** Polls to the end; answers with what came of it, and the seconds at which the server was asked. */
async function poll(answers: Script, code: object = DEVICE_CODE, signal?: AbortSignal) {
  const times: number[] = [];
  const timed: Script = answers.map((answer) => (asked) => {
    times.push(time.monotonic() / 1_000);
    return answer(asked);
  });
  const { server, time, asked } = await scriptedServer([() => json(200, code), ...timed]);
  const begun = await server.startDeviceAuthorization(REQUEST);
  const outcome = await drive(
    time,
    server.finishDeviceAuthorization(begun, signal === undefined ? {} : { signal }).catch((thrown: unknown) => thrown),
  );
  return { begun, outcome, times, asked: asked(), time };
}

describe('the device authorization grant', () => {
  test('shows code and address, and asks with what the token is for', async () => {
    const complete = { ...DEVICE_CODE, verification_uri_complete: 'https://as.example/go?c=WDJB-MJHT' };
    const { begun, outcome, asked } = await poll([() => json(200, TOKEN)], complete);
    expect(begun).toMatchObject({
      userCode: 'WDJB-MJHT',
      verificationUri: 'https://as.example/go',
      verificationUriComplete: 'https://as.example/go?c=WDJB-MJHT',
      expiresAt: 1_700_000_600,
      interval: 5,
    });
    expect(JSON.stringify(begun)).not.toContain('canary');
    expect(outcome).toMatchObject({ scheme: 'Bearer', expiresAt: 1_700_000_605 });
    expect(Object.fromEntries(asked[0] ?? [])).toMatchObject({
      scope: 'read',
      resource: 'coap://tube-1',
      audience: 'tubes',
    });
    expect(Object.fromEntries(asked[1] ?? [])).toEqual({
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      device_code: 'dc-canary',
      resource: 'coap://tube-1',
      client_id: 'ekg-17',
      client_secret: 'secret-of-canary',
    });
  });

  test.each([
    ['waits the interval before each question', [pending, pending], {}, [5, 10, 15]],
    ['waits the interval that the server names', [pending], { interval: 2 }, [2, 4]],
    ['asks 5 s later from slow_down on', [() => says('slow_down'), pending], {}, [5, 15, 25]],
    ['asks at half the rate from each lost connection on', [unreachable, unreachable, pending], {}, [5, 15, 35, 55]],
    ['asks at half the rate of a server that fails', [() => json(503, {})], {}, [5, 15]],
    ['waits as long as the server says', [() => json(503, {}, { 'retry-after': '30' }), pending], {}, [5, 35, 45]],
  ])('%s', async (_, answers, more, expected) => {
    const { times } = await poll([...answers, () => json(200, TOKEN)], { ...DEVICE_CODE, ...more });
    expect(times).toEqual(expected);
  });

  test.each(['access_denied', 'expired_token', 'invalid_grant'])('ends with %s', async (error) => {
    const { outcome, times } = await poll([pending, () => says(error)]);
    expect(outcome).toMatchObject({ code: 'client_token_refused', oauthError: error, status: 400 });
    expect(times).toHaveLength(2);
  });

  test('ends with the code, and asks no more', async () => {
    const { outcome, times, time } = await poll([pending, pending], { ...DEVICE_CODE, expires_in: 12 });
    expect(outcome).toMatchObject({ code: 'client_token_refused', oauthError: 'expired_token', status: undefined });
    expect(times).toEqual([5, 10]);
    expect(time.monotonic()).toBeLessThan(13_000);
  });

  test('ends when the caller cancels it, and leaves no timer', async () => {
    const { server, time } = await scriptedServer([() => json(200, DEVICE_CODE)]);
    const abort = new AbortController();
    const begun = await server.startDeviceAuthorization(REQUEST);
    const polling = server.finishDeviceAuthorization(begun, { signal: abort.signal });
    abort.abort();
    await expect(polling).rejects.toMatchObject({ code: 'client_cancelled' });
    expect(time.pendingTimers).toBe(0);
  });

  test('does not begin where it was cancelled before', async () => {
    const { outcome, times } = await poll([], DEVICE_CODE, AbortSignal.abort());
    expect(outcome).toMatchObject({ code: 'client_cancelled' });
    expect(times).toEqual([]);
  });
});

describe('a real server', () => {
  const started: DemoAuthorizationServer[] = [];
  afterEach(async () => {
    await Promise.all(started.splice(0).map((as) => as.close()));
  });

  /** Pauses are short here, deadlines are not. */
  const hurried: ClientEnvironment = {
    ...systemEnvironment,
    timers: {
      after: (milliseconds, action) =>
        systemEnvironment.timers.after(milliseconds < 30_000 ? milliseconds / 50 : milliseconds, action),
    },
  };

  async function begin() {
    const as = await startAuthorizationServer({ clients: [{ id: 'terminal', hasNoBrowser: true, refreshes: true }] });
    started.push(as);
    const server = await AuthorizationServer.discover({
      issuer: as.issuer,
      clientId: 'terminal',
      authentication: { method: 'none' },
      environment: hurried,
    });
    const key = await DpopKey.generate();
    return {
      as,
      key,
      server,
      begun: await server.startDeviceAuthorization({ scope: 'read', resource: TUBE_AUDIENCE, key }),
    };
  }

  test('gives a token for the person once the person has confirmed', async () => {
    const { as, server, begun, key } = await begin();
    const finishing = server.finishDeviceAuthorization(begun);
    while (as.requests('/token') === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    await decide(begun.verificationUriComplete ?? '', 'confirm');
    const token = await finishing;
    expect(decodeJwt(token.value.expose())).toMatchObject({
      sub: 'doctor',
      aud: TUBE_AUDIENCE,
      cnf: { jkt: key.thumbprint },
    });
    const next = await server.refresh(token.refreshToken);
    expect(decodeJwt(next.value.expose())).toMatchObject({ sub: 'doctor', cnf: { jkt: key.thumbprint } });
  });

  test('gives none once the person has refused', async () => {
    const { server, begun } = await begin();
    await decide(begun.verificationUriComplete ?? '', 'abort').catch(() => undefined);
    await expect(server.finishDeviceAuthorization(begun)).rejects.toMatchObject({
      code: 'client_token_refused',
      oauthError: 'access_denied',
    });
  });
});

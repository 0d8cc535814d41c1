/** One hostile issuer among several, on a board that does not know the time yet: what it can do to the others. */
import { beforeEach, describe, expect, test } from 'vitest';
import { utf8 } from '../../src/core/bytes.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import type { AuthorizationServer } from '../../src/ports/authorization-server.ts';
import { issuerPolicy } from '../../src/trust/issuer-policy.ts';
import { Issuers } from '../../src/trust/issuers.ts';
import { recordKey } from '../../src/trust/key-record.ts';
import { TimeFloor } from '../../src/trust/time-floor.ts';
import { verifyJwt } from '../../src/trust/verify-jwt.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { FaultyStore } from '../fakes/faulty-store.ts';
import { QuietLog } from '../fakes/quiet-log.ts';
import { signingKey, signJwt } from '../fixtures/jwt-signing.ts';
import { rejection } from '../fixtures/key-cache-rig.ts';

const NOW = 1_800_000_000;
const DAY = 86_400;
const RELEASED = NOW - 100 * DAY;
const YEAR_2099 = 4_090_000_000;
const GOOD = 'https://good.example';
const HOSTILE = 'https://hostile.example';
const key = signingKey('P-256', 'k1');

class Board {
  readonly store = new FaultyStore();
  system = NOW;
  synchronised = false;
  unreachable: string | undefined;

  async boot() {
    const time = new FakeTime({ now: NOW });
    const log = new QuietLog();
    const clock = await TimeFloor.open({
      store: this.store,
      observe: () => ({
        systemSeconds: this.system,
        synchronised: this.synchronised,
        hasBatteryClock: false,
        isDeviceTreeBoard: true,
      }),
      monotonic: () => time.monotonic(),
      timers: time,
      log,
      mode: 'auto',
      initial: RELEASED,
    });
    const issuers = new Issuers({
      policies: [GOOD, HOSTILE].map((issuer) => issuerPolicy({ issuer, source: { kind: 'discovery' } })),
      connect: ({ issuer }) => this.#server(issuer),
      store: this.store,
      clock,
      timers: time,
      random: time,
      log,
    });
    await issuers.start();
    const verify = (issuer: string, claims: object) =>
      rejection(
        verifyJwt(token(issuer, claims), {
          issuers,
          audience: 'tube',
          time: clock.now(),
          whenUnsure: 'deny',
          witness: (moment) => clock.witness(moment),
        }),
      );
    return { clock, time, verify, close: () => issuers.close() };
  }

  confirmedAt(issuer: string): unknown {
    const bytes = this.store.entries.get(recordKey(issuer)) ?? utf8('{}');
    return (JSON.parse(Buffer.from(bytes).toString()) as { confirmed_at?: unknown }).confirmed_at;
  }

  #server(issuer: string): AuthorizationServer {
    return {
      get: async (url) => {
        if (this.unreachable === issuer) throw new LatchkeyError('as_unreachable');
        const document = url.endsWith('/jwks') ? { keys: [key.jwk] } : { issuer, jwks_uri: `${issuer}/jwks` };
        const body = utf8(JSON.stringify(document));
        const headers = { contentType: 'application/json', etag: undefined, cacheControl: undefined, age: undefined };
        return { kind: 'document', status: 200, body, ...headers };
      },
      post: () => Promise.reject(new LatchkeyError('as_unreachable')),
      close: async () => undefined,
    };
  }
}

function token(issuer: string, claims: object): string {
  const all = { iss: issuer, aud: 'tube', iat: NOW - 5, exp: NOW + 3_600, ...claims };
  return signJwt({
    key,
    header: { alg: 'ES256', typ: 'at+jwt', kid: 'k1' },
    claims: {},
    claimsText: JSON.stringify(all),
  });
}

let board: Board;
beforeEach(() => {
  board = new Board();
});

describe('a token of the far future', () => {
  test.each([
    ['for another audience', { aud: 'pump' }],
    ['for this audience', {}],
  ])('%s leaves the floor where it is', async (_name, claims) => {
    const { clock, verify } = await board.boot();
    await verify(HOSTILE, { iat: YEAR_2099, exp: YEAR_2099 + 60, ...claims });
    expect(clock.now()).toEqual({ earliest: RELEASED, latest: undefined });
  });
});

describe('a witness as far ahead as is believed', () => {
  const ahead = { iat: RELEASED + 366 * DAY, exp: RELEASED + 366 * DAY + 60 };

  test('does not date the keys of another issuer into the future', async () => {
    const { verify } = await board.boot();
    await verify(HOSTILE, ahead);
    await verify(GOOD, {});
    expect(board.confirmedAt(GOOD)).toBe(RELEASED);
  });

  test('does not lengthen the offline limit of another issuer', async () => {
    const first = await board.boot();
    await first.verify(HOSTILE, ahead);
    await first.verify(GOOD, {});
    board.synchronised = true;
    expect(await first.verify(GOOD, {})).toBe('none');
    await first.close();
    expect(board.confirmedAt(GOOD)).toBe(NOW);
    board.unreachable = GOOD;
    for (const [days, code] of [
      [29, 'none'],
      [31, 'keys_too_old'],
      [400, 'keys_too_old'],
    ] as const) {
      board.system = NOW + days * DAY;
      const { verify } = await board.boot();
      expect(await verify(GOOD, { iat: board.system, exp: board.system + 60 })).toBe(code);
    }
  });
});

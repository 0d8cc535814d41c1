import { describe, expect, test } from 'vitest';
import { type AccessToken, bearerToken } from '../../src/client/access-token.ts';
import { systemEnvironment } from '../../src/client/environment.ts';
import { TokenKeeper } from '../../src/client/token-keeper.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import { FakeTime } from '../fakes/fake-time.ts';

const START = 1_700_000_000;

/** Tokens t-1, t-2 … that live `life` seconds. */
function keeper(life: number | undefined, first?: AccessToken) {
  const time = new FakeTime({ now: START });
  const olds: (AccessToken | undefined)[] = [];
  let failure: Error | undefined;
  const kept = new TokenKeeper({
    environment: { ...systemEnvironment, clock: time },
    async renew(old) {
      olds.push(old);
      await Promise.resolve();
      if (failure !== undefined) throw failure;
      const expiresAt = life === undefined ? undefined : time.now().earliest + life;
      return { ...bearerToken(`t-${olds.length}`), expiresIn: life, expiresAt };
    },
    ...(first === undefined ? {} : { token: first }),
  });
  return {
    time,
    olds,
    kept,
    value: async (validFor?: number) => (await kept.token(validFor === undefined ? {} : { validFor })).value.expose(),
    fail: (code: ConstructorParameters<typeof LatchkeyError>[0] | undefined) => {
      failure = code === undefined ? undefined : new LatchkeyError(code);
    },
  };
}

describe('a token', () => {
  test('comes with the first question, and serves while it has time left', async () => {
    const { time, value, olds } = keeper(600);
    expect(await value()).toBe('t-1');
    time.skip(539_000);
    expect(await value()).toBe('t-1');
    expect(olds).toEqual([undefined]);
  });

  test('is renewed before it expires, from the one before', async () => {
    const { time, value, olds } = keeper(600);
    await value();
    time.skip(541_000);
    expect(await value()).toBe('t-2');
    expect(olds[1]?.value.expose()).toBe('t-1');
  });

  test('is renewed for a caller who needs it for longer', async () => {
    const { time, value } = keeper(600);
    await value();
    time.skip(301_000);
    expect(await value(250)).toBe('t-1');
    expect(await value(300)).toBe('t-2');
  });

  test('that never lives so long is renewed at half its life, not with every question', async () => {
    const { time, value } = keeper(40);
    expect(await value()).toBe('t-1');
    expect(await value(3_600)).toBe('t-1');
    time.skip(21_000);
    expect(await value()).toBe('t-2');
  });

  test('without an end serves until it is renewed', async () => {
    const { time, value, kept } = keeper(undefined);
    await value();
    time.skip(1e9);
    expect(await value()).toBe('t-1');
    await kept.renew();
    expect(await value()).toBe('t-2');
  });

  test('that was handed in serves first', async () => {
    const first = { ...bearerToken('t-0'), expiresAt: START + 100, expiresIn: 600 };
    const { time, value } = keeper(600, first);
    expect(await value()).toBe('t-0');
    time.skip(50_000);
    expect(await value()).toBe('t-1');
  });

  test('is asked for once by all who come meanwhile', async () => {
    const { kept, olds } = keeper(600);
    const all = await Promise.all([kept.token(), kept.token(), kept.renew(), kept.token()]);
    expect(new Set(all.map(({ value }) => value.expose()))).toEqual(new Set(['t-1']));
    expect(olds).toHaveLength(1);
  });
});

describe('where no new token can be had', () => {
  test.each(['client_unreachable', 'client_server_failed'] as const)(
    'at present (%s), the old one serves until its end',
    async (code) => {
      const { time, value, fail } = keeper(600);
      await value();
      time.skip(590_000);
      fail(code);
      expect(await value()).toBe('t-1');
      time.skip(10_000);
      await expect(value()).rejects.toMatchObject({ code });
      fail(undefined);
      expect(await value()).toBe('t-4');
    },
  );

  test('for good, the caller learns so', async () => {
    const { time, value, fail } = keeper(600);
    await value();
    time.skip(590_000);
    fail('client_token_refused');
    await expect(value()).rejects.toMatchObject({ code: 'client_token_refused' });
  });
});

test.each([
  ['no function', { renew: undefined }, 'renew: not a function'],
  [
    'a token as text',
    { renew: async () => bearerToken('t'), token: 'canary' },
    'token: text; use dpopToken(text, key) or bearerToken(text)',
  ],
  ['nothing', undefined, 'options: not an object'],
])('%s is refused', (_, options, detail) => {
  expect(() => new TokenKeeper(options as never)).toThrow(
    expect.objectContaining({ code: 'client_argument_invalid', detail }),
  );
});

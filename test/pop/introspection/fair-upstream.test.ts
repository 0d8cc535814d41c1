/** One device, or what clients show to it, must not take the authorization server away from the others. */
import { describe, expect, test } from 'vitest';
import { LatchkeyError } from '../../../src/core/errors.ts';
import type { PostedAnswer } from '../../../src/ports/authorization-server.ts';
import { active, answer, type IntrospectorRig, introspectorRig, json } from '../../fixtures/introspector-rig.ts';
import { rejection } from '../../fixtures/key-cache-rig.ts';

type Reaction = PostedAnswer | LatchkeyError;
const busy = (seconds?: number) => answer('', { status: 429, retryAfter: seconds?.toString() });

/** An AS that answers all tokens but those that begin with "bad". */
function rigWith(reaction: () => Reaction, options: Parameters<typeof introspectorRig>[0] = {}): IntrospectorRig {
  const rig = introspectorRig(options);
  rig.server.react = ({ body }) => (body.startsWith('token=bad') ? reaction() : json(active()));
  return rig;
}

const badRequests = ({ server }: IntrospectorRig) => server.requests.filter(({ body }) => body.startsWith('token=bad'));

/**
 * 193 questions of three honest devices in 40 s, each about another token, while rogues ask 20 times a second.
 * @returns how many of the honest ones were answered
 */
async function honestUnder(rig: IntrospectorRig, rogues: readonly string[]): Promise<number> {
  let [served, asked, step] = [0, 0, 0];
  for (let elapsed = 0; elapsed < 40_000; elapsed += 50, step += 1) {
    for (const rogue of rogues) await rejection(rig.ask(`bad-${rogue}-${step}`, rogue));
    if (Math.floor((elapsed * 193) / 40_000) >= asked) {
      asked += 1;
      const result = await rejection(rig.ask(`good-${asked}`, `honest-${asked % 3}`));
      if (result === 'none') served += 1;
    }
    await rig.time.advance(50);
  }
  expect(asked).toBe(193);
  return served;
}

describe('a rogue device whose tokens make the AS fail', () => {
  test.each<[string, () => Reaction]>([
    ['500', () => answer('', { status: 500 })],
    ['429', () => busy()],
    ['429 with Retry-After', () => busy(30)],
    ['503 with Retry-After', () => answer('', { status: 503, retryAfter: '30' })],
    ['no answer', () => new LatchkeyError('as_timeout')],
    ['a connection that ends', () => new LatchkeyError('as_unreachable')],
  ])('by %s takes no answer from others, and asks little', async (_name, reaction) => {
    const rig = rigWith(reaction);
    expect(await honestUnder(rig, ['rogue'])).toBe(193);
    expect(rig.server.requests.length - badRequests(rig).length).toBe(193);
    // Five in a row, then after pauses of 1, 2, 4, 8 and 16 s. A question over a dead connection goes twice.
    expect(badRequests(rig).length).toBeLessThanOrEqual(20);
    expect(rig.introspector.status()).toMatchObject({ state: 'ready', failures: 0, slowed: 1 });
  });

  test('is refused with what the AS said of its own tokens, and is told when to try again', async () => {
    const rig = rigWith(() => answer('', { status: 500 }));
    for (let index = 0; index < 5; index += 1) await rejection(rig.ask(`bad-${index}`, 'rogue'));
    await expect(rig.ask('bad-6', 'rogue')).rejects.toMatchObject({
      code: 'introspection_suspended',
      detail: 'as_answer_refused',
      retryAfter: 2 - 1,
    });
    expect(rig.log.lines).toMatchObject([{ fields: { event: 'introspection_suspended', device: 'rogue' } }]);
  });

  test('fills the log no more than once a minute, however it goes on and off', async () => {
    const rig = rigWith(() => answer('', { status: 500 }));
    for (let round = 0; round < 20; round += 1) {
      for (let index = 0; index < 5; index += 1) await rejection(rig.ask(`bad-${round}-${index}`, 'rogue'));
      await rig.time.advance(1_000);
      await rig.ask(`good-${round}`, 'rogue');
    }
    expect(rig.log.lines.filter(({ level }) => level !== 'debug').length).toBeLessThanOrEqual(4);
  });

  test('does not take other devices along with a token that both ask about at once', async () => {
    const rig = rigWith(() => answer('', { status: 500 }));
    for (let index = 0; index < 5; index += 1) await rejection(rig.ask(`bad-${index}`, 'rogue'));
    const [paused, other] = await Promise.all([
      rejection(rig.ask('good', 'rogue')),
      rejection(rig.ask('good', 'honest')),
    ]);
    expect([paused, other]).toEqual(['introspection_suspended', 'none']);
  });

  test('takes no more than eight connections once it failed', async () => {
    const rig = introspectorRig();
    const give: ((answer: PostedAnswer) => void)[] = [];
    rig.server.react = ({ body }) =>
      body.startsWith('token=bad') ? new LatchkeyError('as_timeout') : new Promise((resolve) => give.push(resolve));
    await rejection(rig.ask('bad', 'rogue'));
    const slow = Array.from({ length: 20 }, (_, index) => rejection(rig.ask(`slow-${index}`, 'rogue')));
    await rig.time.advance(0);
    expect(give).toHaveLength(8);
    const honest = Array.from({ length: 20 }, (_, index) => rejection(rig.ask(`mine-${index}`, 'honest')));
    await rig.time.advance(0);
    expect(give).toHaveLength(28);
    for (const one of give) one(json({ active: false }));
    expect(new Set(await Promise.all(honest))).toEqual(new Set(['none']));
    expect((await Promise.all(slow)).filter((code) => code === 'introspection_overloaded')).toHaveLength(12);
  });
});

describe('several rogue devices', () => {
  test('two take no answer from others', async () => {
    const rig = rigWith(() => answer('', { status: 500 }));
    expect(await honestUnder(rig, ['rogue-1', 'rogue-2'])).toBe(193);
  });

  test('five bring a pause about, and others end it: nearly all are answered', async () => {
    const rig = rigWith(() => answer('', { status: 500 }));
    expect(await honestUnder(rig, ['rogue-1', 'rogue-2', 'rogue-3', 'rogue-4', 'rogue-5'])).toBeGreaterThan(160);
    expect(badRequests(rig).length).toBeLessThan(100);
  });
});

describe('an AS that is away', () => {
  /** @returns questions that reached the AS in ten minutes, and how long after it was back all devices were served */
  async function outage(devices: number): Promise<{ asked: number; back: number }> {
    const rig = introspectorRig();
    let isAway = true;
    rig.server.react = () => (isAway ? new LatchkeyError('as_timeout') : json(active()));
    let token = 0;
    const round = async () => {
      const codes: string[] = [];
      for (let device = 0; device < devices; device += 1) {
        token += 1;
        codes.push(await rejection(rig.ask(`t-${token}`, `device-${device}`)));
      }
      return codes;
    };
    for (let second = 0; second < 600; second += 1) {
      await round();
      await rig.time.advance(1_000);
    }
    expect(rig.introspector.status()).toMatchObject({ state: 'suspended', lastError: 'as_timeout' });
    const asked = rig.server.requests.length;
    isAway = false;
    let back = 0;
    while ((await round()).some((code) => code !== 'none')) {
      back += 1;
      await rig.time.advance(1_000);
    }
    return { asked, back };
  }

  test.each([1, 2, 3, 20])('is spared, and is asked again within a minute: %i devices', async (devices) => {
    const { asked, back } = await outage(devices);
    expect(asked).toBeLessThanOrEqual(devices < 3 ? devices * 20 : 40);
    expect(back).toBeLessThanOrEqual(62);
  });
});

describe('an AS that asks for a pause', () => {
  test('gets it from the device that it told, at once, and for as long as it says', async () => {
    const rig = introspectorRig();
    rig.server.react = () => busy(30);
    await expect(rig.ask('a', 'pump-1')).rejects.toMatchObject({ code: 'as_busy', retryAfter: 30 });
    expect(await rejection(rig.ask('b', 'pump-1'))).toBe('introspection_suspended');
    rig.server.react = () => json(active());
    expect(await rejection(rig.ask('c', 'pump-2'))).toBe('none');
    await rig.time.advance(29_999);
    expect(await rejection(rig.ask('d', 'pump-1'))).toBe('introspection_suspended');
    await rig.time.advance(1);
    expect(await rejection(rig.ask('e', 'pump-1'))).toBe('none');
  });

  test('keeps it though answers to earlier questions come in the meantime', async () => {
    const rig = introspectorRig();
    const give: ((answer: PostedAnswer) => void)[] = [];
    rig.server.react = () => new Promise((resolve) => give.push(resolve));
    const early = ['pump-1', 'pump-2'].map((device) => rejection(rig.ask(`early of ${device}`, device)));
    await rig.time.advance(0);
    rig.server.react = () => busy(30);
    for (const device of ['pump-1', 'pump-2']) await rejection(rig.ask(`busy of ${device}`, device));
    for (const one of give) one(json(active()));
    expect(await Promise.all(early)).toEqual(['none', 'none']);
    rig.server.react = () => json(active());
    await rig.time.advance(29_999);
    for (const device of ['pump-1', 'pump-2', 'pump-3']) {
      expect(await rejection(rig.ask(`later of ${device}`, device))).toBe('introspection_suspended');
    }
    await rig.time.advance(1);
    expect(await rejection(rig.ask('after it', 'pump-3'))).toBe('none');
  });

  test('gets it from all when it told a second device', async () => {
    const rig = introspectorRig();
    rig.server.react = () => busy(30);
    await rejection(rig.ask('a', 'pump-1'));
    await rejection(rig.ask('b', 'pump-2'));
    rig.server.react = () => json(active());
    for (let second = 0; second < 30; second += 1) {
      expect(await rejection(rig.ask(`c-${second}`, 'pump-3'))).toBe('introspection_suspended');
      await rig.time.advance(1_000);
    }
    expect(rig.server.requests).toHaveLength(2);
    expect(await rejection(rig.ask('d', 'pump-3'))).toBe('none');
    expect(await rejection(rig.ask('e', 'pump-1'))).toBe('none');
  });

  test('gets five minutes at most, though it says a day', async () => {
    const rig = introspectorRig();
    rig.server.react = () => busy(86_400);
    await rejection(rig.ask('a', 'pump-1'));
    rig.server.react = () => json(active());
    await rig.time.advance(300_000);
    expect(await rejection(rig.ask('b', 'pump-1'))).toBe('none');
  });

  test('makes no old verdict serve: a device that asks too much could bring that about', async () => {
    const rig = introspectorRig({ staleGrace: 3_600 });
    rig.server.react = () => json(active());
    await rig.ask('stolen', 'honest');
    await rig.time.advance(60_000);
    rig.server.react = () => busy(30);
    expect(await rejection(rig.ask('stolen', 'honest'))).toBe('as_busy');
    expect(await rejection(rig.ask('stolen', 'honest'))).toBe('introspection_suspended');
    expect(rig.server.requests).toHaveLength(2);
  });

  test('because one device floods it has that device wait for longer than the others', async () => {
    const rig = introspectorRig();
    let inThisSecond = 0;
    // 40 questions a second for the hub as a whole, as real servers count by client.
    rig.server.react = () => {
      inThisSecond += 1;
      return inThisSecond > 40 ? busy(2) : json({ active: false });
    };
    let [served, asked] = [0, 0];
    for (let second = 0; second < 300; second += 1) {
      inThisSecond = 0;
      for (let question = 0; question < 100; question += 1) {
        await rejection(rig.ask(`flood-${second}-${question}`, 'rogue'));
        if (question % 20 !== 0) continue;
        asked += 1;
        if ((await rejection(rig.ask(`mine-${second}-${question}`, `honest-${asked % 3}`))) === 'none') served += 1;
      }
      await rig.time.advance(1_000);
    }
    expect(asked).toBe(1_500);
    expect(served).toBeGreaterThan(1_300);
  });
});

describe('a revoked token does not count on', () => {
  /** A token that was active, is revoked at the AS by now, and whose verdict is old; the operator allows a grace. */
  async function revoked(reaction: () => Reaction) {
    const rig = introspectorRig({ staleGrace: 3_600 });
    let isRevoked = false;
    rig.server.react = ({ body }) => {
      if (body.startsWith('token=bad')) return reaction();
      return json(isRevoked ? { active: false } : active());
    };
    await rig.ask('stolen', 'honest');
    isRevoked = true;
    await rig.time.advance(60_000);
    return rig;
  }

  test.each<[string, () => Reaction]>([
    ['500', () => answer('', { status: 500 })],
    ['no answer', () => new LatchkeyError('as_timeout')],
  ])('at others while a rogue device is paused: %s', async (_name, reaction) => {
    const rig = await revoked(reaction);
    for (let index = 0; index < 50; index += 1) await rejection(rig.ask(`bad-${index}`, 'rogue'));
    expect(await rig.ask('stolen', 'honest')).toMatchObject({ active: false, code: 'token_inactive' });
  });

  test('at the very device that a client has brought a pause over', async () => {
    const rig = await revoked(() => answer('', { status: 500 }));
    for (let index = 0; index < 50; index += 1) await rejection(rig.ask(`bad-${index}`, 'honest'));
    expect(await rig.ask('stolen', 'honest')).toMatchObject({ active: false, code: 'token_inactive' });
  });

  test('while clients have brought a pause over all devices', async () => {
    const rig = await revoked(() => answer('', { status: 500 }));
    for (let index = 0; index < 5; index += 1) {
      for (const device of ['honest', 'pump-1', 'pump-2', 'pump-3'])
        await rejection(rig.ask(`bad-${device}-${index}`, device));
    }
    expect(rig.introspector.status().state).toBe('suspended');
    expect(await rig.ask('stolen', 'pump-9')).toMatchObject({ active: false, code: 'token_inactive' });
  });
});

import { beforeEach, describe, expect, it } from 'vitest';
import { codeNumber } from '../../src/codec/coap/codes.ts';
import { deriveDeviceKey } from '../../src/codec/device-keys.ts';
import { makeTimeAnswer, readTimeQuery } from '../../src/codec/time-answer.ts';
import type { CoapRequest, CoapResponse } from '../../src/core/coap-exchange.ts';
import { Secret } from '../../src/core/secret.ts';
import { HubTime } from '../../src/sim/hub-time.ts';
import { FakeTime } from '../fakes/fake-time.ts';

const BUILT = 1_577_836_800;
const NOW = 1_795_490_445;
const { key } = deriveDeviceKey(new Secret(new Uint8Array(32).fill(7)), 'time', 'HMAC 256/64');

let time: FakeTime;
let clock: HubTime;
let asked: CoapRequest[];

beforeEach(() => {
  time = new FakeTime();
  asked = [];
  clock = new HubTime({ device: 'tube-1', key, monotonic: () => time.monotonic(), random: time, builtAt: BUILT });
});

/** A hub that takes so many milliseconds each way. */
const hub =
  (present: number, delay = 0) =>
  async (request: CoapRequest): Promise<CoapResponse> => {
    asked.push(request);
    await time.advance(delay);
    const question = readTimeQuery(request.query ?? []);
    const payload = makeTimeAnswer({ ...question, key, time: present });
    await time.advance(delay);
    return { code: codeNumber('2.05'), payload };
  };

describe('a device that asks its hub for the time', () => {
  it('knows nothing but when its firmware was built, until it is answered', () => {
    expect(clock.now()).toEqual({ earliest: BUILT, latest: undefined });
  });

  it('knows it from then on, and counts on', async () => {
    await clock.ask(hub(NOW));
    expect(clock.now()).toEqual({ earliest: NOW - 1, latest: NOW });
    await time.advance(100_000);
    expect(clock.now()).toEqual({ earliest: NOW + 98, latest: NOW + 101 });
  });

  it('reckons with the time that question and answer took', async () => {
    await clock.ask(hub(NOW, 2_000));
    expect(clock.now()).toEqual({ earliest: NOW - 1, latest: NOW + 5 });
  });

  it('asks with a nonce of its own each time', async () => {
    await clock.ask(hub(NOW));
    await clock.ask(hub(NOW));
    const nonces = asked.map(({ query }) => query?.[1]);
    expect(new Set(nonces).size).toBe(2);
  });

  it('does not know it any more a day later, and never goes back', async () => {
    await clock.ask(hub(NOW));
    await time.advance(86_000_000);
    const { earliest } = clock.now();
    await time.advance(400_001);
    expect(clock.now()).toEqual({ earliest, latest: undefined });
    await clock.ask(hub(NOW - 1_000));
    expect(clock.now()).toEqual({ earliest, latest: earliest });
  });

  it.each([
    ['a refusal', async () => ({ code: codeNumber('5.03'), payload: new Uint8Array(0) }), 'device_answer_invalid'],
    [
      'an answer to a question of the past',
      async () => ({
        code: codeNumber('2.05'),
        payload: makeTimeAnswer({ device: 'tube-1', nonce: new Uint8Array(8), key, time: NOW - 86_400 }),
      }),
      'cose_verification_failed',
    ],
  ])('takes no time from %s', async (_, answer, code) => {
    await expect(clock.ask(answer)).rejects.toMatchObject({ code });
    expect(clock.now().latest).toBeUndefined();
  });
});

import { beforeEach, describe, expect, it } from 'vitest';
import { COAP_CODE, COAP_METHOD } from '../../../src/codec/iana.ts';
import { EMPTY } from '../../../src/core/bytes.ts';
import type { CoapResponse } from '../../../src/core/coap-exchange.ts';
import { coded } from '../../../src/core/errors.ts';
import { FakeAir } from '../../fakes/fake-air.ts';
import { FakeTime } from '../../fakes/fake-time.ts';

const DEADLINE = 5_000;
let time: FakeTime;
let air: FakeAir;

beforeEach(() => {
  time = new FakeTime();
  air = new FakeAir(time);
});

const answering = (code: number) => async (): Promise<CoapResponse> => ({ code, payload: EMPTY });
const created = answering(COAP_CODE.created);
const silent = () => new Promise<CoapResponse>(() => undefined);

/** One request, to its answer or the code of why there is none. Who is on the air advertises all the while. */
async function ask(options: { readonly samePeer?: boolean } = {}): Promise<number | string> {
  let outcome: number | string | undefined;
  air.advertise();
  const request = { method: COAP_METHOD.POST, path: ['authz-info'], payload: EMPTY };
  air.link.request(request, { deadline: DEADLINE, ...options }).then(
    ({ code }) => {
      outcome = code;
    },
    (error) => {
      outcome = coded(error).code;
    },
  );
  for (let waited = 0; outcome === undefined && waited <= DEADLINE; waited += 100) {
    await time.advance(100);
    air.advertise();
  }
  return outcome ?? 'no outcome';
}

/** Milliseconds until the listeners are told of the name again, which is heard ten times a second. */
async function pause(): Promise<number> {
  let told = false;
  const stop = air.link.onSighting(() => {
    told = true;
  });
  // Until the next call, and from there to the one after it.
  const next = async () => {
    told = false;
    for (let waited = 100; waited <= 120_000; waited += 100) {
      await time.advance(100);
      air.advertise();
      if (told) return waited;
    }
    throw new Error('nobody is told any more');
  };
  await next();
  const waited = await next();
  stop();
  return waited;
}

/** So many attempts to connect to the one that is there, in vain. */
async function fails(times: number): Promise<void> {
  air.put('a', undefined);
  const before = air.counters.connectFailed;
  while (air.counters.connectFailed < before + times) await ask();
  // It is set aside for no longer than that.
  await time.advance(30_000);
}

describe('how often a name is told of that is heard all the time', () => {
  it('is seldom after troubles, and an answer that proves nothing changes nothing about it', async () => {
    await fails(5);
    const troubled = await pause();
    expect(troubled).toBeGreaterThan(5_000);
    air.put('a', created);
    expect(await ask()).toBe(COAP_CODE.created);
    expect(await pause()).toBe(troubled);
  });

  it('is seldom where an impostor answers each time, and ever more so', async () => {
    air.put('a', created);
    const pauses: number[] = [];
    for (let round = 0; round < 4; round += 1) {
      expect(await ask()).toBe(COAP_CODE.created);
      air.link.proven(false);
      air.link.askAnew();
      pauses.push(await pause());
    }
    expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000]);
  });

  it.each([
    ['once the device has proven itself', true],
    ['where a device that cannot vouch for its answers has answered', undefined],
  ])('is often again %s', async (_, isProven) => {
    await fails(5);
    air.put('a', created);
    expect(await ask()).toBe(COAP_CODE.created);
    air.link.proven(isProven);
    expect(await pause()).toBe(1_000);
  });
});

describe('of two under one name', () => {
  it('the one that answers nothing is set aside by its address when it did not prove itself', async () => {
    air.put('impostor', silent);
    air.put('true', created);
    expect(await ask()).toBe('device_no_answer');
    air.link.proven(false);
    expect(air.link.isConnected).toBe(false);
    expect(await ask()).toBe(COAP_CODE.created);
    air.link.proven(true);
    expect(air.connected).toEqual(['impostor', 'true']);
  });

  it('nobody is set aside for a request that reached nobody', async () => {
    air.put('true', created);
    expect(await ask()).toBe(COAP_CODE.created);
    await time.advance(1_000);
    air.put('true', undefined);
    await ask();
    air.link.proven(false);
    expect(air.counters.unproven).toBe(0);
  });

  it('both are asked again where another secret is to be proven, the one that failed last', async () => {
    air.put('a', created);
    air.put('b', created);
    await ask();
    air.link.proven(false);
    await ask();
    air.link.proven(true);
    expect(air.connected).toEqual(['a', 'b']);
    air.link.askAnew();
    expect(air.sightings.candidates('tube-1', 60_000).map(({ address }) => address)).toEqual(['b', 'a']);
  });

  it('one alone that failed is asked again for another secret', async () => {
    air.put('a', created);
    await ask();
    air.link.proven(false);
    expect(await ask()).toBe('link_down');
    air.link.askAnew();
    expect(await ask()).toBe(COAP_CODE.created);
  });
});

describe('where several answer to the name', () => {
  const tried = () => air.sightings.candidates('tube-1', 120_000).map(({ address }) => address);
  let asked: string[];

  const recording = (address: string, answer: () => Promise<CoapResponse>) => () => {
    asked.push(address);
    return answer();
  };

  beforeEach(() => {
    asked = [];
    air.put('a', recording('a', created));
  });

  it('what goes on with an exchange is for whoever began it, who may still be asked', async () => {
    expect(await ask()).toBe(COAP_CODE.created);
    expect(await ask({ samePeer: true })).toBe(COAP_CODE.created);
    air.put('b', recording('b', created));
    air.hangUp();
    expect(await ask({ samePeer: true })).toBe(COAP_CODE.created);
    expect(asked).toEqual(['a', 'a', 'a']);
  });

  it('nobody else gets it, and who began it is the one that has failed', async () => {
    expect(await ask()).toBe(COAP_CODE.created);
    air.hangUp();
    air.put('a', undefined);
    air.put('b', recording('b', created));
    expect(await ask({ samePeer: true })).toBe('link_down');
    expect(asked).toEqual(['a']);
    air.link.proven(false);
    expect(tried()).toEqual(['b']);
  });

  it('who was asked and hung up is the one that has failed', async () => {
    air.put('a', () => {
      air.hangUp();
      return silent();
    });
    expect(await ask()).toBe('device_answer_lost');
    air.put('b', recording('b', created));
    air.advertise();
    air.link.proven(false);
    expect(tried()).toEqual(['b']);
  });

  it('whoever said what nobody vouches for comes last, and is not set aside', async () => {
    expect(await ask()).toBe(COAP_CODE.created);
    air.put('b', recording('b', created));
    air.link.doubted();
    expect(await ask()).toBe(COAP_CODE.created);
    expect(asked).toEqual(['a', 'b']);
    expect(tried()).toEqual(['b', 'a']);
  });

  it('whoever proved itself before keeps its place, though it was busy once', async () => {
    expect(await ask()).toBe(COAP_CODE.created);
    air.link.proven(true);
    air.put('b', recording('b', created));
    air.link.doubted();
    expect(await ask()).toBe(COAP_CODE.created);
    expect(asked).toEqual(['a', 'a']);
    expect(tried()).toEqual(['a', 'b']);
  });
});

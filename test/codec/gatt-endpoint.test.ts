import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_COAP_SETTINGS } from '../../src/codec/coap/settings.ts';
import { DEFAULT_GATT_SETTINGS } from '../../src/codec/gatt-endpoint.ts';
import { decodeGattMessage } from '../../src/codec/gatt-message.ts';
import { COAP_CODE, COAP_METHOD } from '../../src/codec/iana.ts';
import { EMPTY } from '../../src/core/bytes.ts';
import type { CoapRequest, CoapResponse } from '../../src/core/coap-exchange.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import { GattPair, type GattPairOptions } from '../fakes/gatt-pair.ts';

const DEADLINE = 60_000;
const post: CoapRequest = { method: COAP_METHOD.POST, path: ['authz-info'] };

function bytes(length: number): Uint8Array {
  return new Uint8Array(length).map((_, index) => index % 251);
}

function connected(options: GattPairOptions): GattPair {
  const pair = new GattPair(options);
  pair.connect();
  return pair;
}

async function settled(pair: GattPair, response: Promise<CoapResponse>): Promise<CoapResponse | string> {
  const outcome = response.catch((error: unknown) => (error instanceof LatchkeyError ? error.code : String(error)));
  await pair.time.advance(DEADLINE);
  return outcome;
}

/** A device that keeps what it is sent, and answers with `answer`. */
function keeper(answer: Uint8Array = EMPTY) {
  const bodies: Uint8Array[] = [];
  return {
    bodies,
    handler: async ({ payload }: CoapRequest): Promise<CoapResponse> => {
      bodies.push(payload ?? EMPTY);
      return { code: COAP_CODE.created, payload: answer };
    },
  };
}

describe('requests over a connection', () => {
  it('take one value each way, and one for the last acknowledgement', async () => {
    const device = keeper(bytes(40));
    const pair = connected({ handler: device.handler });
    const response = await settled(pair, pair.hub.request({ ...post, payload: bytes(300) }, { deadline: DEADLINE }));
    expect(response).toMatchObject({ code: COAP_CODE.created, payload: bytes(40) });
    expect(device.bodies).toEqual([bytes(300)]);
    expect(pair.sent.map(({ from, value }) => [from, decodeGattMessage(value).content !== undefined])).toEqual([
      ['hub', true],
      ['device', true],
      ['hub', false],
    ]);
  });

  it('carry any body up and any down, in values of 512 bytes and blocks of 256', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(3_000), fc.nat(3_000), async (up, down) => {
        const device = keeper(bytes(down));
        const pair = connected({ handler: device.handler });
        const response = pair.hub.request({ ...post, payload: bytes(up) }, { deadline: DEADLINE });
        expect(await settled(pair, response)).toMatchObject({ payload: bytes(down) });
        expect(device.bodies).toEqual([bytes(up)]);
        for (const { value } of pair.sent) expect(value.length).toBeLessThanOrEqual(512);
      }),
      { numRuns: 30 },
    );
  });

  it('stay inside smaller values where these are asked for', async () => {
    const device = keeper(bytes(700));
    const pair = connected({ handler: device.handler, settings: { maxValueBytes: 61 } });
    const response = pair.hub.request({ ...post, payload: bytes(700) }, { deadline: DEADLINE });
    expect(await settled(pair, response)).toMatchObject({ payload: bytes(700) });
    for (const { value } of pair.sent) expect(value.length).toBeLessThanOrEqual(61);
  });

  it('go both ways at once: the device may ask the hub', async () => {
    const pair = connected({ handler: keeper(bytes(10)).handler, hubHandler: keeper(bytes(20)).handler });
    const down = pair.hub.request({ ...post, payload: bytes(600) }, { deadline: DEADLINE });
    const up = pair.device.request({ ...post, path: ['introspect'], payload: bytes(600) }, { deadline: DEADLINE });
    expect(await settled(pair, down)).toMatchObject({ payload: bytes(10) });
    expect(await up).toMatchObject({ payload: bytes(20) });
    expect(pair.stalled).toEqual([]);
  });

  it('are acknowledged before a slow answer, and get it', async () => {
    const pair = connected({
      handler: () =>
        new Promise((resolve) => {
          pair.time.after(20_000, () => resolve({ code: COAP_CODE.content, payload: bytes(3) }));
        }),
    });
    expect(await settled(pair, pair.hub.request(post, { deadline: DEADLINE }))).toMatchObject({ payload: bytes(3) });
    expect(pair.stalled).toEqual([]);
    expect(decodeGattMessage(pair.sent[1]?.value ?? EMPTY).content).toBeUndefined();
  });

  it('are never sent twice on one connection', async () => {
    const pair = connected({ handler: () => new Promise(() => undefined) });
    void settled(pair, pair.hub.request(post, { deadline: DEADLINE }));
    await pair.time.advance(DEFAULT_COAP_SETTINGS.ackTimeout * 10);
    expect(pair.sent.filter(({ from, value }) => from === 'hub' && value.length > 1)).toHaveLength(1);
  });
});

describe('requests without a connection', () => {
  it('wait for one', async () => {
    const device = keeper();
    const pair = new GattPair({ handler: device.handler });
    const response = pair.hub.request(post, { deadline: DEADLINE });
    await pair.time.advance(5_000);
    expect(pair.sent).toHaveLength(0);
    pair.connect();
    expect(await settled(pair, response)).toMatchObject({ code: COAP_CODE.created });
  });

  it('end at their deadline', async () => {
    const pair = new GattPair();
    expect(await settled(pair, pair.hub.request(post, { deadline: 1_000 }))).toBe('device_no_answer');
  });

  it('end when no connection comes about, and later ones are taken', async () => {
    const pair = new GattPair({ handler: keeper().handler });
    const waiting = [1, 2].map(() => pair.hub.request(post, { deadline: DEADLINE }));
    const outcomes = Promise.allSettled(waiting);
    pair.hub.abandon(new LatchkeyError('link_down', 'not seen'));
    expect((await outcomes).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(pair.hub.isIdle).toBe(true);
    const later = pair.hub.request(post, { deadline: DEADLINE });
    pair.connect();
    expect(await settled(pair, later)).toMatchObject({ code: COAP_CODE.created });
  });
});

/** Loses the link under the message with this place, among those with content that `from` sends. */
function losing(from: 'hub' | 'device', place: number): NonNullable<GattPairOptions['fate']> {
  let seen = 0;
  return (sent) => {
    if (sent.from !== from || sent.value.length === 1) return 'carried';
    seen += 1;
    return seen === place ? 'lost' : 'carried';
  };
}

describe('a lost connection', () => {
  // 600 bytes are three blocks of 256, the last one with an effect.
  it.each([
    ['a block that did not arrive', 'hub', 2, 4],
    ['the answer to a block', 'device', 1, 4],
    ['the answer to a later block', 'device', 2, 4],
  ] as const)('under %s: the body goes on where it was', async (_, from, place, values) => {
    const device = keeper(bytes(9));
    const pair = connected({ handler: device.handler, fate: losing(from, place) });
    const response = pair.hub.request({ ...post, payload: bytes(600) }, { deadline: DEADLINE });
    await pair.time.advance(1_000);
    pair.connect();
    expect(await settled(pair, response)).toMatchObject({ code: COAP_CODE.created, payload: bytes(9) });
    expect(device.bodies).toEqual([bytes(600)]);
    expect(pair.sent.filter((sent) => sent.from === 'hub' && sent.value.length > 1)).toHaveLength(values);
  });

  it('under a block of the answer: the rest of it is fetched', async () => {
    const device = keeper(bytes(900));
    const pair = connected({ handler: device.handler, fate: losing('device', 3) });
    const response = pair.hub.request(post, { deadline: DEADLINE });
    await pair.time.advance(1_000);
    pair.connect();
    expect(await settled(pair, response)).toMatchObject({ payload: bytes(900) });
    expect(device.bodies).toHaveLength(1);
  });

  it.each([
    ['the last block', bytes(600), 3],
    ['a request in one value', bytes(60), 1],
  ] as const)('under %s ends the request: the peer may have acted on it', async (_, payload, place) => {
    const device = keeper();
    const pair = connected({ handler: device.handler, fate: losing('hub', place) });
    const response = pair.hub.request({ ...post, payload }, { deadline: DEADLINE });
    const outcome = response.catch((error: LatchkeyError) => error.code);
    await pair.time.advance(1_000);
    expect(await outcome).toBe('device_answer_lost');
    pair.connect();
    await pair.time.advance(1_000);
    expect(device.bodies).toEqual([]);
  });

  it('starts the body anew where the device has lost its blocks', async () => {
    const device = keeper();
    const first = connected({ handler: device.handler, fate: losing('hub', 3) });
    const second = new GattPair({ handler: device.handler });
    const response = first.hub.request({ ...post, payload: bytes(900) }, { deadline: DEADLINE });
    await first.time.advance(1_000);
    // The same hub, and a device that has just started.
    second.device.connected({ send: (value) => first.hub.receive(value), onStalled: () => undefined });
    first.hub.connected({ send: (value) => second.device.receive(value), onStalled: () => undefined });
    for (let turn = 0; turn < 20; turn += 1) {
      await first.time.advance(100);
      await second.time.advance(100);
    }
    expect(await settled(first, response)).toMatchObject({ code: COAP_CODE.created });
    expect(device.bodies).toEqual([bytes(900)]);
  });

  it('keeps what waits behind the request that it ended', async () => {
    const device = keeper();
    const pair = connected({ handler: device.handler, fate: losing('hub', 1) });
    const ended = pair.hub.request(post, { deadline: DEADLINE }).catch((error: LatchkeyError) => error.code);
    const waiting = pair.hub.request({ ...post, payload: bytes(5) }, { deadline: DEADLINE });
    await pair.time.advance(1_000);
    expect(await ended).toBe('device_answer_lost');
    pair.connect();
    expect(await settled(pair, waiting)).toMatchObject({ code: COAP_CODE.created });
    expect(device.bodies).toEqual([bytes(5)]);
  });

  it('takes along the answer that was still being made', async () => {
    const pair = connected({
      handler: () =>
        new Promise((resolve) => {
          pair.time.after(2_000, () => resolve({ code: COAP_CODE.content, payload: EMPTY }));
        }),
    });
    const outcome = pair.hub.request(post, { deadline: DEADLINE }).catch((error: LatchkeyError) => error.code);
    await pair.time.advance(1_000);
    pair.lose();
    pair.connect();
    await pair.time.advance(5_000);
    expect(await outcome).toBe('device_answer_lost');
    expect(pair.sent.filter(({ from, value }) => from === 'device' && value.length > 1)).toHaveLength(0);
  });
});

describe('a peer that acknowledges nothing', () => {
  it('ends the request, and tells so that the connection is ended', async () => {
    const pair = new GattPair();
    const told: string[] = [];
    pair.hub.connected({ send: () => undefined, onStalled: () => told.push('stalled') });
    const response = pair.hub.request(post, { deadline: DEADLINE });
    expect(await settled(pair, response)).toBe('device_no_answer');
    expect(told).toEqual(['stalled']);
    expect(pair.hub.counters().gatt.stalled).toBe(1);
  });
});

it('leaves no timer behind when it is closed', async () => {
  const pair = connected({ handler: () => new Promise(() => undefined) });
  const outcome = pair.hub.request(post, { deadline: DEADLINE }).catch((error: LatchkeyError) => error.code);
  await pair.time.advance(DEFAULT_GATT_SETTINGS.acknowledgeAfter + 10);
  expect(pair.time.pendingTimers).toBeGreaterThan(0);
  pair.hub.close();
  pair.device.close();
  expect(pair.time.pendingTimers).toBe(0);
  expect(await outcome).toBe('device_answer_lost');
});

import { describe, expect, it } from 'vitest';
import { blockOption } from '../../../src/codec/coap/block.ts';
import type { CoapHandler } from '../../../src/codec/coap/responder.ts';
import { COAP_CODE, COAP_METHOD, COAP_OPTION, COAP_TYPE } from '../../../src/codec/iana.ts';
import { utf8 } from '../../../src/core/bytes.ts';
import { LatchkeyError } from '../../../src/core/errors.ts';
import { LIMITS } from '../../../src/core/limits.ts';
import { CoapPair } from '../../fakes/coap-pair.ts';
import { FakeTime } from '../../fakes/fake-time.ts';
import { ScriptedPeer } from '../../fakes/scripted-peer.ts';

const get = { method: COAP_METHOD.GET, path: ['temperature'] };
const post = { method: COAP_METHOD.POST, path: ['authz-info'], payload: utf8('token') };
const created: CoapHandler = async () => ({ code: COAP_CODE.created, payload: utf8('') });

/** Settled or not, and how, without waiting for it. */
function watch(promise: Promise<unknown>): { outcome: unknown } {
  const watched: { outcome: unknown } = { outcome: 'pending' };
  promise.then(
    (value) => {
      watched.outcome = value;
    },
    (error: unknown) => {
      watched.outcome = error instanceof LatchkeyError ? error.code : error;
    },
  );
  return watched;
}

describe('retransmission', () => {
  it('repeats a request with doubled waits and gives it up with device_no_answer', async () => {
    const time = new FakeTime();
    time.setFraction(0);
    const pair = new CoapPair({ time, medium: () => [] });
    const request = watch(pair.client.request(get, { deadline: 120_000 }));
    await time.advance(29_999);
    expect(pair.sent.map(({ at }) => at)).toEqual([0, 2_000, 6_000, 14_000]);
    expect(new Set(pair.sent.map(({ message }) => message.messageId)).size).toBe(1);
    expect(request.outcome).toBe('pending');
    await time.advance(1);
    expect(request.outcome).toBe('device_no_answer');
    expect(pair.client.counters()).toMatchObject({ retransmitted: 3, unanswered: 1 });
    expect(time.pendingTimers).toBe(0);
  });

  it('draws the first wait between ackTimeout and ackRandomFactor times it', async () => {
    const time = new FakeTime();
    time.setFraction(0.999);
    const pair = new CoapPair({ time, medium: () => [] });
    watch(pair.client.request(get, { deadline: 5_000 }));
    await time.advance(2_990);
    expect(pair.sent).toHaveLength(1);
    await time.advance(10);
    expect(pair.sent).toHaveLength(2);
  });

  it('survives the loss of the request, and of the answer, with one effect', async () => {
    let effects = 0;
    const pair = new CoapPair({
      handler: async () => {
        effects += 1;
        return { code: COAP_CODE.created, payload: utf8('receipt') };
      },
      // The request, its first repetition's answer: lost. The second answer comes out of the cache.
      medium: (_, index) => (index === 0 || index === 2 ? [] : [1]),
    });
    const request = watch(pair.client.request(post, { deadline: 60_000 }));
    await pair.time.advance(20_000);
    expect(request.outcome).toMatchObject({ code: COAP_CODE.created, payload: utf8('receipt') });
    expect(effects).toBe(1);
    expect(pair.server.counters().duplicates).toBe(1);
  });

  it('counts an answer that comes twice and ignores it', async () => {
    const pair = new CoapPair({ handler: created, medium: ({ from }) => (from === 'server' ? [1, 2] : [1]) });
    const request = watch(pair.client.request(post, { deadline: 60_000 }));
    await pair.time.advance(10);
    expect(request.outcome).toMatchObject({ code: COAP_CODE.created });
    expect(pair.client.counters().unmatched).toBe(1);
  });

  it('counts an answer that comes after the deadline and ignores it', async () => {
    const pair = new CoapPair({ handler: created, medium: ({ from }) => (from === 'server' ? [1_500] : [1]) });
    const request = watch(pair.client.request(post, { deadline: 1_000 }));
    await pair.time.advance(1_000);
    expect(request.outcome).toBe('device_no_answer');
    await pair.time.advance(10_000);
    expect(pair.client.counters().unmatched).toBe(1);
  });
});

describe('the answer of the peer', () => {
  it('may be acknowledged first and come separately', async () => {
    const peer = new ScriptedPeer();
    const request = watch(peer.endpoint.request(get, { deadline: 60_000 }));
    const asked = peer.last();
    peer.say({ type: COAP_TYPE.ACK, code: 0, messageId: asked.messageId });
    await peer.time.advance(40_000);
    expect(peer.heard).toHaveLength(1);
    peer.say({ type: COAP_TYPE.CON, code: COAP_CODE.content, messageId: 7, token: asked.token, payload: utf8('21') });
    await peer.time.advance(0);
    expect(request.outcome).toEqual({ code: COAP_CODE.content, payload: utf8('21') });
    expect(peer.last()).toMatchObject({ type: COAP_TYPE.ACK, code: 0, messageId: 7 });
  });

  it('is acknowledged again when it comes again', async () => {
    const peer = new ScriptedPeer();
    watch(peer.endpoint.request(get, { deadline: 60_000 }));
    const answer = { type: COAP_TYPE.CON, code: COAP_CODE.content, messageId: 7, token: peer.last().token };
    peer.say(answer);
    peer.say(answer);
    const acknowledgements = peer.heard.filter(({ type }) => type === COAP_TYPE.ACK);
    expect(acknowledgements.map(({ messageId }) => messageId)).toEqual([7, 7]);
    expect(peer.endpoint.counters().duplicates).toBe(1);
  });

  it('stands for a lost acknowledgement', async () => {
    const peer = new ScriptedPeer();
    const request = watch(peer.endpoint.request(get, { deadline: 60_000 }));
    peer.say({ type: COAP_TYPE.NON, code: COAP_CODE.content, messageId: 7, token: peer.last().token });
    await peer.time.advance(30_000);
    expect(request.outcome).toMatchObject({ code: COAP_CODE.content });
    expect(peer.heard).toHaveLength(1);
  });

  it('never comes after an acknowledgement: device_no_answer at the deadline', async () => {
    const peer = new ScriptedPeer();
    const request = watch(peer.endpoint.request(get, { deadline: 50_000 }));
    peer.say({ type: COAP_TYPE.ACK, code: 0, messageId: peer.last().messageId });
    await peer.time.advance(49_999);
    expect(request.outcome).toBe('pending');
    await peer.time.advance(1);
    expect(request.outcome).toBe('device_no_answer');
    expect(peer.time.pendingTimers).toBe(0);
  });

  it('is a reset: device_reset', async () => {
    const peer = new ScriptedPeer();
    const request = watch(peer.endpoint.request(get, { deadline: 50_000 }));
    peer.say({ type: COAP_TYPE.RST, code: 0, messageId: peer.last().messageId });
    await peer.time.advance(0);
    expect(request.outcome).toBe('device_reset');
    expect(peer.time.pendingTimers).toBe(0);
  });

  it('holds a critical option that nobody knows: coap_option_refused', async () => {
    const peer = new ScriptedPeer();
    const request = watch(peer.endpoint.request(get, { deadline: 50_000 }));
    peer.answer({ code: COAP_CODE.content, options: [{ number: 9, value: utf8('') }] });
    await peer.time.advance(0);
    expect(request.outcome).toBe('coap_option_refused');
  });

  it('is rubbish all the time: device_answer_invalid', async () => {
    const peer = new ScriptedPeer();
    const request = watch(peer.endpoint.request(get, { deadline: 5_000 }));
    peer.endpoint.receive(Uint8Array.of(0x69, 0x45, 0, 0));
    await peer.time.advance(5_000);
    expect(request.outcome).toBe('device_answer_invalid');
    expect(peer.endpoint.counters().malformed).toBe(1);
  });

  it.each<[string, { type: number; code: number; token?: Uint8Array; idOffset?: number }]>([
    ['an acknowledgement of another message', { type: COAP_TYPE.ACK, code: COAP_CODE.content, idOffset: 1 }],
    ['a reset of another message', { type: COAP_TYPE.RST, code: 0, idOffset: 1 }],
    ['an answer with another token', { type: COAP_TYPE.ACK, code: COAP_CODE.content, token: utf8('else') }],
    ['a separate answer with another token', { type: COAP_TYPE.NON, code: COAP_CODE.content, token: utf8('else') }],
  ])('is foreign: %s is counted and ignored', async (_, { idOffset = 0, ...message }) => {
    const peer = new ScriptedPeer();
    const request = watch(peer.endpoint.request(get, { deadline: 60_000 }));
    peer.say({ ...message, messageId: (peer.last().messageId + idOffset) & 0xffff });
    await peer.time.advance(0);
    expect(request.outcome).toBe('pending');
    expect(peer.endpoint.counters().unmatched).toBe(1);
  });

  it('is refused with a reset when it is confirmable and nobody asked', () => {
    const peer = new ScriptedPeer();
    peer.say({ type: COAP_TYPE.CON, code: COAP_CODE.content, messageId: 9, token: utf8('else') });
    expect(peer.last()).toMatchObject({ type: COAP_TYPE.RST, code: 0, messageId: 9 });
  });
});

describe('the queue', () => {
  it('lets one request run at a time, in order', async () => {
    const peer = new ScriptedPeer();
    const outcomes = ['a', 'b', 'c'].map((path) =>
      watch(peer.endpoint.request({ method: 1, path: [path] }, { deadline: 60_000 })),
    );
    for (let index = 0; index < 3; index += 1) {
      await peer.time.advance(0);
      expect(peer.heard).toHaveLength(index + 1);
      peer.answer({ code: COAP_CODE.content, payload: Uint8Array.of(index) });
    }
    await peer.time.advance(0);
    expect(outcomes.map(({ outcome }) => outcome)).toMatchObject([0, 1, 2].map((n) => ({ payload: Uint8Array.of(n) })));
  });

  it('is bounded: link_busy', async () => {
    const peer = new ScriptedPeer();
    const outcomes = Array.from({ length: LIMITS.requestsPerDevice + 1 }, () =>
      watch(peer.endpoint.request(get, { deadline: 60_000 })),
    );
    await peer.time.advance(0);
    expect(outcomes.map(({ outcome }) => outcome)).toEqual([
      ...Array.from({ length: LIMITS.requestsPerDevice }, () => 'pending'),
      'link_busy',
    ]);
  });

  it('does not keep a request past its deadline: link_busy', async () => {
    const peer = new ScriptedPeer();
    watch(peer.endpoint.request(get, { deadline: 60_000 }));
    const second = watch(peer.endpoint.request(get, { deadline: 1_000 }));
    await peer.time.advance(1_000);
    expect(second.outcome).toBe('link_busy');
  });

  it('goes on after a request that failed', async () => {
    const peer = new ScriptedPeer();
    watch(peer.endpoint.request(get, { deadline: 1_000 }));
    const second = watch(peer.endpoint.request(post, { deadline: 60_000 }));
    await peer.time.advance(1_000);
    peer.answer({ code: COAP_CODE.created });
    await peer.time.advance(0);
    expect(second.outcome).toMatchObject({ code: COAP_CODE.created });
  });
});

describe('giving up', () => {
  it('stops a request whose signal aborts: request_cancelled', async () => {
    const peer = new ScriptedPeer();
    const controller = new AbortController();
    const request = watch(peer.endpoint.request(get, { deadline: 60_000, signal: controller.signal }));
    controller.abort();
    await peer.time.advance(60_000);
    expect(request.outcome).toBe('request_cancelled');
    expect(peer.heard).toHaveLength(1);
    expect(peer.time.pendingTimers).toBe(0);
  });

  it('passes a coded reason of the signal on', async () => {
    const peer = new ScriptedPeer();
    const controller = new AbortController();
    const request = watch(peer.endpoint.request(get, { deadline: 60_000, signal: controller.signal }));
    controller.abort(new LatchkeyError('shutting_down'));
    await peer.time.advance(0);
    expect(request.outcome).toBe('shutting_down');
  });

  it('sends nothing for a signal that is aborted already', async () => {
    const peer = new ScriptedPeer();
    const request = watch(peer.endpoint.request(get, { deadline: 60_000, signal: AbortSignal.abort() }));
    await peer.time.advance(0);
    expect(request.outcome).toBe('request_cancelled');
    expect(peer.heard).toHaveLength(0);
  });

  it('takes a waiting request out of the queue', async () => {
    const peer = new ScriptedPeer();
    const controller = new AbortController();
    watch(peer.endpoint.request(get, { deadline: 60_000 }));
    const second = watch(peer.endpoint.request(get, { deadline: 60_000, signal: controller.signal }));
    controller.abort();
    peer.answer({ code: COAP_CODE.content });
    await peer.time.advance(0);
    expect(second.outcome).toBe('request_cancelled');
    expect(peer.heard).toHaveLength(1);
  });

  it.each([
    ['nothing but blocks that the peer only keeps', 1, 'link_down'],
    ['the last block', 2, 'device_answer_lost'],
  ] as const)('on close tells a request of which it sent %s', async (_, answered, code) => {
    const peer = new ScriptedPeer();
    const request = watch(peer.endpoint.request({ ...post, payload: new Uint8Array(3_000) }, { deadline: 60_000 }));
    for (let number = 0; number < answered; number += 1) {
      await peer.time.advance(0);
      peer.answer({
        code: COAP_CODE.continue,
        options: [blockOption(COAP_OPTION.block1, { number, more: true, size: 1_024 })],
      });
    }
    await peer.time.advance(0);
    expect(peer.heard).toHaveLength(answered + 1);
    peer.endpoint.close();
    await peer.time.advance(0);
    expect(request.outcome).toBe(code);
  });

  it('on close ends what was sent with device_answer_lost and what waits with link_down, and leaves no timer', async () => {
    const peer = new ScriptedPeer();
    const outcomes = [1, 2, 3].map(() => watch(peer.endpoint.request(get, { deadline: 60_000 })));
    peer.endpoint.close();
    const late = watch(peer.endpoint.request(get, { deadline: 60_000 }));
    await peer.time.advance(0);
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(['device_answer_lost', 'link_down', 'link_down']);
    expect(late.outcome).toBe('link_down');
    expect(peer.time.pendingTimers).toBe(0);
    expect(peer.heard).toHaveLength(1);
  });
});

import { describe, expect, it } from 'vitest';
import { encodeMessage } from '../../../src/codec/coap/message.ts';
import { COAP_CODE, COAP_METHOD, COAP_OPTION, COAP_TYPE } from '../../../src/codec/iana.ts';
import { concat, EMPTY, fromHex, utf8 } from '../../../src/core/bytes.ts';
import type { CoapResponse } from '../../../src/core/coap-exchange.ts';
import { LatchkeyError } from '../../../src/core/errors.ts';
import { LIMITS } from '../../../src/core/limits.ts';
import { ScriptedPeer } from '../../fakes/scripted-peer.ts';

const token = utf8('tk');
const getTime = {
  type: COAP_TYPE.CON,
  code: COAP_METHOD.GET,
  messageId: 0x1000,
  token,
  options: [{ number: COAP_OPTION.uriPath, value: utf8('time') }],
};
const content: CoapResponse = { code: COAP_CODE.content, payload: utf8('now') };

/** A handler whose answers the test gives when it wants. */
function heldHandler(): {
  handler: () => Promise<CoapResponse>;
  release: (response: CoapResponse) => void;
  calls: () => number;
} {
  const waiting: ((response: CoapResponse) => void)[] = [];
  let calls = 0;
  return {
    handler: () => {
      calls += 1;
      return new Promise((resolve) => waiting.push(resolve));
    },
    release: (response) => waiting.shift()?.(response),
    calls: () => calls,
  };
}

describe('a request of the peer', () => {
  it('is answered on the acknowledgement by a quick handler', async () => {
    const peer = new ScriptedPeer({ handler: async () => content });
    peer.say(getTime);
    await peer.time.advance(0);
    expect(peer.heard).toEqual([
      {
        type: COAP_TYPE.ACK,
        code: COAP_CODE.content,
        messageId: 0x1000,
        token,
        options: [],
        payload: utf8('now'),
      },
    ]);
    expect(peer.time.pendingTimers).toBe(0);
  });

  it('is answered Non-confirmable when it was Non-confirmable', async () => {
    const peer = new ScriptedPeer({ handler: async () => content });
    peer.say({ ...getTime, type: COAP_TYPE.NON });
    await peer.time.advance(0);
    expect(peer.heard).toMatchObject([{ type: COAP_TYPE.NON, code: COAP_CODE.content, token }]);
  });

  it('is acknowledged, and answered separately, by a slow handler', async () => {
    const held = heldHandler();
    const peer = new ScriptedPeer({ handler: held.handler });
    peer.say(getTime);
    await peer.time.advance(500);
    expect(peer.heard).toMatchObject([{ type: COAP_TYPE.ACK, code: 0, messageId: 0x1000 }]);
    held.release(content);
    await peer.time.advance(0);
    const separate = peer.last();
    expect(separate).toMatchObject({ type: COAP_TYPE.CON, code: COAP_CODE.content, token });
    await peer.time.advance(3_000);
    expect(peer.heard).toHaveLength(3);
    peer.say({ type: COAP_TYPE.ACK, code: 0, messageId: separate.messageId });
    await peer.time.advance(60_000);
    expect(peer.heard).toHaveLength(3);
    expect(peer.time.pendingTimers).toBe(0);
  });

  it('stops a separate answer by a reset', async () => {
    const held = heldHandler();
    const peer = new ScriptedPeer({ handler: held.handler });
    peer.say(getTime);
    await peer.time.advance(500);
    held.release(content);
    await peer.time.advance(0);
    peer.say({ type: COAP_TYPE.RST, code: 0, messageId: peer.last().messageId });
    expect(peer.time.pendingTimers).toBe(0);
  });

  it('gives a separate answer up that nobody acknowledges', async () => {
    const held = heldHandler();
    const peer = new ScriptedPeer({ handler: held.handler });
    peer.say(getTime);
    await peer.time.advance(500);
    held.release(content);
    await peer.time.advance(60_000);
    expect(peer.endpoint.counters()).toMatchObject({ retransmitted: 3, unanswered: 1 });
    expect(peer.time.pendingTimers).toBe(0);
  });

  it('has one effect however often it comes, and the answer of the first', async () => {
    const held = heldHandler();
    const peer = new ScriptedPeer({ handler: held.handler });
    peer.say(getTime);
    peer.say(getTime);
    await peer.time.advance(0);
    expect(peer.heard).toEqual([]);
    held.release(content);
    await peer.time.advance(0);
    peer.say(getTime);
    peer.say(getTime);
    expect(held.calls()).toBe(1);
    expect(peer.heard).toHaveLength(3);
    expect(new Set(peer.heard.map((message) => JSON.stringify(message))).size).toBe(1);
    expect(peer.endpoint.counters().duplicates).toBe(3);
  });

  it('is acknowledged again when it comes again after the empty acknowledgement', async () => {
    const held = heldHandler();
    const peer = new ScriptedPeer({ handler: held.handler });
    peer.say(getTime);
    await peer.time.advance(500);
    peer.say(getTime);
    expect(peer.heard).toMatchObject([
      { code: 0, messageId: 0x1000 },
      { code: 0, messageId: 0x1000 },
    ]);
  });

  it('is a new one when a device that restarted counts from the same message id', async () => {
    const held = heldHandler();
    const peer = new ScriptedPeer({ handler: held.handler });
    peer.say(getTime);
    peer.say({ ...getTime, token: utf8('other') });
    await peer.time.advance(0);
    expect(held.calls()).toBe(2);
  });

  it('is a new one after the exchange lifetime', async () => {
    const held = heldHandler();
    const peer = new ScriptedPeer({ handler: held.handler });
    peer.say(getTime);
    held.release(content);
    await peer.time.advance(60_001);
    peer.say(getTime);
    expect(held.calls()).toBe(2);
  });

  it('is remembered for a bounded number of messages', async () => {
    let calls = 0;
    const peer = new ScriptedPeer({
      handler: async () => {
        calls += 1;
        return content;
      },
    });
    for (let id = 0; id <= LIMITS.coapExchanges; id += 1) {
      peer.say({ ...getTime, messageId: id });
      await peer.time.advance(0);
    }
    peer.say({ ...getTime, messageId: 0 });
    peer.say({ ...getTime, messageId: 2 });
    await peer.time.advance(0);
    expect(calls).toBe(LIMITS.coapExchanges + 2);
  });
});

describe('a request of the peer is refused', () => {
  it.each([
    ['4.04 where nobody serves', {}, COAP_CODE.notFound],
    [
      '4.02 for a critical option that nobody knows',
      { options: [{ number: COAP_OPTION.oscore, value: EMPTY }] },
      COAP_CODE.badOption,
    ],
    [
      '4.02 for a critical option of a wrong length',
      { options: [{ number: COAP_OPTION.accept, value: new Uint8Array(3) }] },
      COAP_CODE.badOption,
    ],
    [
      '4.02 for a critical option that must not repeat',
      {
        options: [
          { number: COAP_OPTION.accept, value: EMPTY },
          { number: COAP_OPTION.accept, value: EMPTY },
        ],
      },
      COAP_CODE.badOption,
    ],
    [
      '5.05 for a proxy request',
      { options: [{ number: COAP_OPTION.proxyUri, value: utf8('coap://a') }] },
      COAP_CODE.proxyingNotSupported,
    ],
    [
      '4.00 for a path that is not UTF-8',
      { options: [{ number: COAP_OPTION.uriPath, value: fromHex('ff') }] },
      COAP_CODE.badRequest,
    ],
    // RFC 7959 §2.2.
    [
      '4.00 for a block of the reserved size',
      { options: [{ number: COAP_OPTION.block1, value: fromHex('0f') }] },
      COAP_CODE.badRequest,
    ],
    [
      '4.00 for a wish for blocks of the reserved size',
      { options: [{ number: COAP_OPTION.block2, value: fromHex('07') }] },
      COAP_CODE.badRequest,
    ],
  ])('with %s', async (_, change, code) => {
    const peer = new ScriptedPeer();
    peer.say({ ...getTime, ...change });
    await peer.time.advance(0);
    expect(peer.heard).toMatchObject([{ type: COAP_TYPE.ACK, code, messageId: 0x1000, token, payload: EMPTY }]);
  });

  it('not for an elective option that nobody knows', async () => {
    const peer = new ScriptedPeer({ handler: async () => content });
    peer.say({ ...getTime, options: [{ number: COAP_OPTION.observe, value: EMPTY }] });
    await peer.time.advance(0);
    expect(peer.last().code).toBe(COAP_CODE.content);
  });

  it('in silence when it is Non-confirmable with a critical option that nobody knows', async () => {
    const peer = new ScriptedPeer({ handler: async () => content });
    peer.say({ ...getTime, type: COAP_TYPE.NON, options: [{ number: COAP_OPTION.oscore, value: EMPTY }] });
    await peer.time.advance(0);
    expect(peer.heard).toEqual([]);
    expect(peer.endpoint.counters().refused).toBe(1);
  });

  it('with the CoAP code of the error that the handler throws, and no word more', async () => {
    const peer = new ScriptedPeer({
      handler: () => Promise.reject(new LatchkeyError('proof_replayed', 'a detail for the log')),
    });
    peer.say(getTime);
    await peer.time.advance(0);
    expect(peer.heard).toMatchObject([{ code: COAP_CODE.unauthorized, payload: EMPTY }]);
  });

  it.each([
    ['a handler that throws what is not coded', () => Promise.reject(new Error('no'))],
    [
      'a handler that throws at once',
      () => {
        throw new Error('no');
      },
    ],
    ['a handler that answers with a request code', async () => ({ code: 1, payload: EMPTY })],
    ['a handler whose answer is too large', async () => ({ code: 0x45, payload: new Uint8Array(20_000) })],
  ])('with 5.00 for %s', async (_, handler) => {
    const peer = new ScriptedPeer({ handler });
    peer.say(getTime);
    await peer.time.advance(0);
    expect(peer.heard).toMatchObject([{ code: COAP_CODE.internalServerError, payload: EMPTY }]);
  });

  it('with 5.04 by a handler that never answers', async () => {
    const held = heldHandler();
    const peer = new ScriptedPeer({ handler: held.handler });
    peer.say(getTime);
    await peer.time.advance(30_000);
    expect(peer.last()).toMatchObject({ type: COAP_TYPE.CON, code: COAP_CODE.gatewayTimeout, token });
    held.release(content);
    await peer.time.advance(0);
    expect(peer.last().code).toBe(COAP_CODE.gatewayTimeout);
  });

  it('with 5.03 when too many are worked on', async () => {
    const held = heldHandler();
    const peer = new ScriptedPeer({ handler: held.handler });
    for (let id = 0; id <= LIMITS.coapHandlers; id += 1) peer.say({ ...getTime, messageId: id });
    expect(peer.heard).toMatchObject([{ code: COAP_CODE.serviceUnavailable, messageId: LIMITS.coapHandlers }]);
    held.release(content);
    await peer.time.advance(0);
    peer.say({ ...getTime, messageId: 99 });
    expect(held.calls()).toBe(LIMITS.coapHandlers + 1);
  });

  it('with a reset for a message format error in a Confirmable message', () => {
    const peer = new ScriptedPeer();
    peer.endpoint.receive(fromHex('40011234ff'));
    expect(peer.heard).toMatchObject([{ type: COAP_TYPE.RST, code: 0, messageId: 0x1234 }]);
  });

  it.each([
    ['another version', '80011234ff'],
    ['a Non-confirmable message with a format error', '50011234ff'],
    ['an Acknowledgement with a format error', '60451234ff'],
    ['a header cut short', '4001'],
  ])('in silence for %s', (_, bytes) => {
    const peer = new ScriptedPeer();
    peer.endpoint.receive(fromHex(bytes));
    expect(peer.heard).toEqual([]);
    expect(peer.endpoint.counters().malformed).toBe(1);
  });
});

describe('an endpoint', () => {
  it('tells its owner why a handler failed', async () => {
    const failures: unknown[] = [];
    const peer = new ScriptedPeer({
      handler: () => Promise.reject(new LatchkeyError('proof_replayed', 'seen before')),
      onHandlerFailure: (error) => failures.push([error.code, error.detail]),
    });
    peer.say(getTime);
    await peer.time.advance(0);
    expect(failures).toEqual([['proof_replayed', 'seen before']]);
  });

  it('answers a ping with a reset', () => {
    const peer = new ScriptedPeer();
    peer.say({ type: COAP_TYPE.CON, code: 0, messageId: 0x55aa });
    expect(peer.heard).toMatchObject([{ type: COAP_TYPE.RST, code: 0, messageId: 0x55aa }]);
  });

  it('leaves no timer after close, whatever it was working on', async () => {
    const held = heldHandler();
    const peer = new ScriptedPeer({ handler: held.handler });
    peer.say(getTime);
    peer.say({ ...getTime, messageId: 0x1001 });
    await peer.time.advance(500);
    held.release(content);
    await peer.time.advance(0);
    const said = peer.heard.length;
    peer.endpoint.close();
    held.release(content);
    await peer.time.advance(60_000);
    peer.say(getTime);
    expect(peer.time.pendingTimers).toBe(0);
    expect(peer.heard).toHaveLength(said);
  });

  it('takes 64 KiB of anything in pieces without throwing', async () => {
    const peer = new ScriptedPeer({ handler: async () => content });
    const valid = encodeMessage({ ...getTime, payload: EMPTY });
    for (let size = 0; size < 300; size += 1) {
      const noise = peer.time.bytes(size);
      peer.endpoint.receive(noise);
      peer.endpoint.receive(concat(valid, noise));
      peer.endpoint.receive(concat(valid.subarray(0, 4), noise));
    }
    await peer.time.advance(60_000);
    expect(peer.endpoint.counters().received).toBe(900);
  });
});

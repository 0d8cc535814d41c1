import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Block, blockOption, readBlock } from '../../../src/codec/coap/block.ts';
import type { CoapMessage } from '../../../src/codec/coap/message.ts';
import { isRefused, requestOptions } from '../../../src/codec/coap/options.ts';
import { COAP_CODE, COAP_METHOD, COAP_OPTION, COAP_TYPE } from '../../../src/codec/iana.ts';
import { EMPTY, utf8 } from '../../../src/core/bytes.ts';
import type { CoapRequest } from '../../../src/core/coap-exchange.ts';
import { LatchkeyError } from '../../../src/core/errors.ts';
import { LIMITS } from '../../../src/core/limits.ts';
import { CoapPair } from '../../fakes/coap-pair.ts';
import { FakeTime } from '../../fakes/fake-time.ts';
import { ScriptedPeer } from '../../fakes/scripted-peer.ts';

const path = [{ number: COAP_OPTION.uriPath, value: utf8('authz-info') }];
const post: CoapRequest = { method: COAP_METHOD.POST, path: ['authz-info'] };

function optionOf(message: CoapMessage, number: number): Block | undefined {
  const known = requestOptions(message);
  return isRefused(known) ? undefined : readBlock(known, number);
}

async function outcome(promise: Promise<unknown>): Promise<unknown> {
  try {
    return await promise;
  } catch (error) {
    return error instanceof LatchkeyError ? error.code : error;
  }
}

describe('block-wise transfer between two endpoints', () => {
  it('carries any body up and any down, whatever the message limits, over a line that loses messages', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          up: fc.nat(3_000),
          down: fc.nat(3_000),
          client: fc.integer({ min: 64, max: 1_280 }),
          server: fc.integer({ min: 64, max: 1_280 }),
          seed: fc.integer({ min: 1 }),
        }),
        async ({ up, down, client, server, seed }) => {
          const time = new FakeTime({ seed });
          const answer = time.bytes(down);
          const bodies: Uint8Array[] = [];
          const pair = new CoapPair({
            time,
            client: { maxMessageBytes: client },
            server: { maxMessageBytes: server },
            medium: (_, index) => (index % 7 === 3 ? [] : index % 5 === 2 ? [1, 3] : [1]),
            handler: async ({ payload }) => {
              bodies.push(payload ?? EMPTY);
              return { code: COAP_CODE.created, payload: answer };
            },
          });
          const body = time.bytes(up);
          const response = pair.client.request({ ...post, payload: body }, { deadline: 3_600_000 });
          await time.advance(1_200_000);
          expect((await response).payload).toEqual(answer);
          expect(bodies).toEqual([body]);
          expect(pair.from('client').every(({ bytes }) => bytes.length <= client)).toBe(true);
          expect(pair.from('server').every(({ bytes }) => bytes.length <= server)).toBe(true);
          expect(time.pendingTimers).toBe(0);
        },
      ),
      { numRuns: 15 },
    );
  });

  it('refuses a body past the limit before anything is sent: request_too_large', async () => {
    const peer = new ScriptedPeer();
    const request = peer.endpoint.request(
      { ...post, payload: new Uint8Array(LIMITS.coapBodyBytes + 1) },
      { deadline: 1_000 },
    );
    expect(await outcome(request)).toBe('request_too_large');
    expect(peer.heard).toEqual([]);
  });

  it('refuses a path that does not fit: request_too_large', async () => {
    const peer = new ScriptedPeer({ settings: { maxMessageBytes: 64 } });
    const request = peer.endpoint.request({ method: 1, path: ['a'.repeat(100)] }, { deadline: 1_000 });
    expect(await outcome(request)).toBe('request_too_large');
  });
});

describe('the client, sending blocks', () => {
  function start(): { peer: ScriptedPeer; request: Promise<unknown> } {
    const peer = new ScriptedPeer({ settings: { maxMessageBytes: 150 } });
    const request = outcome(peer.endpoint.request({ ...post, payload: new Uint8Array(300) }, { deadline: 60_000 }));
    return { peer, request };
  }
  const echo = (block: Block) => [blockOption(COAP_OPTION.block1, block)];

  it('says the size of the whole in the first', () => {
    const { peer } = start();
    expect(optionOf(peer.last(), COAP_OPTION.block1)).toEqual({ number: 0, more: true, size: 64 });
    expect(peer.last().options.filter(({ number }) => number === COAP_OPTION.size1)).toHaveLength(1);
  });

  it('goes on with smaller ones when the peer asks (RFC 7959 figure 8)', async () => {
    const { peer } = start();
    peer.answer({ code: COAP_CODE.continue, options: echo({ number: 0, more: true, size: 32 }) });
    await peer.time.advance(0);
    expect(optionOf(peer.last(), COAP_OPTION.block1)).toEqual({ number: 2, more: true, size: 32 });
  });

  it('starts again with smaller ones after 4.13 (RFC 7959 section 2.9.3)', async () => {
    const { peer } = start();
    peer.answer({ code: COAP_CODE.requestEntityTooLarge, options: echo({ number: 0, more: false, size: 16 }) });
    await peer.time.advance(0);
    expect(optionOf(peer.last(), COAP_OPTION.block1)).toEqual({ number: 0, more: true, size: 16 });
  });

  it('takes 4.13 without a smaller size for the answer', async () => {
    const { peer, request } = start();
    peer.answer({ code: COAP_CODE.requestEntityTooLarge });
    expect(await request).toMatchObject({ code: COAP_CODE.requestEntityTooLarge });
  });

  it('cuts a whole body into blocks after 4.13 with a size', async () => {
    const peer = new ScriptedPeer();
    void outcome(peer.endpoint.request({ ...post, payload: new Uint8Array(300) }, { deadline: 60_000 }));
    peer.answer({ code: COAP_CODE.requestEntityTooLarge, options: echo({ number: 0, more: false, size: 256 }) });
    await peer.time.advance(0);
    expect(optionOf(peer.last(), COAP_OPTION.block1)).toEqual({ number: 0, more: true, size: 256 });
  });

  it('ends with the error that the peer answers in between', async () => {
    const { peer, request } = start();
    peer.answer({ code: COAP_CODE.requestEntityIncomplete });
    expect(await request).toMatchObject({ code: COAP_CODE.requestEntityIncomplete });
  });

  it.each<[string, number, Block | undefined]>([
    ['a final answer in between', COAP_CODE.created, { number: 0, more: false, size: 64 }],
    ['no block option', COAP_CODE.continue, undefined],
    ['another block', COAP_CODE.continue, { number: 1, more: true, size: 64 }],
    ['a larger size', COAP_CODE.continue, { number: 0, more: true, size: 128 }],
  ])('refuses %s: coap_block_invalid', async (_, code, block) => {
    const { peer, request } = start();
    peer.answer({ code, options: block === undefined ? [] : echo(block) });
    expect(await request).toBe('coap_block_invalid');
    expect(peer.time.pendingTimers).toBe(0);
  });

  it('keeps the one deadline over all blocks', async () => {
    const { peer, request } = start();
    await peer.time.advance(1_000);
    peer.answer({ code: COAP_CODE.continue, options: echo({ number: 0, more: true, size: 64 }) });
    await peer.time.advance(59_000);
    expect(await request).toBe('device_no_answer');
    expect(peer.time.pendingTimers).toBe(0);
  });
});

describe('the client, receiving blocks', () => {
  function start(): { peer: ScriptedPeer; request: Promise<unknown> } {
    const peer = new ScriptedPeer();
    const request = outcome(peer.endpoint.request({ method: 1, path: ['big'] }, { deadline: 60_000 }));
    return { peer, request };
  }
  const part = (block: Block, length: number, etag?: string) => ({
    code: COAP_CODE.content,
    options: [
      ...(etag === undefined ? [] : [{ number: COAP_OPTION.etag, value: utf8(etag) }]),
      blockOption(COAP_OPTION.block2, block),
    ],
    payload: new Uint8Array(length),
  });

  it('asks for the next without repeating the body', async () => {
    const peer = new ScriptedPeer();
    void outcome(peer.endpoint.request({ ...post, payload: utf8('body') }, { deadline: 60_000 }));
    peer.answer(part({ number: 0, more: true, size: 16 }, 16));
    await peer.time.advance(0);
    expect(optionOf(peer.last(), COAP_OPTION.block2)).toEqual({ number: 1, more: false, size: 16 });
    expect(peer.last().payload).toEqual(EMPTY);
  });

  it('goes along with smaller blocks half way', async () => {
    const { peer, request } = start();
    peer.answer(part({ number: 0, more: true, size: 32 }, 32));
    await peer.time.advance(0);
    peer.answer(part({ number: 2, more: true, size: 16 }, 16));
    await peer.time.advance(0);
    expect(optionOf(peer.last(), COAP_OPTION.block2)).toEqual({ number: 3, more: false, size: 16 });
    peer.answer(part({ number: 3, more: false, size: 16 }, 5));
    expect(await request).toMatchObject({ payload: new Uint8Array(53) });
  });

  it.each([
    ['a first block that is not the first', part({ number: 1, more: true, size: 16 }, 16)],
    ['a block that is not full', part({ number: 0, more: true, size: 16 }, 15)],
    ['a block that is overfull', part({ number: 0, more: false, size: 16 }, 17)],
    [
      'a block of the reserved size',
      { code: 0x45, options: [{ number: 23, value: Uint8Array.of(7) }], payload: EMPTY },
    ],
  ])('refuses %s: coap_block_invalid', async (_, answer) => {
    const { peer, request } = start();
    peer.answer(answer);
    expect(await request).toBe('coap_block_invalid');
  });

  it.each([
    ['a gap', part({ number: 2, more: true, size: 16 }, 16)],
    ['the same block again', part({ number: 0, more: true, size: 16 }, 16)],
    ['no block option', { code: COAP_CODE.content, payload: utf8('x') }],
    ['an error', { code: COAP_CODE.notFound }],
    ['a block of another representation', part({ number: 1, more: false, size: 16 }, 16, 'b')],
  ])('refuses %s after the first: coap_block_invalid', async (_, answer) => {
    const { peer, request } = start();
    peer.answer(part({ number: 0, more: true, size: 16 }, 16, 'a'));
    await peer.time.advance(0);
    peer.answer(answer);
    expect(await request).toBe('coap_block_invalid');
  });

  it('refuses a body past the limit: coap_block_invalid', async () => {
    const { peer, request } = start();
    for (let number = 0; number * 1024 <= LIMITS.coapBodyBytes; number += 1) {
      peer.answer(part({ number, more: true, size: 1024 }, 1024));
      await peer.time.advance(0);
    }
    expect(await request).toBe('coap_block_invalid');
    expect(peer.heard).toHaveLength(LIMITS.coapBodyBytes / 1024 + 1);
  });
});

describe('the server, receiving blocks', () => {
  function server(): {
    peer: ScriptedPeer;
    bodies: number[];
    say: (block: Block, length: number, more?: object) => void;
  } {
    const bodies: number[] = [];
    const peer = new ScriptedPeer({
      handler: async ({ payload }) => {
        bodies.push(payload?.length ?? 0);
        return { code: COAP_CODE.created, payload: EMPTY };
      },
    });
    let messageId = 0;
    const say = (block: Block, length: number, change: object = {}) => {
      messageId += 1;
      peer.say({
        type: COAP_TYPE.CON,
        code: COAP_METHOD.POST,
        messageId,
        options: [...path, blockOption(COAP_OPTION.block1, block)],
        payload: new Uint8Array(length),
        ...change,
      });
    };
    return { peer, bodies, say };
  }

  it('hands the whole to the handler, once', async () => {
    const { peer, bodies, say } = server();
    say({ number: 0, more: true, size: 64 }, 64);
    say({ number: 1, more: false, size: 64 }, 10);
    await peer.time.advance(0);
    expect(peer.heard.map(({ code }) => code)).toEqual([COAP_CODE.continue, COAP_CODE.created]);
    expect(bodies).toEqual([74]);
  });

  it('lets block 0 start anew', async () => {
    const { peer, bodies, say } = server();
    say({ number: 0, more: true, size: 64 }, 64);
    say({ number: 0, more: true, size: 16 }, 16);
    say({ number: 1, more: false, size: 16 }, 1);
    await peer.time.advance(0);
    expect(bodies).toEqual([17]);
  });

  it.each<[string, readonly [Block, number][], number]>([
    ['4.08 a block without the ones before', [[{ number: 1, more: false, size: 16 }, 1]], 0x88],
    [
      '4.08 a block after a gap',
      [
        [{ number: 0, more: true, size: 16 }, 16],
        [{ number: 2, more: false, size: 16 }, 1],
      ],
      0x88,
    ],
    ['4.00 a block that is not full', [[{ number: 0, more: true, size: 16 }, 15]], 0x80],
    ['4.00 a block that is overfull', [[{ number: 0, more: false, size: 16 }, 17]], 0x80],
  ])('refuses with %s', async (_, blocks, code) => {
    const { peer, bodies, say } = server();
    for (const [block, length] of blocks) say(block, length);
    await peer.time.advance(0);
    expect(peer.last().code).toBe(code);
    expect(bodies).toEqual([]);
  });

  it('refuses with 4.08 a block for another resource', async () => {
    const { peer, say } = server();
    say({ number: 0, more: true, size: 16 }, 16);
    say({ number: 1, more: false, size: 16 }, 1, {
      options: [
        { number: COAP_OPTION.uriPath, value: utf8('else') },
        blockOption(COAP_OPTION.block1, { number: 1, more: false, size: 16 }),
      ],
    });
    await peer.time.advance(0);
    expect(peer.last().code).toBe(COAP_CODE.requestEntityIncomplete);
  });

  it('refuses with 4.08 a block after too long a pause', async () => {
    const { peer, say } = server();
    say({ number: 0, more: true, size: 16 }, 16);
    await peer.time.advance(60_001);
    say({ number: 1, more: false, size: 16 }, 1);
    await peer.time.advance(0);
    expect(peer.last().code).toBe(COAP_CODE.requestEntityIncomplete);
  });

  it('refuses with 4.13 and the limit a body that grows past it', async () => {
    const { peer, bodies, say } = server();
    for (let number = 0; number * 1024 <= LIMITS.coapBodyBytes; number += 1)
      say({ number, more: true, size: 1024 }, 1024);
    await peer.time.advance(0);
    expect(peer.last().code).toBe(COAP_CODE.requestEntityTooLarge);
    expect(peer.last().options.some(({ number }) => number === COAP_OPTION.size1)).toBe(true);
    expect(bodies).toEqual([]);
  });
});

describe('the server, sending blocks', () => {
  const big = Uint8Array.from({ length: 100 }, (_, index) => index);

  function ask(
    block: Block | undefined,
    messageId: number,
    code: number = COAP_METHOD.GET,
  ): Partial<CoapMessage> & Pick<CoapMessage, 'type' | 'code' | 'messageId'> {
    const options = block === undefined ? path : [...path, blockOption(COAP_OPTION.block2, block)];
    return { type: COAP_TYPE.CON, code, messageId, options };
  }

  it('cuts to the size that the peer asks for at first', async () => {
    const peer = new ScriptedPeer({ handler: async () => ({ code: COAP_CODE.content, payload: big }) });
    peer.say(ask({ number: 0, more: false, size: 32 }, 1));
    await peer.time.advance(0);
    expect(optionOf(peer.last(), COAP_OPTION.block2)).toEqual({ number: 0, more: true, size: 32 });
    expect(peer.last().payload).toEqual(big.subarray(0, 32));
  });

  it('goes on from what it holds, without asking the handler again', async () => {
    let calls = 0;
    const peer = new ScriptedPeer({
      handler: async () => {
        calls += 1;
        return { code: COAP_CODE.created, payload: big };
      },
      settings: { maxMessageBytes: 96 },
    });
    peer.say(ask(undefined, 1, COAP_METHOD.POST));
    await peer.time.advance(0);
    expect(optionOf(peer.last(), COAP_OPTION.block2)).toEqual({ number: 0, more: true, size: 64 });
    peer.say(ask({ number: 1, more: false, size: 64 }, 2, COAP_METHOD.POST));
    await peer.time.advance(0);
    expect(peer.last().payload).toEqual(big.subarray(64));
    expect(calls).toBe(1);
  });

  it('asks the handler again for a later block of a GET that it does not hold', async () => {
    const peer = new ScriptedPeer({ handler: async () => ({ code: COAP_CODE.content, payload: big }) });
    peer.say(ask({ number: 3, more: false, size: 32 }, 1));
    await peer.time.advance(0);
    expect(peer.last().payload).toEqual(big.subarray(96));
  });

  it('refuses with 4.08 a later block of a POST that it does not hold', async () => {
    let calls = 0;
    const peer = new ScriptedPeer({
      handler: async () => {
        calls += 1;
        return { code: COAP_CODE.created, payload: big };
      },
    });
    peer.say(ask({ number: 1, more: false, size: 32 }, 1, COAP_METHOD.POST));
    await peer.time.advance(0);
    expect(peer.last().code).toBe(COAP_CODE.requestEntityIncomplete);
    expect(calls).toBe(0);
  });

  it('refuses with 4.00 a block past the end', async () => {
    const peer = new ScriptedPeer({ handler: async () => ({ code: COAP_CODE.content, payload: big }) });
    peer.say(ask({ number: 4, more: false, size: 32 }, 1));
    await peer.time.advance(0);
    expect(peer.last().code).toBe(COAP_CODE.badRequest);
  });
});

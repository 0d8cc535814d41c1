import { describe, expect, test } from 'vitest';
import { IntrospectionFront, type IntrospectionFrontOptions } from '../../../drivers/mqtt/introspection-front.ts';
import { Topics } from '../../../drivers/mqtt/topics.ts';
import { decodeCbor } from '../../../src/codec/cbor.ts';
import { fromUtf8, utf8 } from '../../../src/core/bytes.ts';
import { LatchkeyError } from '../../../src/core/errors.ts';
import type { IncomingMessage, OutgoingMessage } from '../../../src/ports/message-broker.ts';
import { FakeTime } from '../../fakes/fake-time.ts';
import { NamingRelay, subjectOf } from '../../fakes/named-answer.ts';
import { QuietLog } from '../../fakes/quiet-log.ts';

const MAC0 = 'application/cose; cose-type="cose-mac0"';

class Rig {
  readonly time = new FakeTime();
  readonly log = new QuietLog();
  readonly relay = new NamingRelay();
  readonly sent: OutgoingMessage[] = [];
  /** What happened on the connection, in order. */
  readonly trace: string[] = [];
  readonly front: IntrospectionFront;
  broker: () => Promise<void> = () => Promise.resolve();
  confirmed = true;
  confirmation: Promise<void> = Promise.resolve();

  constructor(options: Partial<IntrospectionFrontOptions> = {}) {
    this.front = new IntrospectionFront({
      devices: { isRegistered: () => true },
      relay: this.relay,
      topics: new Topics('latchkey/v1'),
      json: true,
      answerProtected: async (request, device) => ({
        kind: 'sealed',
        message: utf8(`sealed ${device} ${fromUtf8(request)}`),
      }),
      clock: this.time,
      random: this.time,
      log: this.log,
      publish: async (message) => {
        await this.broker();
        this.sent.push(message);
        this.trace.push('answer');
        return { isConfirmed: () => this.confirmed, confirmed: this.confirmation, refusal: () => undefined };
      },
      ...options,
    });
  }

  take(message: Partial<Omit<IncomingMessage, 'payload'>> & { readonly payload?: string } = {}): void | Promise<void> {
    return this.front.take({
      topic: 'latchkey/v1/ekg-1/introspect',
      qos: 1,
      again: false,
      contentType: 'application/json',
      responseTopic: 'latchkey/v1/ekg-1/answer',
      correlationData: Uint8Array.of(1, 2, 3),
      settle: () => this.trace.push('settle'),
      ...message,
      payload: utf8(message.payload ?? '{"token":"opaque-1"}'),
    });
  }

  /** Lets all that can go on do so. */
  async settle(): Promise<void> {
    await this.time.advance(0);
  }

  json(index: number): Record<string, unknown> {
    return JSON.parse(fromUtf8(this.sent[index]?.payload ?? utf8('null'))) as Record<string, unknown>;
  }
}

describe('a request in JSON', () => {
  test('is answered on its response topic, with its correlation data and its QoS', async () => {
    const rig = new Rig();
    rig.take();
    await rig.settle();
    expect(rig.sent).toHaveLength(1);
    expect(rig.sent[0]).toMatchObject({
      topic: 'latchkey/v1/ekg-1/answer',
      qos: 1,
      contentType: 'application/json',
      correlationData: Uint8Array.of(1, 2, 3),
    });
    expect(rig.json(0)).toMatchObject({ active: true, sub: subjectOf('ekg-1', 'opaque-1') });
    expect(rig.relay.requests[0]?.device).toBe('ekg-1');
  });

  test('of QoS 0 is answered with QoS 0', async () => {
    const rig = new Rig();
    rig.take({ qos: 0 });
    await rig.settle();
    expect(rig.sent[0]?.qos).toBe(0);
  });

  test('is settled behind its answer and not before', async () => {
    const rig = new Rig();
    let open = () => {};
    rig.broker = () => new Promise((resolve) => (open = resolve));
    rig.take();
    await rig.settle();
    expect(rig.trace).toEqual([]);
    open();
    await rig.settle();
    expect(rig.trace).toEqual(['answer', 'settle']);
  });

  test('leaves nothing of its token in the log', async () => {
    const rig = new Rig();
    rig.take({ payload: '{"token":"canary-4711","proof_type":"nonsense"}' });
    rig.take({ payload: '{"token":"canary-4711"}', responseTopic: undefined });
    await rig.settle();
    expect(rig.log.lines.length).toBeGreaterThan(1);
    expect(JSON.stringify(rig.log.lines)).not.toContain('canary-4711');
  });
});

describe('a request that the device protected', () => {
  test('is answered sealed', async () => {
    const rig = new Rig();
    rig.take({ contentType: MAC0, payload: 'message' });
    await rig.settle();
    expect(fromUtf8(rig.sent[0]?.payload ?? utf8(''))).toBe('sealed ekg-1 message');
    expect(rig.sent[0]?.contentType).toBe('application/cose; cose-type="cose-encrypt0"');
  });

  test('is taken where JSON is not', async () => {
    const rig = new Rig({ json: false });
    rig.take({ contentType: MAC0, payload: 'message' });
    await rig.settle();
    expect(rig.sent).toHaveLength(1);
  });

  test('without a fresh nonce of the hub is refused with one, and judged when it has it', async () => {
    let isFresh = false;
    const nonce = Uint8Array.of(1, 2, 3);
    const rig = new Rig({
      answerProtected: async () =>
        isFresh ? { kind: 'sealed', message: utf8('sealed') } : { kind: 'nonce_required', nonce },
    });
    rig.take({ contentType: MAC0, payload: 'message' });
    await rig.settle();
    expect(rig.sent[0]?.contentType).toBe('application/concise-problem-details+cbor');
    const problem = decodeCbor(rig.sent[0]?.payload ?? utf8('')) as Map<unknown, unknown>;
    expect(problem.get(-4)).toBe(0x81);
    expect(problem.get('urn:latchkey:error')).toEqual(
      new Map<string, unknown>([
        ['id', expect.stringMatching(/^[0-9a-f]{16}$/)],
        ['code', 'hub_nonce_required'],
        ['nonce', nonce],
      ]),
    );
    expect(rig.front.counters()).toMatchObject({ refused: 1, answered: 0 });
    isFresh = true;
    rig.take({ contentType: MAC0, payload: 'message' });
    await rig.settle();
    expect(fromUtf8(rig.sent[1]?.payload ?? utf8(''))).toBe('sealed');
    expect(rig.trace).toEqual(['answer', 'settle', 'answer', 'settle']);
  });

  test('is refused in CBOR', async () => {
    const rig = new Rig({ answerProtected: () => Promise.reject(new LatchkeyError('device_unauthenticated')) });
    rig.take({ contentType: MAC0 });
    await rig.settle();
    expect(rig.sent[0]?.contentType).toBe('application/concise-problem-details+cbor');
    const problem = decodeCbor(rig.sent[0]?.payload ?? utf8('')) as Map<unknown, unknown>;
    expect(problem.get(-4)).toBe(0x81);
    expect((problem.get('urn:latchkey:error') as Map<string, unknown>).get('code')).toBe('device_unauthenticated');
  });
});

describe('no answer goes', () => {
  test.each([
    ['without a response topic', undefined],
    ['to another device', 'latchkey/v1/ekg-2/answer'],
    ['to the status of the hub', 'latchkey/v1/hub/status'],
    ['back to the hub', 'latchkey/v1/ekg-1/introspect'],
    ['to a filter', 'latchkey/v1/ekg-1/#'],
  ])('%s: nothing is judged, and the log says why', async (_, responseTopic) => {
    const rig = new Rig();
    rig.take({ responseTopic });
    await rig.settle();
    expect(rig.sent).toEqual([]);
    expect(rig.relay.requests).toEqual([]);
    expect(rig.trace).toEqual(['settle']);
    expect(rig.log.lines[0]?.fields.code).toBe('response_topic_refused');
  });
});

describe('a flood of junk', () => {
  test.each([
    ['without a response topic', { responseTopic: undefined }],
    ['on the topic of no device', { topic: `latchkey/v1/${'n'.repeat(60_000)}/introspect` }],
    ['of a foreign content type', { contentType: 'text/plain', qos: 0 as const }],
    ['beyond the share of its device', {}],
  ])('%s is a few short lines of the log', async (_, junk) => {
    const rig = new Rig({ ofOneDevice: 4 });
    rig.relay.hold();
    for (let request = 0; request < 1_000; request += 1) {
      rig.take({ correlationData: Uint8Array.of(request >> 8, request & 0xff), ...junk });
    }
    await rig.settle();
    expect(rig.log.lines.length).toBeGreaterThan(0);
    expect(rig.log.lines.length).toBeLessThanOrEqual(4);
    expect(JSON.stringify(rig.log.lines).length).toBeLessThan(2_000);
  });

  test('on the topic of no device is counted, and neither judged nor answered', async () => {
    const rig = new Rig();
    for (const name of ['', 'Ekg-1', 'ekg 1', '-ekg', 'n'.repeat(64)]) {
      const topic = `latchkey/v1/${name}/introspect`;
      rig.take({ topic, responseTopic: `latchkey/v1/${name}/answer` });
    }
    await rig.settle();
    expect(rig.front.counters().ignored).toBe(5);
    expect(rig.relay.requests).toEqual([]);
    expect(rig.sent).toEqual([]);
    expect(rig.trace).toHaveLength(5);
  });
});

describe('is refused with its code', () => {
  test.each([
    ['a request without content type', { contentType: undefined }, 'media_type_refused'],
    ['a request of a foreign content type', { contentType: 'text/plain' }, 'media_type_refused'],
    ['a request that is no JSON', { payload: '{' }, 'json_invalid'],
    ['a request without a token', { payload: '{}' }, 'request_invalid'],
    ['a request with a member twice', { payload: '{"token":"a","token":"b"}' }, 'json_invalid'],
    ['a request that is too large', { payload: `{"token":"${'a'.repeat(32_768)}"}` }, 'request_too_large'],
    ['correlation data of 65 bytes', { correlationData: new Uint8Array(65) }, 'request_invalid'],
  ])('%s', async (_, message, code) => {
    const rig = new Rig();
    rig.take(message);
    await rig.settle();
    expect(rig.json(0).code).toBe(code);
    expect(rig.sent[0]?.contentType).toBe('application/problem+json');
    expect(rig.relay.requests).toEqual([]);
    expect(rig.trace).toEqual(['answer', 'settle']);
  });

  test('a request in JSON where the operator takes none', async () => {
    const rig = new Rig({ json: false });
    rig.take();
    await rig.settle();
    expect(rig.json(0).code).toBe('media_type_refused');
  });

  test('a question that nobody can answer now', async () => {
    const rig = new Rig();
    rig.relay.answer = new LatchkeyError('as_unreachable', 'https://as.example');
    rig.take();
    await rig.settle();
    expect(rig.json(0)).toMatchObject({ code: 'as_unreachable', status: 503 });
    expect(JSON.stringify(rig.json(0))).not.toContain('as.example');
  });
});

describe('a request that comes twice', () => {
  test('is answered again and not judged again', async () => {
    const rig = new Rig();
    rig.take();
    await rig.settle();
    rig.take();
    await rig.settle();
    expect(rig.relay.requests).toHaveLength(1);
    expect(rig.sent[1]).toEqual(rig.sent[0]);
    expect(rig.trace).toEqual(['answer', 'settle', 'answer', 'settle']);
  });

  test('while it is judged gets the one answer', async () => {
    const rig = new Rig();
    const open = rig.relay.hold();
    rig.take();
    rig.take({ again: true });
    await rig.settle();
    open();
    await rig.settle();
    expect(rig.relay.requests).toHaveLength(1);
    expect(rig.trace).toEqual(['answer', 'settle', 'settle']);
  });

  test('however often while it is judged, holds no more than a few copies', async () => {
    const rig = new Rig();
    const open = rig.relay.hold();
    for (let copy = 0; copy < 1_000; copy += 1) rig.take({ settle: () => rig.trace.push(`settle ${copy}`) });
    await rig.settle();
    expect(rig.trace).toHaveLength(992);
    open();
    await rig.settle();
    // The newest ones: those are of the connection that there is.
    const newest = Array.from({ length: 8 }, (_, index) => `settle ${992 + index}`);
    expect(rig.trace.slice(992)).toEqual(['answer', ...newest]);
  });

  test('with ever other response topics while it is judged is answered on a few', async () => {
    const rig = new Rig();
    const open = rig.relay.hold();
    for (let copy = 0; copy < 100; copy += 1) rig.take({ responseTopic: `latchkey/v1/ekg-1/${copy}`, qos: 0 });
    await rig.settle();
    open();
    await rig.settle();
    expect(rig.sent.map(({ topic }) => topic)).toEqual([0, 1, 2, 3].map((copy) => `latchkey/v1/ekg-1/${copy}`));
  });

  test('however often from the broker before it has the answer, holds no more than a few copies', async () => {
    const rig = new Rig();
    let confirm = () => {};
    rig.confirmed = false;
    rig.confirmation = new Promise((resolve) => {
      confirm = resolve;
    });
    rig.take();
    await rig.settle();
    rig.trace.length = 0;
    for (let copy = 0; copy < 1_000; copy += 1) rig.take({ again: true });
    await rig.settle();
    expect(rig.trace).toHaveLength(992);
    confirm();
    await rig.settle();
    expect(rig.trace).toHaveLength(1_000);
  });

  test('with another response topic is answered there', async () => {
    const rig = new Rig();
    rig.take();
    await rig.settle();
    rig.take({ responseTopic: 'latchkey/v1/ekg-1/elsewhere' });
    await rig.settle();
    expect(rig.relay.requests).toHaveLength(1);
    expect(rig.sent[1]?.topic).toBe('latchkey/v1/ekg-1/elsewhere');
  });

  test('from the broker before it has the answer waits for that, and gets no second one', async () => {
    const rig = new Rig();
    let confirm = () => {};
    rig.confirmed = false;
    rig.confirmation = new Promise((resolve) => {
      confirm = resolve;
    });
    rig.take();
    await rig.settle();
    rig.take({ again: true });
    await rig.settle();
    expect(rig.trace).toEqual(['answer', 'settle']);
    confirm();
    await rig.settle();
    expect(rig.trace).toEqual(['answer', 'settle', 'settle']);
  });

  test('from a broker that had the answer is answered again: it may have lost it', async () => {
    const rig = new Rig();
    rig.take();
    await rig.settle();
    rig.take({ again: true });
    await rig.settle();
    expect(rig.trace).toEqual(['answer', 'settle', 'answer', 'settle']);
  });

  test('without correlation data is known by the mark of the broker', async () => {
    const rig = new Rig();
    rig.take({ correlationData: undefined });
    await rig.settle();
    rig.take({ correlationData: undefined, again: true });
    await rig.settle();
    expect(rig.relay.requests).toHaveLength(1);
    expect(rig.sent).toHaveLength(2);
  });

  test('after a failure is judged again', async () => {
    const rig = new Rig();
    rig.relay.answer = new LatchkeyError('as_timeout');
    rig.take();
    await rig.settle();
    rig.take();
    await rig.settle();
    expect(rig.relay.requests).toHaveLength(2);
  });

  test('after two minutes is judged again', async () => {
    const rig = new Rig();
    rig.take();
    await rig.settle();
    await rig.time.advance(120_000);
    rig.take();
    await rig.settle();
    expect(rig.relay.requests).toHaveLength(2);
  });
});

describe('is another request', () => {
  test.each([
    ['the same correlation data with another payload', { payload: '{"token":"opaque-2"}' }],
    ['the same payload with other correlation data', { correlationData: Uint8Array.of(9) }],
    [
      'the same of another device',
      { topic: 'latchkey/v1/ekg-2/introspect', responseTopic: 'latchkey/v1/ekg-2/answer' },
    ],
  ])('%s', async (_, message) => {
    const rig = new Rig();
    rig.take();
    await rig.settle();
    rig.take(message);
    await rig.settle();
    expect(rig.relay.requests).toHaveLength(2);
  });

  test('the same payload where neither has correlation data', async () => {
    const rig = new Rig();
    for (let time = 0; time < 2; time += 1) {
      rig.take({ correlationData: undefined });
      await rig.settle();
    }
    expect(rig.relay.requests).toHaveLength(2);
  });
});

describe('where too much is under way', () => {
  const busy = () => {
    const rig = new Rig({ atOnce: 1 });
    const open = rig.relay.hold();
    rig.take();
    return { rig, open };
  };

  test('a request of QoS 0 is dropped and counted', async () => {
    const { rig } = busy();
    expect(rig.take({ qos: 0, correlationData: Uint8Array.of(2) })).toBeUndefined();
    await rig.settle();
    expect(rig.relay.requests).toHaveLength(1);
    expect(rig.front.counters().dropped).toBe(1);
  });

  test('a request of QoS 1 holds the broker back until there is room, and is answered', async () => {
    const { open, rig } = busy();
    const held = rig.take({ correlationData: Uint8Array.of(2) });
    expect(held).toBeInstanceOf(Promise);
    open();
    await held;
    await rig.settle();
    expect(rig.sent).toHaveLength(2);
  });
});

describe('where one device has its share under way', () => {
  const ask = (rig: Rig, device: string, request: number, qos: 0 | 1 = 1) =>
    rig.take({
      topic: `latchkey/v1/${device}/introspect`,
      responseTopic: `latchkey/v1/${device}/answer`,
      correlationData: Uint8Array.of(request),
      qos,
    });
  const greedy = () => {
    const rig = new Rig({ atOnce: 4, ofOneDevice: 2 });
    const open = rig.relay.hold();
    for (let request = 0; request < 2; request += 1) ask(rig, 'pump-1', request);
    return { rig, open };
  };

  test('more of it of QoS 1 are refused and settled at once, and the broker is not held back', async () => {
    const { rig } = greedy();
    for (let request = 2; request < 100; request += 1) expect(ask(rig, 'pump-1', request)).toBeUndefined();
    await rig.settle();
    expect(rig.json(0)).toMatchObject({ code: 'hub_busy', status: 503 });
    expect(rig.trace.filter((step) => step === 'settle')).toHaveLength(98);
    expect(rig.relay.requests).toHaveLength(2);
  });

  test('more of it of QoS 0 are dropped', async () => {
    const { rig } = greedy();
    expect(ask(rig, 'pump-1', 2, 0)).toBeUndefined();
    await rig.settle();
    expect(rig.sent).toEqual([]);
    expect(rig.front.counters().dropped).toBe(1);
  });

  test('other devices are answered', async () => {
    const { open, rig } = greedy();
    for (let request = 2; request < 100; request += 1) ask(rig, 'pump-1', request, 0);
    expect(ask(rig, 'ekg-1', 1)).toBeUndefined();
    await rig.settle();
    expect(rig.relay.requests.map(({ device }) => device)).toEqual(['pump-1', 'pump-1', 'ekg-1']);
    open();
    await rig.settle();
    expect(rig.sent).toHaveLength(3);
  });

  test('it may ask again when it has its answers', async () => {
    const { open, rig } = greedy();
    open();
    await rig.settle();
    ask(rig, 'pump-1', 2);
    await rig.settle();
    expect(rig.relay.requests).toHaveLength(3);
  });

  test('what was dropped for want of room in all takes nothing of its share', async () => {
    const rig = new Rig({ atOnce: 1, ofOneDevice: 2 });
    const open = rig.relay.hold();
    ask(rig, 'ekg-1', 1);
    for (let request = 0; request < 5; request += 1) ask(rig, 'pump-1', request, 0);
    open();
    await rig.settle();
    ask(rig, 'pump-1', 9);
    await rig.settle();
    expect(rig.relay.requests.map(({ device }) => device)).toEqual(['ekg-1', 'pump-1']);
  });
});

describe('answers that wait for the broker', () => {
  test('leave room for other requests: what they wait for may come behind those', async () => {
    const rig = new Rig({ atOnce: 1 });
    rig.broker = () => new Promise(() => {});
    for (let request = 0; request < 3; request += 1) {
      expect(rig.take({ correlationData: Uint8Array.of(request) })).toBeUndefined();
      await rig.settle();
    }
    expect(rig.relay.requests).toHaveLength(3);
  });
});

describe('a front that closes', () => {
  test('answers what is under way and leaves the rest with the broker', async () => {
    const rig = new Rig();
    const open = rig.relay.hold();
    rig.take();
    const closed = rig.front.close();
    rig.take({ correlationData: Uint8Array.of(2) });
    open();
    await closed;
    expect(rig.relay.requests).toHaveLength(1);
    expect(rig.trace).toEqual(['answer', 'settle']);
  });
});

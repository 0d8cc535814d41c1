import { afterEach, describe, expect, test } from 'vitest';
import { DeviceQuestions, type DeviceQuestionsOptions } from '../../../drivers/mqtt/device-questions.ts';
import { monotonic, systemRandom, systemTimers } from '../../../drivers/system-time.ts';
import { utf8 } from '../../../src/core/bytes.ts';
import { LatchkeyError } from '../../../src/core/errors.ts';
import { Secret } from '../../../src/core/secret.ts';
import { QuietLog } from '../../fakes/quiet-log.ts';
import { AedesBroker } from '../../fixtures/aedes-broker.ts';
import { asyncCodeOf } from '../../fixtures/async-code-of.ts';
import { connected, type MqttRig, openMqttRig, secretOf } from '../../fixtures/mqtt-front.ts';

const open: { close(grace: number): Promise<void> }[] = [];
afterEach(async () => {
  for (const part of open.splice(0).reverse()) await part.close(500);
});

/** A hub at its embedded broker that answers as it is told. */
async function hub(answerProtected: (request: Uint8Array, device: string) => Promise<Uint8Array>): Promise<MqttRig> {
  const rig = await openMqttRig({
    answerProtected: async (request, id) => ({ kind: 'sealed', message: await answerProtected(request, id) }),
  });
  open.push(rig.front);
  await connected(rig.front);
  return rig;
}

/** Resolves when the device is connected, or knows why it is not. */
async function device(port: number, options: Partial<DeviceQuestionsOptions> = {}, id = 'ekg-1') {
  const states: (string | undefined)[] = [];
  const log = new QuietLog();
  const questions = await new Promise<DeviceQuestions>((resolve) => {
    const opened: DeviceQuestions = new DeviceQuestions({
      access: {
        host: '127.0.0.1',
        port,
        tls: undefined,
        clientId: id,
        username: id,
        password: new Secret(secretOf('ekg-1')),
      },
      topicPrefix: 'latchkey/v1',
      device: 'ekg-1',
      deadline: 5_000,
      onState: (fault) => {
        states.push(fault?.code);
        resolve(opened);
      },
      timers: systemTimers,
      clock: { monotonic },
      random: systemRandom,
      log,
      ...options,
    });
  });
  open.push(questions);
  return { questions, states, log };
}

const echo = async (request: Uint8Array, id: string) => utf8(`${id} ${Buffer.from(request)}`);

test('a question is answered, each with its own answer', async () => {
  const { front } = await hub(echo);
  const { questions, states } = await device(front.port ?? 0);
  const answers = await Promise.all(['a', 'b', 'c'].map((text) => questions.ask(utf8(text))));
  expect(answers.map(({ payload }) => String(Buffer.from(payload)))).toEqual(['ekg-1 a', 'ekg-1 b', 'ekg-1 c']);
  expect(answers[0]?.contentType).toBe('application/cose; cose-type="cose-encrypt0"');
  expect(states).toEqual([undefined]);
});

test('a hub without a verdict answers with a problem', async () => {
  const { front } = await hub(() => Promise.reject(new LatchkeyError('as_unreachable')));
  const { questions } = await device(front.port ?? 0);
  expect((await questions.ask(utf8('a'))).contentType).toBe('application/concise-problem-details+cbor');
});

describe('there is no answer', () => {
  test('without a broker', async () => {
    const { front } = await openMqttRig();
    const port = front.port ?? 0;
    await front.close(100);
    const { questions, states } = await device(port);
    expect(states[0]).toBe('broker_unreachable');
    await expect(questions.ask(utf8('a'))).rejects.toMatchObject({
      code: 'hub_no_answer',
      detail: 'broker_unreachable',
    });
  });

  test('from a broker that does not let the device in', async () => {
    const { front } = await hub(echo);
    const { questions, states } = await device(front.port ?? 0, {}, 'ekg-2');
    expect(states[0]).toBe('broker_refused');
    await expect(questions.ask(utf8('a'))).rejects.toMatchObject({ code: 'hub_no_answer', detail: 'broker_refused' });
  });

  test('where the broker does not take the question, and it says so at once', async () => {
    const broker = await AedesBroker.start({ authorizePublish: (_, __, done) => done(new Error('no')) });
    open.push({ close: () => broker.close() });
    const { questions } = await device(broker.port, { deadline: 60_000 });
    await expect(questions.ask(utf8('a'))).rejects.toMatchObject({
      code: 'hub_no_answer',
      detail: expect.stringContaining('the broker does not take the question'),
    });
  });

  test('once the deadline is over, and one that comes too late is for nobody', async () => {
    let answer: (bytes: Uint8Array) => void = () => undefined;
    const { front } = await hub(
      () =>
        new Promise((resolve) => {
          answer = resolve;
        }),
    );
    const { questions } = await device(front.port ?? 0, { deadline: 50 });
    await expect(questions.ask(utf8('a'))).rejects.toMatchObject({
      code: 'hub_no_answer',
      detail: 'nothing in 50 ms',
    });
    answer(utf8('late'));
    expect(await asyncCodeOf(questions.ask(utf8('b')))).toBe('hub_no_answer');
  });

  test('where too many questions wait already', async () => {
    const { front } = await hub(() => new Promise(() => undefined));
    const { questions } = await device(front.port ?? 0, { deadline: 500 });
    const waiting = Array.from({ length: 32 }, () => asyncCodeOf(questions.ask(utf8('a'))));
    await expect(questions.ask(utf8('b'))).rejects.toMatchObject({ detail: 'too many questions at once' });
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['hub_no_answer']));
  });
});

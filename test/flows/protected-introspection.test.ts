import { beforeEach, describe, expect, it } from 'vitest';
import { encodeCbor } from '../../src/codec/cbor.ts';
import { makeMac0 } from '../../src/codec/cose/mac0.ts';
import { makeDeviceRequest } from '../../src/codec/device-request.ts';
import { writeIntrospectionCbor } from '../../src/codec/introspection-message.ts';
import { utf8 } from '../../src/core/bytes.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import type { RelayAnswer } from '../../src/core/introspection.ts';
import { LIMITS } from '../../src/core/limits.ts';
import type { Device } from '../../src/devices/device.ts';
import { Registry } from '../../src/devices/registry.ts';
import { ProtectedIntrospection } from '../../src/flows/protected-introspection.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { FaultyStore } from '../fakes/faulty-store.ts';
import { QuietLog } from '../fakes/quiet-log.ts';
import { activeAnswer, ScriptedRelay } from '../fakes/scripted-relay.ts';
import { AskingDevice, connectedDevice, plainQuestion } from '../fixtures/connected-device.ts';

const ekg = connectedDevice('ekg-1');
const pump = connectedDevice('pump-1');
const asking = new AskingDevice(ekg);
const anyDevice = () => true;

let relay: ScriptedRelay;
let time: FakeTime;
let introspection: ProtectedIntrospection;
/** Another run of the hub. */
let restart: () => void;
const context = { id: 'request', log: new QuietLog() };

beforeEach(async () => {
  relay = new ScriptedRelay();
  time = new FakeTime();
  const registry = new Registry({ store: new FaultyStore(), log: new QuietLog() });
  await registry.add(ekg);
  await registry.add(pump);
  restart = () => {
    introspection = new ProtectedIntrospection({ registry, relay, clock: time, random: time });
  };
  restart();
  await asking.learnNonce(answerTo);
});

const answerTo = (message: Uint8Array, isExpected: (device: Device) => boolean = anyDevice) =>
  introspection.answer(message, isExpected, context);
/** The sealed answer. */
async function ask(message: Uint8Array, isExpected?: (device: Device) => boolean): Promise<Uint8Array> {
  const answer = await answerTo(message, isExpected);
  if (answer.kind !== 'sealed') throw new LatchkeyError('hub_nonce_required');
  return answer.message;
}
const codeOf = async (answer: Promise<unknown>) => {
  try {
    await answer;
  } catch (error) {
    return error instanceof LatchkeyError ? error.code : `uncoded: ${String(error)}`;
  }
  return 'none';
};

describe('a device that shows who it is', () => {
  it('gets an answer that it alone can read', async () => {
    const { message, nonce } = asking.request(plainQuestion());
    const answer = await ask(message);
    expect(asking.read(answer, nonce)).toMatchObject({ active: true, members: { sub: 'doctor-7' }, proof: 'none' });
    expect(Buffer.from(answer).includes('doctor-7')).toBe(false);
    expect(relay.requests[0]).toMatchObject({ device: 'ekg-1', proof: undefined });
  });

  it('learns why a proof was refused', async () => {
    relay.answer = { active: false, code: 'proof_replayed', freshness: undefined };
    const proof = { kind: 'cose', message: new Uint8Array(40), nonce: new Uint8Array(8) } as const;
    const { message, nonce } = asking.request({ ...plainQuestion(), proof, clientFormat: 'cose' });
    expect(asking.read(await ask(message), nonce)).toMatchObject({ active: false, code: 'proof_replayed' });
  });

  it('learns nothing but that of a token without a proof', async () => {
    relay.answer = { active: false, code: 'jwt_expired', freshness: undefined };
    const { message, nonce } = asking.request(plainQuestion());
    expect(asking.read(await ask(message), nonce)).toMatchObject({ active: false, code: undefined });
  });

  it('is told where no verdict is possible', async () => {
    relay.answer = new LatchkeyError('as_unreachable');
    expect(await codeOf(ask(asking.request(plainQuestion()).message))).toBe('as_unreachable');
  });

  it('is told of a question that is none', async () => {
    const { device, introspectKey } = asking.credentials;
    const payload = encodeCbor(new Map([[12, 'x']]));
    const { hubNonce } = asking;
    const message = makeDeviceRequest({ device, nonce: asking.nextNonce(), hubNonce, key: introspectKey, payload });
    expect(await codeOf(ask(message))).toBe('request_invalid');
    expect(relay.requests).toEqual([]);
  });
});

describe('a request that comes twice', () => {
  it('is answered twice and judged once', async () => {
    const { message } = asking.request(plainQuestion());
    const first = await ask(message);
    expect(await ask(message)).toBe(first);
    expect(relay.requests).toHaveLength(1);
  });

  it('is judged once while the first is under way', async () => {
    let finish: (answer: RelayAnswer) => void = () => undefined;
    relay.answer = () =>
      new Promise((resolve) => {
        finish = resolve;
      });
    const { message } = asking.request(plainQuestion());
    const both = [ask(message), ask(message)];
    await time.advance(1);
    finish(activeAnswer());
    const [first, second] = await Promise.all(both);
    expect(first).toBe(second);
    expect(relay.requests).toHaveLength(1);
  });

  it('is judged once with something unauthenticated put beside it on the way', async () => {
    const question = plainQuestion();
    const nonce = asking.nextNonce();
    const { device, introspectKey: key } = asking.credentials;
    const altered = makeMac0({
      payload: writeIntrospectionCbor(question),
      key,
      externalAad: encodeCbor(['latchkey-introspect-1', device, nonce]),
      protectedHeader: new Map([[-65540, asking.hubNonce as Uint8Array]]),
      unprotectedHeader: new Map<number | string, Uint8Array | string>([
        [4, utf8(device)],
        [-65537, nonce],
        ['x', 'put there'],
      ]),
    });
    const first = await ask(altered);
    expect(await ask(asking.request(question, nonce).message)).toBe(first);
    expect(relay.requests).toHaveLength(1);
  });

  it('is judged again where the first found no verdict', async () => {
    relay.answer = new LatchkeyError('as_timeout');
    const { message, nonce } = asking.request(plainQuestion());
    expect(await codeOf(ask(message))).toBe('as_timeout');
    relay.answer = activeAnswer();
    expect(asking.read(await ask(message), nonce).active).toBe(true);
  });

  it('never serves as the answer to another question', async () => {
    const nonce = asking.nextNonce();
    await ask(asking.request(plainQuestion('good'), nonce).message);
    expect(await codeOf(ask(asking.request(plainQuestion('other'), nonce).message))).toBe('device_nonce_reused');
    expect(relay.requests).toHaveLength(1);
  });

  it('is known for each device by itself', async () => {
    const nonce = asking.nextNonce();
    await ask(asking.request(plainQuestion(), nonce).message);
    const other = new AskingDevice(pump);
    other.hubNonce = asking.hubNonce;
    await ask(other.request(plainQuestion(), nonce).message);
    expect(relay.requests.map(({ device }) => device)).toEqual(['ekg-1', 'pump-1']);
  });

  it('is refused where answers took more memory than they may, and not judged again', async () => {
    relay.answer = activeAnswer({ members: { sub: 'x'.repeat(8_000) } });
    const first = asking.request(plainQuestion(), new Uint8Array(12)).message;
    await ask(first);
    for (let count = 0; count <= LIMITS.deviceAnswerBytes / 8_000; count++) {
      const nonce = new Uint8Array(12);
      new DataView(nonce.buffer).setUint32(0, count + 1);
      await ask(asking.request(plainQuestion(), nonce).message);
    }
    const before = relay.requests.length;
    expect(await codeOf(ask(first))).toBe('question_replayed');
    expect(relay.requests).toHaveLength(before);
  });
});

describe('a question that somebody recorded', () => {
  it('is never judged again: within its time it gets the same answer, and then none', async () => {
    const { message } = asking.request(plainQuestion());
    const first = await ask(message);
    // All the time that a nonce may live, and all that questions are remembered.
    for (let second = 1; second < 300; second++) {
      await time.advance(1_000);
      const again = await answerTo(message);
      if (again.kind === 'sealed') expect(again.message).toBe(first);
      expect(relay.requests).toHaveLength(1);
    }
    for (const hours of [1, 8, 20]) {
      await time.advance(hours * 3_600_000);
      expect((await answerTo(message)).kind).toBe('nonce_required');
    }
    expect(relay.requests).toHaveLength(1);
  });

  it('is not judged by another run of the hub', async () => {
    const { message } = asking.request(plainQuestion());
    await ask(message);
    restart();
    expect((await answerTo(message)).kind).toBe('nonce_required');
    expect(relay.requests).toHaveLength(1);
  });

  it.each([0, 1, 30_000, 59_999])(
    'is known for as long as its nonce is good, asked %i ms into its time',
    async (into) => {
      await time.advance(into);
      const { message } = asking.request(plainQuestion());
      await ask(message);
      for (let step = 0; step < 130; step++) {
        await time.advance(1_000);
        await answerTo(message);
      }
      expect(relay.requests).toHaveLength(1);
    },
  );
});

describe('the nonce of the hub', () => {
  it('is wanted in every question: without one nothing is judged', async () => {
    asking.hubNonce = undefined;
    const answer = await answerTo(asking.request(plainQuestion()).message);
    expect(answer).toEqual({ kind: 'nonce_required', nonce: expect.any(Uint8Array) });
    expect(relay.requests).toEqual([]);
  });

  it('that the hub never gave is as none', async () => {
    asking.hubNonce = new Uint8Array(8);
    expect((await answerTo(asking.request(plainQuestion()).message)).kind).toBe('nonce_required');
  });

  it('of two minutes ago is as none, and the refusal has one that is taken', async () => {
    await time.advance(120_000);
    const answer = await answerTo(asking.request(plainQuestion()).message);
    asking.hubNonce = answer.kind === 'nonce_required' ? answer.nonce : undefined;
    await ask(asking.request(plainQuestion()).message);
    expect(relay.requests).toHaveLength(1);
  });

  it('of a minute ago is good', async () => {
    await time.advance(60_000);
    await ask(asking.request(plainQuestion()).message);
    expect(relay.requests).toHaveLength(1);
  });

  it('comes anew with every answer: a device that asks every minute never asks twice', async () => {
    for (let minute = 0; minute < 10; minute++) {
      const { message, nonce } = asking.request(plainQuestion());
      asking.read(await ask(message), nonce);
      await time.advance(60_000);
    }
    expect(relay.requests).toHaveLength(10);
  });

  it('cannot be put into a question on its way', async () => {
    const { hubNonce } = asking;
    asking.hubNonce = new Uint8Array(8);
    const { message } = asking.request(plainQuestion());
    const at = Buffer.from(message).indexOf(Buffer.alloc(8));
    const forged = Uint8Array.from(message);
    forged.set(hubNonce as Uint8Array, at);
    expect(await codeOf(answerTo(forged))).toBe('device_unauthenticated');
  });

  it('is given to nobody who cannot show who it is', async () => {
    const stranger = new AskingDevice(connectedDevice('ekg-1', { rootKey: pump.rootKey }));
    expect(await codeOf(answerTo(stranger.request(plainQuestion()).message))).toBe('device_unauthenticated');
  });
});

describe('room for questions that are remembered', () => {
  const nonceOf = (count: number) => {
    const nonce = new Uint8Array(12);
    new DataView(nonce.buffer).setUint32(0, count);
    return nonce;
  };

  it('is refused to a device that has its share, and not to others', async () => {
    for (let count = 0; count < LIMITS.deviceQuestionsPerDevice; count++) {
      await ask(asking.request(plainQuestion(), nonceOf(count)).message);
    }
    const more = asking.request(plainQuestion(), nonceOf(LIMITS.deviceQuestionsPerDevice)).message;
    expect(await codeOf(ask(more))).toBe('hub_busy');
    const other = new AskingDevice(pump);
    other.hubNonce = asking.hubNonce;
    await ask(other.request(plainQuestion()).message);
    await time.advance(120_000);
    await asking.learnNonce(answerTo);
    await ask(asking.request(plainQuestion(), nonceOf(0)).message);
  });

  it('is not taken by questions that found no verdict', async () => {
    relay.answer = new LatchkeyError('as_timeout');
    for (let count = 0; count < LIMITS.deviceQuestionsPerDevice + 10; count++) {
      expect(await codeOf(ask(asking.request(plainQuestion(), nonceOf(count)).message))).toBe('as_timeout');
    }
  });
});

describe('nobody is answered', () => {
  it('for a device that is not registered', async () => {
    const { message } = new AskingDevice(connectedDevice('ekg-9')).request(plainQuestion());
    await expect(ask(message)).rejects.toMatchObject({
      code: 'device_unauthenticated',
      detail: 'no such device is registered',
    });
  });

  it('for a device that may not speak here', async () => {
    const { message } = asking.request(plainQuestion());
    expect(await codeOf(ask(message, (device) => device.id === 'pump-1'))).toBe('device_unauthenticated');
  });

  it('under the key of another device', async () => {
    const key = new AskingDevice(pump).credentials.introspectKey;
    const payload = writeIntrospectionCbor(plainQuestion());
    const { hubNonce } = asking;
    const message = makeDeviceRequest({ device: 'ekg-1', nonce: asking.nextNonce(), hubNonce, key, payload });
    await expect(ask(message)).rejects.toMatchObject({
      code: 'device_unauthenticated',
      detail: 'ekg-1: cose_verification_failed',
    });
  });

  it('with a MAC of another algorithm', async () => {
    const { device, sessionKey } = asking.credentials;
    const key = { algorithm: 'HMAC 256/256', keyId: undefined, key: sessionKey.key } as const;
    const payload = new Uint8Array(1);
    const { hubNonce } = asking;
    const message = makeDeviceRequest({ device, nonce: asking.nextNonce(), hubNonce, key, payload });
    expect(await codeOf(ask(message))).toBe('device_unauthenticated');
  });

  it('without the MAC of a request that was answered, either', async () => {
    const { message } = asking.request(plainQuestion());
    await ask(message);
    const forged = Uint8Array.from(message);
    forged[forged.length - 1] = (forged.at(-1) as number) ^ 1;
    expect(await codeOf(ask(forged))).toBe('device_unauthenticated');
  });

  it('for something that is no message', async () => {
    expect(await codeOf(ask(utf8('hello')))).toBe('cbor_invalid');
    expect(await codeOf(ask(encodeCbor(['a'])))).toBe('cose_invalid');
    expect(relay.requests).toEqual([]);
  });
});

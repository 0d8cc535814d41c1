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
const context = { id: 'request', log: new QuietLog() };

beforeEach(async () => {
  relay = new ScriptedRelay();
  time = new FakeTime();
  const registry = new Registry({ store: new FaultyStore(), log: new QuietLog() });
  await registry.add(ekg);
  await registry.add(pump);
  introspection = new ProtectedIntrospection({ registry, relay, clock: time, random: time });
});

const ask = (message: Uint8Array, isExpected: (device: Device) => boolean = anyDevice) =>
  introspection.answer(message, isExpected, context);
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
    const message = makeDeviceRequest({ device, nonce: asking.nextNonce(), key: introspectKey, payload });
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

  it('is judged again after its answer was forgotten', async () => {
    const { message } = asking.request(plainQuestion());
    await ask(message);
    await time.advance(119_999);
    await ask(message);
    expect(relay.requests).toHaveLength(1);
    await time.advance(1);
    await ask(message);
    expect(relay.requests).toHaveLength(2);
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
    await ask(new AskingDevice(pump).request(plainQuestion(), nonce).message);
    expect(relay.requests.map(({ device }) => device)).toEqual(['ekg-1', 'pump-1']);
  });

  it('is forgotten before answers take more memory than they may', async () => {
    relay.answer = activeAnswer({ members: { sub: 'x'.repeat(8_000) } });
    const first = asking.request(plainQuestion(), new Uint8Array(12)).message;
    await ask(first);
    for (let count = 0; count <= LIMITS.deviceAnswerBytes / 8_000; count++) {
      const nonce = new Uint8Array(12);
      new DataView(nonce.buffer).setUint32(0, count + 1);
      await ask(asking.request(plainQuestion(), nonce).message);
    }
    const before = relay.requests.length;
    await ask(first);
    expect(relay.requests).toHaveLength(before + 1);
  });
});

describe('nobody is answered', () => {
  it('for a device that is not registered', async () => {
    const { message } = new AskingDevice(connectedDevice('ekg-9')).request(plainQuestion());
    expect(await codeOf(ask(message))).toBe('device_unauthenticated');
  });

  it('for a device that may not speak here', async () => {
    const { message } = asking.request(plainQuestion());
    expect(await codeOf(ask(message, (device) => device.id === 'pump-1'))).toBe('device_unauthenticated');
  });

  it('under the key of another device', async () => {
    const key = new AskingDevice(pump).credentials.introspectKey;
    const payload = writeIntrospectionCbor(plainQuestion());
    const message = makeDeviceRequest({ device: 'ekg-1', nonce: asking.nextNonce(), key, payload });
    expect(await codeOf(ask(message))).toBe('device_unauthenticated');
  });

  it('with a MAC of another algorithm', async () => {
    const { device, sessionKey } = asking.credentials;
    const key = { algorithm: 'HMAC 256/256', keyId: undefined, key: sessionKey.key } as const;
    const message = makeDeviceRequest({ device, nonce: asking.nextNonce(), key, payload: new Uint8Array(1) });
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

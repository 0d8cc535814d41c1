import { afterEach, expect, test, vi } from 'vitest';
import { DeliveryBoard } from '../../../drivers/mqtt/delivery-board.ts';
import { Topics } from '../../../drivers/mqtt/topics.ts';
import { fromUtf8 } from '../../../src/core/bytes.ts';
import type { OutgoingMessage, SentMessage } from '../../../src/ports/message-broker.ts';
import type { DeliverySummary, DeliveryView } from '../../../src/ports/northbound.ts';
import { MqttDevice } from '../../fixtures/mqtt-device.ts';
import { connected, openMqttRig, secretOf } from '../../fixtures/mqtt-front.ts';

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function view(device: string, state: DeliveryView['state']): DeliveryView {
  return {
    delivery: 'd1',
    state,
    device,
    audience: `coap://${device}`,
    token_hash: 'q83vEjRWeJo',
    cti: '00',
    expires_at: 1,
    scope: 'read',
    bytes: { jwt: 1, cwt: 1 },
    freshness: { keys_age: 0, clock: 'sure' },
  };
}

function summary(device: string, waiting: number, state?: DeliveryView['state']): DeliverySummary {
  return { device, waiting, ...(state === undefined ? {} : { delivery: view(device, state) }) };
}

/** A board at a broker that confirms when it is told to. */
function board() {
  const said: OutgoingMessage[] = [];
  const confirm: (() => void)[] = [];
  const publish = async (message: OutgoingMessage): Promise<SentMessage> => {
    said.push(message);
    return {
      isConfirmed: () => false,
      refusal: () => undefined,
      confirmed: new Promise((resolve) => confirm.push(resolve)),
    };
  };
  return { board: new DeliveryBoard({ publish, topics: new Topics('latchkey/v1') }), confirm, said };
}

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

test('while the broker is away only the newest state of each device is kept', async () => {
  const { board: opened, confirm, said } = board();
  for (let waiting = 1; waiting <= 100; waiting += 1) {
    opened.post(summary('tube-1', waiting, 'queued'));
    opened.post(summary('tube-2', waiting, 'queued'));
  }
  await settle();
  expect(said).toHaveLength(1);
  for (let turn = 0; turn < 10; turn += 1) {
    confirm.shift()?.();
    await settle();
  }
  expect(said.map(({ payload, topic }) => [topic, JSON.parse(fromUtf8(payload)).waiting])).toEqual([
    ['latchkey/v1/tube-1/deliveries', 1],
    ['latchkey/v1/tube-2/deliveries', 100],
    ['latchkey/v1/tube-1/deliveries', 100],
  ]);
});

test('who listens later hears how it stands, also of what waited when the hub started', async () => {
  let told: (summary: DeliverySummary) => void = () => undefined;
  const { front } = await openMqttRig({
    deliveries: {
      now: () => [summary('tube-1', 1, 'queued'), summary('tube-2', 1, 'queued')],
      watch: (listener) => {
        told = listener;
        return () => undefined;
      },
    },
  });
  closers.push(() => front.close(1_000));
  await connected(front);
  told(summary('tube-2', 0, 'delivered'));
  told(summary('tube-3', 2, 'queued'));
  told(summary('tube-3', 0));
  const heardBy = async (device: string) => {
    const topic = `latchkey/v1/${device}/deliveries`;
    const listener = await MqttDevice.connect({ port: front.port ?? 0, device, password: secretOf(device) });
    await listener.client.subscribeAsync(topic);
    // What the broker had for the listener came before the answer to a question that was asked after it.
    await listener.ask('{"token":"opaque-1"}');
    await listener.close();
    return listener.answers.filter((each) => each.topic === topic).map(({ payload }) => JSON.parse(payload.toString()));
  };
  await vi.waitFor(async () => expect(await heardBy('tube-1')).toMatchObject([{ waiting: 1, device: 'tube-1' }]));
  await vi.waitFor(async () =>
    expect(await heardBy('tube-2')).toMatchObject([{ waiting: 0, delivery: { state: 'delivered' } }]),
  );
  await vi.waitFor(async () => expect(await heardBy('tube-3')).toEqual([]));
});

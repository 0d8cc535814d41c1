import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Peripheral, type PeripheralOptions, servePeripheral } from '../../../drivers/ble/peripheral.ts';
import { COAP_CODE, COAP_METHOD } from '../../../src/codec/iana.ts';
import { EMPTY, utf8 } from '../../../src/core/bytes.ts';
import type { CoapRequest } from '../../../src/core/coap-exchange.ts';
import { FakeTime } from '../../fakes/fake-time.ts';
import { asyncCodeOf } from '../../fixtures/async-code-of.ts';
import { GattHub } from '../../fixtures/gatt-hub.ts';
import { system } from '../../fixtures/line-rig.ts';
import { NobleCentral, type NobleLink, type NoblePeripheral } from '../../fixtures/noble-central.ts';
import type { Adapter } from '../../fixtures/virtual-radio/adapter.ts';
import { ATTRIBUTE } from '../../fixtures/virtual-radio/hci-numbers.ts';
import { VirtualRadio } from '../../fixtures/virtual-radio/virtual-radio.ts';

const DEADLINE = { deadline: 5_000 };

let radio: VirtualRadio;
let tube: Adapter;
let central: NobleCentral;
let heard: CoapRequest[];
const closers: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  heard = [];
  radio = new VirtualRadio();
  tube = await radio.plugIn({ advertisingInterval: 20 });
  central = await NobleCentral.open((await radio.plugIn()).path);
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  central.close();
  await radio.close();
});

/** It answers with 100 bytes, more than an indication has at MTU 23. */
async function serve(options: Partial<PeripheralOptions> = {}): Promise<Peripheral> {
  const peripheral = await servePeripheral({
    ...system,
    name: 'tube-1',
    hci: tube.path,
    handler: async (request) => {
      heard.push(request);
      return { code: COAP_CODE.content, payload: new Uint8Array(100).fill(7) };
    },
    ...options,
  });
  closers.push(() => peripheral.close());
  return peripheral;
}

async function found(): Promise<NoblePeripheral> {
  const [peripheral] = await central.find('tube-1');
  if (peripheral === undefined) throw new Error('nobody found');
  return peripheral;
}

async function connected(hub = new GattHub()): Promise<{ hub: GattHub; link: NobleLink; peripheral: NoblePeripheral }> {
  const peripheral = await found();
  const link = await hub.connect(central, peripheral);
  closers.push(async () => hub.endpoint.close());
  return { hub, link, peripheral };
}

const get = (path: string): CoapRequest => ({ method: COAP_METHOD.GET, path: [path] });
const post = (path: string, length: number): CoapRequest => ({
  method: COAP_METHOD.POST,
  path: [path],
  payload: Uint8Array.from({ length }, (_, index) => index & 0xff),
});

test('a request of the hub is answered', async () => {
  const device = await serve();
  const { hub } = await connected();
  const answer = await hub.endpoint.request(get('temperature'), DEADLINE);
  expect(answer).toEqual({ code: COAP_CODE.content, payload: new Uint8Array(100).fill(7) });
  expect(heard).toEqual([get('temperature')].map((request) => expect.objectContaining(request)));
  expect(device.isConnected()).toBe(true);
  expect(device.address).toBe('ble:tube-1');
});

test('the device asks the hub over the same connection', async () => {
  const device = await serve();
  const asked: CoapRequest[] = [];
  await connected(
    new GattHub({
      handler: async (request) => {
        asked.push(request);
        return { code: COAP_CODE.content, payload: utf8('noon') };
      },
    }),
  );
  const answer = await device.request(get('time'), DEADLINE);
  expect(answer.payload).toEqual(utf8('noon'));
  expect(asked.map(({ path }) => path)).toEqual([['time']]);
});

test('both ask at once, and both are answered', async () => {
  const device = await serve();
  const { hub } = await connected(
    new GattHub({ handler: async () => ({ code: COAP_CODE.content, payload: new Uint8Array(400).fill(9) }) }),
  );
  const answers = await Promise.all([
    hub.endpoint.request(get('temperature'), DEADLINE),
    device.request(post('introspect', 400), DEADLINE),
  ]);
  expect(answers.map(({ payload }) => payload.length)).toEqual([100, 400]);
});

test('with MTU 23 what is longer than an indication is read', async () => {
  tube.controller.faults.attMtu = 23;
  await serve();
  const { hub, link } = await connected();
  const answer = await hub.endpoint.request(post('authz-info', 300), DEADLINE);
  expect(answer.payload).toHaveLength(100);
  expect(link.indicated.map(({ length }) => length)).toContain(20);
  expect(heard[0]?.payload).toEqual(post('authz-info', 300).payload);
});

test('a body in blocks goes on after a lost link, and is acted on once', async () => {
  await serve();
  const { hub, link, peripheral } = await connected();
  const carried = tube.controller.lastLink?.carried.toPeripheral ?? 0;
  const lost = tube.controller.faults.loseLinkAfter('toPeripheral', carried + 700);
  const answer = hub.endpoint.request(post('authz-info', 1_000), { deadline: 10_000 });
  await lost;
  await link.gone;
  await hub.connect(central, peripheral);
  expect((await answer).code).toBe(COAP_CODE.content);
  expect(heard.map(({ payload }) => payload)).toEqual([post('authz-info', 1_000).payload]);
  // Two of the four blocks were there.
  expect(tube.controller.lastLink?.carried.toPeripheral).toBeLessThan(carried + 700);
});

test('it advertises again when its hub is gone', async () => {
  const device = await serve();
  const { link, peripheral } = await connected();
  expect(tube.controller.isAdvertising).toBe(false);
  await peripheral.disconnectAsync();
  await link.gone;
  await expect.poll(() => tube.controller.isAdvertising).toBe(true);
  expect(device.isConnected()).toBe(false);
});

test('a hub that acknowledges nothing is let go', async () => {
  const device = await serve({ settings: { acknowledgementDeadline: 200 } });
  const peripheral = await found();
  const link = await central.link(peripheral);
  const code = asyncCodeOf(device.request(get('time'), DEADLINE));
  await link.gone;
  expect(await code).toBe('device_no_answer');
});

test('a hub that confirms no indication is let go', async () => {
  const device = await serve({ settings: { acknowledgementDeadline: 200 } });
  tube.controller.faults.drop('toPeripheral', ATTRIBUTE.confirmation);
  const { link } = await connected(new GattHub({ handler: async () => ({ code: COAP_CODE.content, payload: EMPTY }) }));
  await device.request(get('time'), DEADLINE);
  const code = asyncCodeOf(device.request(get('time'), DEADLINE));
  await link.gone;
  expect(await code).toBe('device_no_answer');
});

test('closing says goodbye to the hub and frees the adapter for the next', async () => {
  const device = await serve();
  const { link } = await connected();
  await device.close();
  expect(typeof (await link.gone)).toBe('number');
  closers.splice(0, 1);
  await serve({ name: 'tube-2' });
  expect(await central.find('tube-2')).toHaveLength(1);
});

test('while it serves, nothing of bleno listens to SIGINT', async () => {
  const before = process.listenerCount('SIGINT');
  await serve();
  expect(process.listenerCount('SIGINT')).toBe(before);
});

test('a path without a device is refused', async () => {
  expect(await asyncCodeOf(serve({ hci: '/nonexistent/hci' }))).toBe('peripheral_adapter_down');
});

test('an adapter that answers nothing is refused after a while', async () => {
  tube.controller.hangs = true;
  const timers = new FakeTime();
  const code = asyncCodeOf(serve({ timers }));
  await expect.poll(() => timers.pendingTimers).toBeGreaterThan(0);
  await timers.advance(5_000);
  expect(await code).toBe('peripheral_adapter_down');
});

test.each(['', 'x'.repeat(30)])('the name "%s" is refused', async (name) => {
  expect(await asyncCodeOf(serve({ name }))).toBe('usage');
});

/** A device that answers 5.03: it is tried again, at the latest when it must have room, and those who wait hear why. */
import { expect, test } from 'vitest';
import { codeNumber } from '../../src/codec/coap/codes.ts';
import { makeReceipt, readReceiptQuery, tokenHash } from '../../src/codec/signed-request.ts';
import { EMPTY, utf8 } from '../../src/core/bytes.ts';
import type { CoapRequest, CoapResponse } from '../../src/core/coap-exchange.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import { DeliveryQueue } from '../../src/devices/delivery-queue.ts';
import type { Device } from '../../src/devices/device.ts';
import { answerKey } from '../../src/devices/device-trust.ts';
import { Registry } from '../../src/devices/registry.ts';
import { Dispatcher } from '../../src/flows/dispatch.ts';
import { AuditList } from '../fakes/audit-list.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { FaultyStore } from '../fakes/faulty-store.ts';
import { QuietLog } from '../fakes/quiet-log.ts';
import { ScriptedLink } from '../fakes/scripted-link.ts';
import { connectedDevice } from '../fixtures/connected-device.ts';

const NOW = 1_700_000_000;
const full: CoapResponse = { code: codeNumber('5.03'), payload: EMPTY };

function accepted(of: Device, request: CoapRequest): CoapResponse {
  const nonce = readReceiptQuery(request.query ?? []) ?? EMPTY;
  const hash = tokenHash(request.payload ?? EMPTY);
  const receipt = makeReceipt({ key: answerKey(of), tokenHash: hash, audience: of.audience, nonce });
  return { code: codeNumber('2.01'), payload: receipt };
}

async function setup() {
  const [time, log, store, audit] = [new FakeTime({ now: NOW }), new QuietLog(), new FaultyStore(), new AuditList()];
  time.setFraction(1);
  const registry = new Registry({ store, log });
  const tube = connectedDevice('tube-1', { line: 'line-1' });
  await registry.add(tube);
  const queue = new DeliveryQueue({ store, log, clock: time });
  const line = new ScriptedLink((request) => accepted(tube, request));
  const dispatcher = new Dispatcher({
    queue,
    registry,
    link: () => line,
    certain: () => time.certain(),
    timers: time,
    monotonic: () => time.monotonic(),
    random: time,
    log,
    audit,
    attemptTimeout: 5_000,
    longestPause: 600_000,
  });
  let made = 0;
  const add = (expiresAt: number) => {
    made += 1;
    const cwt = utf8(`token ${made}`);
    return queue.add({
      id: made.toString(16).padStart(32, '0'),
      device: 'tube-1',
      audience: tube.audience,
      cwt: new Secret(cwt),
      tokenHash: tokenHash(cwt),
      cti: cwt,
      expiresAt,
      scope: 'read',
      jwtBytes: 1,
      cwtBytes: cwt.length,
      keysAge: 0,
      clock: 'sure',
      request: 'r',
    });
  };
  /** A token that the device has, until then. */
  const hold = async (expiresAt: number) => {
    const { id } = await add(expiresAt);
    dispatcher.wake('tube-1');
    await settle();
    expect(queue.get(id).state).toBe('delivered');
  };
  const fill = () => {
    line.answer = () => full;
    line.requests.length = 0;
  };
  return { add, audit, dispatcher, fill, hold, line, queue, time, tube };
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
}

async function after(time: FakeTime, milliseconds: number): Promise<void> {
  await time.advance(milliseconds);
  await settle();
}

test('is tried again with growing pauses, and its state says that it is full', async () => {
  const { add, dispatcher, fill, line, queue, time } = await setup();
  fill();
  const { id } = await add(NOW + 3_600);
  dispatcher.wake('tube-1');
  await settle();
  expect([queue.get(id).state, dispatcher.difficulty('tube-1')]).toEqual([
    'queued',
    { code: 'device_full', failures: 1 },
  ]);
  const attempts: number[] = [];
  for (const pause of [1_000, 2_000, 4_000]) {
    await after(time, pause);
    attempts.push(line.requests.length);
  }
  expect(attempts).toEqual([2, 3, 4]);
});

test('is tried when the first of its tokens expires, however long the pause, and soon after that', async () => {
  const { add, dispatcher, fill, hold, line, queue, time, tube } = await setup();
  await hold(NOW + 900);
  await hold(NOW + 1_000);
  fill();
  const { id } = await add(NOW + 36_000);
  dispatcher.wake('tube-1');
  // The pause that is under way then would end after 1,023 s.
  await after(time, 899_000);
  const before = line.requests.length;
  await after(time, 1_000);
  expect(line.requests.length).toBe(before + 1);
  // The clock of the device is a little behind that of the hub.
  line.answer = (request) => accepted(tube, request);
  await after(time, 1_000);
  expect(queue.get(id).state).toBe('delivered');
});

test('those who wait hear that it is full, and that it is not any more', async () => {
  const { add, dispatcher, fill, line, queue, time } = await setup();
  fill();
  const first = await add(NOW + 3_600);
  const second = await add(NOW + 3_600);
  const heard: unknown[] = [];
  for (const { id } of [first, second])
    queue.watchers.watch(id, ({ state }) => heard.push([id, state, dispatcher.difficulty('tube-1')?.code]));
  dispatcher.wake('tube-1');
  await settle();
  await after(time, 1_000);
  expect(heard).toEqual([
    [first.id, 'queued', 'device_full'],
    [second.id, 'queued', 'device_full'],
  ]);
  heard.length = 0;
  line.answer = () => new LatchkeyError('device_no_answer');
  await after(time, 2_000);
  expect(heard).toEqual([
    [first.id, 'queued', 'device_no_answer'],
    [second.id, 'queued', 'device_no_answer'],
  ]);
});

test('a client that waits for its answer goes on waiting', async () => {
  const { add, dispatcher, fill, line, time, tube } = await setup();
  fill();
  const { id } = await add(NOW + 3_600);
  dispatcher.wake('tube-1');
  const settled = dispatcher.settled(id, 5_000);
  await settle();
  line.answer = (request) => accepted(tube, request);
  await after(time, 1_000);
  expect((await settled).state).toBe('delivered');
});

test('is known to have been full for long while something waits for it, and no longer', async () => {
  const { add, dispatcher, fill, time } = await setup();
  fill();
  const { id } = await add(NOW + 3_600);
  dispatcher.wake('tube-1');
  await after(time, 59_000);
  expect(dispatcher.fullFor(60_000)).toEqual([]);
  await after(time, 1_000);
  expect(dispatcher.fullFor(60_000)).toEqual(['tube-1']);
  await dispatcher.cancel(id);
  expect(dispatcher.fullFor(60_000)).toEqual([]);
});

test('a delivery that is cancelled is tried no more, and the next one comes at once', async () => {
  const { add, audit, dispatcher, line, queue, tube } = await setup();
  const first = await add(NOW + 3_600);
  const second = await add(NOW + 3_600);
  line.answer = () => 'silence';
  dispatcher.wake('tube-1');
  await settle();
  line.answer = (request) => accepted(tube, request);
  const [one, two] = await Promise.all([dispatcher.cancel(first.id), dispatcher.cancel(first.id)]);
  await settle();
  expect([one, two]).toMatchObject([
    { isFirst: true, delivery: { state: 'cancelled', code: 'delivery_cancelled', cwt: undefined } },
    { isFirst: false, delivery: { state: 'cancelled' } },
  ]);
  expect(queue.get(second.id).state).toBe('delivered');
  expect(audit.entries.map(({ code, delivery, verdict }) => [delivery, verdict, code])).toEqual([
    [first.id, 'cancelled', 'delivery_cancelled'],
    [second.id, 'delivered', undefined],
  ]);
  expect(line.requests).toHaveLength(2);
});

test('an answer and a cancellation that come together make one end', async () => {
  const { add, audit, dispatcher, queue } = await setup();
  const { id } = await add(NOW + 3_600);
  dispatcher.wake('tube-1');
  const { delivery, isFirst } = await dispatcher.cancel(id);
  await settle();
  expect(audit.entries.map(({ verdict }) => verdict)).toEqual([delivery.state]);
  expect(queue.get(id).state).toBe(delivery.state);
  expect(isFirst).toBe(delivery.state === 'cancelled');
  expect(await dispatcher.cancel(id)).toMatchObject({ isFirst: false, delivery: { state: delivery.state } });
});

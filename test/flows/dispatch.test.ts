import { describe, expect, test } from 'vitest';
import { codeNumber } from '../../src/codec/coap/codes.ts';
import { makeReceipt, readReceiptQuery, tokenHash } from '../../src/codec/signed-request.ts';
import { EMPTY, utf8 } from '../../src/core/bytes.ts';
import type { CoapRequest, CoapResponse } from '../../src/core/coap-exchange.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import { DeliveryQueue } from '../../src/devices/delivery-queue.ts';
import type { Device } from '../../src/devices/device.ts';
import { answerKey } from '../../src/devices/device-trust.ts';
import { profileFromJson } from '../../src/devices/profile.ts';
import { Registry } from '../../src/devices/registry.ts';
import { Dispatcher } from '../../src/flows/dispatch.ts';
import type { Errand } from '../../src/flows/errand.ts';
import { AuditList } from '../fakes/audit-list.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { FaultyStore } from '../fakes/faulty-store.ts';
import { QuietLog } from '../fakes/quiet-log.ts';
import { ScriptedLink } from '../fakes/scripted-link.ts';

const NOW = 1_700_000_000;

function device(changes: Partial<Device> = {}, profile: Record<string, string> = {}): Device {
  return {
    id: 'tube-1',
    audience: 'coap://tube-1',
    line: 'line-1',
    profile: profileFromJson({ scopes: ['read'], ...profile }),
    issuers: undefined,
    rootKey: new Secret(new Uint8Array(32).fill(7)),
    trustVersion: 1,
    addedAt: NOW,
    ...changes,
  };
}

/** The answer of a device that took the token of this request, or of `cwt` where it mistakes one for another. */
function accepted(of: Device, request: CoapRequest, cwt = request.payload ?? EMPTY): CoapResponse {
  const nonce = readReceiptQuery(request.query ?? []) ?? EMPTY;
  const receipt = makeReceipt({ key: answerKey(of), tokenHash: tokenHash(cwt), audience: of.audience, nonce });
  return { code: codeNumber('2.01'), payload: receipt };
}

const refused = (code: string): CoapResponse => ({ code: codeNumber(code), payload: EMPTY });

/** As a device refuses whose word must be proven. */
function refusedBy(of: Device, request: CoapRequest, code: string): CoapResponse {
  const nonce = readReceiptQuery(request.query ?? []) ?? EMPTY;
  const hash = tokenHash(request.payload ?? EMPTY);
  const refusal = codeNumber(code);
  const payload = makeReceipt({ key: answerKey(of), tokenHash: hash, audience: of.audience, nonce, refusal });
  return { code: refusal, payload };
}

async function setup(
  link: (of: Device) => ScriptedLink,
  of = device(),
  certain?: () => number,
  errands: readonly Errand[] = [],
) {
  const time = new FakeTime({ now: NOW });
  const log = new QuietLog();
  const store = new FaultyStore();
  const registry = new Registry({ store, log });
  await registry.add(of);
  const queue = new DeliveryQueue({ store, log, clock: time });
  const line = link(of);
  const audit = new AuditList();
  const dispatcher = new Dispatcher({
    queue,
    registry,
    link: () => line,
    certain: certain ?? (() => time.certain()),
    timers: time,
    monotonic: () => time.monotonic(),
    random: time,
    log,
    audit,
    errands,
    attemptTimeout: 5_000,
    longestPause: 60_000,
  });
  line.onSighting(() => dispatcher.wake(of.id));
  let made = 0;
  const add = (text: string, expiresAt = NOW + 600, expiresIn?: number) => {
    made += 1;
    const cwt = utf8(text);
    return queue.add({
      id: made.toString(16).padStart(32, '0'),
      device: of.id,
      audience: of.audience,
      cwt: new Secret(cwt),
      tokenHash: tokenHash(cwt),
      cti: utf8(text),
      expiresAt,
      expiresIn,
      scope: 'read',
      jwtBytes: 1,
      cwtBytes: cwt.length,
      keysAge: 0,
      clock: 'sure',
      request: 'r',
      origin: { issuer: 'https://as.example', subject: 'doctor-7', digest: utf8('digest') },
    });
  };
  return { add, audit, dispatcher, line, log, of, queue, registry, store, time };
}

/** Lets everything that is already decided happen: promises only, no time passes. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
}

const acceptAll = (of: Device) => new ScriptedLink((request) => accepted(of, request));

describe('Dispatcher', () => {
  test('delivers to authz-info and ends with the checked receipt', async () => {
    const { add, dispatcher, line } = await setup(acceptAll);
    const delivery = await add('token');
    dispatcher.wake('tube-1');
    expect(await dispatcher.settled(delivery.id, 1_000)).toMatchObject({
      state: 'delivered',
      deviceCode: '2.01',
      receipt: true,
    });
    expect(line.requests).toMatchObject([{ method: 2, path: ['authz-info'], contentFormat: 61 }]);
  });

  test('leaves an audit record of each end, with what is known of the token', async () => {
    const { add, audit, dispatcher } = await setup(
      (of) => new ScriptedLink((request) => (request.payload?.length === 4 ? accepted(of, request) : refused('4.00'))),
    );
    const [good, bad] = [await add('good'), await add('refused')];
    dispatcher.wake('tube-1');
    await dispatcher.settled(bad.id, 1_000);
    const origin = { token: utf8('digest'), issuer: 'https://as.example', subject: 'doctor-7' };
    const same = { kind: 'deliver-end', device: 'tube-1', request: 'r', ...origin };
    expect(audit.entries).toEqual([
      { ...same, verdict: 'delivered', delivery: good.id },
      { ...same, verdict: 'refused', code: 'device_refused_token', delivery: bad.id },
    ]);
  });

  test('counts the life of a token with exi from when the device has it', async () => {
    const { add, dispatcher, time } = await setup(acceptAll);
    await time.advance(100_000);
    const delivery = await add('token', NOW + 600, 300);
    dispatcher.wake('tube-1');
    expect(await dispatcher.settled(delivery.id, 1_000)).toMatchObject({ state: 'delivered', expiresAt: NOW + 400 });
  });

  test('counts it no further than exp', async () => {
    const { add, dispatcher, time } = await setup(acceptAll);
    await time.advance(400_000);
    const delivery = await add('token', NOW + 600, 300);
    dispatcher.wake('tube-1');
    expect(await dispatcher.settled(delivery.id, 1_000)).toMatchObject({ state: 'delivered', expiresAt: NOW + 600 });
  });

  test('delivers in the order of arrival, one at a time', async () => {
    const { add, dispatcher, line } = await setup(acceptAll);
    await add('first');
    await add('second');
    const last = await add('third');
    dispatcher.wake('tube-1');
    dispatcher.wake('tube-1');
    await dispatcher.settled(last.id, 1_000);
    expect(line.requests.map((request) => Buffer.from(request.payload ?? EMPTY).toString())).toEqual([
      'first',
      'second',
      'third',
    ]);
  });

  test('answers with the queued delivery when the device stays silent', async () => {
    const { add, dispatcher, time } = await setup(() => new ScriptedLink(() => 'silence'));
    const delivery = await add('token');
    dispatcher.wake('tube-1');
    const settled = dispatcher.settled(delivery.id, 5_000);
    await settle();
    await time.advance(5_000);
    expect(await settled).toMatchObject({ state: 'queued' });
  });

  test('a receipt under another key is no receipt: the delivery stays queued', async () => {
    const other = device({ rootKey: new Secret(new Uint8Array(32).fill(9)) });
    const { add, dispatcher, log, queue } = await setup(() => new ScriptedLink((request) => accepted(other, request)));
    const delivery = await add('token');
    dispatcher.wake('tube-1');
    await settle();
    expect(queue.get(delivery.id).state).toBe('queued');
    expect(log.lines.some((line) => line.fields.code === 'device_answer_untrusted')).toBe(true);
  });

  test('a receipt for another token is no receipt', async () => {
    const { add, dispatcher, queue } = await setup(
      (of) => new ScriptedLink((request) => accepted(of, request, utf8('another'))),
    );
    const delivery = await add('token');
    dispatcher.wake('tube-1');
    await settle();
    expect(queue.get(delivery.id).state).toBe('queued');
  });

  test('a receipt that was recorded at an attempt before is no receipt', async () => {
    const { add, dispatcher, line, of, queue, time } = await setup(() => new ScriptedLink(() => 'silence'));
    const delivery = await add('token');
    let recorded: CoapResponse | undefined;
    line.answer = (request) => {
      recorded ??= accepted(of, request);
      return line.requests.length === 1 ? refused('5.03') : recorded;
    };
    dispatcher.wake('tube-1');
    await settle();
    await time.advance(1_000);
    await settle();
    expect(line.requests).toHaveLength(2);
    expect(queue.get(delivery.id).state).toBe('queued');
  });

  test('a device that was registered without receipts is taken at its word', async () => {
    const bare = device({}, { receipt: 'none' });
    const { add, dispatcher } = await setup(
      () => new ScriptedLink(() => ({ code: codeNumber('2.01'), payload: EMPTY })),
      bare,
    );
    const delivery = await add('token');
    dispatcher.wake('tube-1');
    expect(await dispatcher.settled(delivery.id, 1_000)).toMatchObject({ state: 'delivered', receipt: false });
  });

  test.each(['4.00', '4.01', '4.03', '4.13', '4.15'])(
    '%s from the device ends the delivery as refused',
    async (code) => {
      const { add, dispatcher, line } = await setup(() => new ScriptedLink(() => refused(code)));
      const delivery = await add('token');
      dispatcher.wake('tube-1');
      expect(await dispatcher.settled(delivery.id, 1_000)).toMatchObject({
        state: 'refused',
        deviceCode: code,
        code: 'device_refused_token',
      });
      expect(line.requests).toHaveLength(1);
    },
  );

  test.each(['4.08', '5.00', '5.03'])('%s from the device judges the moment: it is tried again', async (code) => {
    const { add, dispatcher, line, of, queue, time } = await setup(() => new ScriptedLink(() => refused(code)));
    const delivery = await add('token');
    dispatcher.wake('tube-1');
    await settle();
    expect(queue.get(delivery.id).state).toBe('queued');
    line.answer = (request) => accepted(of, request);
    await time.advance(1_000);
    await settle();
    expect(queue.get(delivery.id).state).toBe('delivered');
  });

  test('a sighting cuts the pause short', async () => {
    const { add, dispatcher, line, of, queue } = await setup(
      () => new ScriptedLink(() => new LatchkeyError('device_no_answer')),
    );
    const delivery = await add('token');
    dispatcher.wake('tube-1');
    await settle();
    line.answer = (request) => accepted(of, request);
    line.sight();
    await settle();
    expect(queue.get(delivery.id).state).toBe('delivered');
  });

  test('says why its device was not reached, until it is', async () => {
    const { add, dispatcher, line, of, time } = await setup(
      () => new ScriptedLink(() => new LatchkeyError('device_no_answer')),
    );
    await add('token');
    expect(dispatcher.difficulty('tube-1')).toBeUndefined();
    dispatcher.wake('tube-1');
    await settle();
    await time.advance(1_000);
    expect(dispatcher.difficulty('tube-1')).toEqual({ code: 'device_no_answer', failures: 2 });
    line.answer = (request) => accepted(of, request);
    line.sight();
    await settle();
    expect(dispatcher.difficulty('tube-1')).toBeUndefined();
  });

  test('pauses grow and stay below the longest', async () => {
    const { add, dispatcher, line, time } = await setup(
      () => new ScriptedLink(() => new LatchkeyError('device_no_answer')),
    );
    await add('token', NOW + 100_000);
    dispatcher.wake('tube-1');
    for (let minute = 0; minute < 60; minute += 1) {
      await settle();
      await time.advance(60_000);
    }
    await settle();
    // Six attempts while the pause doubles to a minute, then one in each minute.
    expect(line.requests.length).toBeGreaterThan(55);
    expect(line.requests.length).toBeLessThan(130);
  });

  test('a token that expires while it waits is dropped with its reason', async () => {
    const { add, dispatcher, line, queue, time } = await setup(
      () => new ScriptedLink(() => new LatchkeyError('link_down')),
    );
    const delivery = await add('token', NOW + 20);
    dispatcher.start();
    await settle();
    const before = line.requests.length;
    await time.advance(30_000);
    await settle();
    expect(queue.get(delivery.id)).toMatchObject({ state: 'expired', code: 'delivery_expired' });
    expect(line.requests.length).toBeGreaterThanOrEqual(before);
  });

  test('it is dropped the moment that it expires, whatever else was going to be looked at first', async () => {
    const { add, dispatcher, queue, time } = await setup(() => new ScriptedLink(() => new LatchkeyError('link_down')));
    const late = await add('late', NOW + 29);
    dispatcher.start();
    await time.advance(3_000);
    const early = await add('early', NOW + 5);
    await time.advance(1_900);
    expect(queue.get(early.id).state).toBe('queued');
    await time.advance(100);
    expect([queue.get(early.id).state, queue.get(late.id).state]).toEqual(['expired', 'queued']);
    await time.advance(24_000);
    expect(queue.get(late.id).state).toBe('expired');
    await dispatcher.stop();
    expect(time.pendingTimers).toBe(0);
  });

  test('a token is not dropped for a time that is not certain', async () => {
    const { add, dispatcher, line, queue, time } = await setup(
      () => new ScriptedLink(() => new LatchkeyError('link_down')),
      device(),
      () => NOW,
    );
    const delivery = await add('token', NOW + 20);
    dispatcher.start();
    await time.advance(90_000);
    await settle();
    expect(queue.get(delivery.id).state).toBe('queued');
    expect(line.requests.length).toBeGreaterThan(1);
  });

  test('tokens that were delivered are taken off the medium at the first sweep, and then hourly', async () => {
    const { add, dispatcher, store, time } = await setup(acceptAll);
    dispatcher.start();
    const forgotten: number[] = [];
    for (let minute = 0; minute < 150; minute += 1) {
      await add(`token ${minute}`, NOW + 100_000);
      dispatcher.wake('tube-1');
      await settle();
      await time.advance(60_000);
      if (store.forgotten.length > forgotten.length) forgotten.push(minute);
    }
    expect(store.forgotten).toEqual(['delivery/', 'delivery/', 'delivery/']);
    expect(forgotten).toEqual([0, 60, 120]);
    await dispatcher.stop();
  });

  test('the medium is left alone where nothing ended', async () => {
    const { dispatcher, store, time } = await setup(acceptAll);
    dispatcher.start();
    await time.advance(3 * 3_600_000);
    // Once, for what the run before may have left.
    expect(store.forgotten).toEqual(['delivery/']);
    await dispatcher.stop();
  });

  test('start goes on with what the run before left', async () => {
    const { add, dispatcher, queue } = await setup(acceptAll);
    const delivery = await add('token');
    dispatcher.start();
    await settle();
    expect(queue.get(delivery.id).state).toBe('delivered');
  });

  test('an end that cannot be written is tried again: the device knows a second copy', async () => {
    const { add, dispatcher, queue, store, time } = await setup(acceptAll);
    const delivery = await add('token');
    store.failAt(1);
    dispatcher.wake('tube-1');
    await settle();
    expect(queue.get(delivery.id).state).toBe('queued');
    await time.advance(1_000);
    await settle();
    expect(queue.get(delivery.id).state).toBe('delivered');
  });

  test('a device that is removed leaves no worker and no waiter behind', async () => {
    const { add, dispatcher, queue, time } = await setup(() => new ScriptedLink(() => new LatchkeyError('link_down')));
    const delivery = await add('token');
    dispatcher.wake('tube-1');
    await settle();
    const gone = expect(dispatcher.settled(delivery.id, 1_000)).rejects.toMatchObject({ code: 'delivery_unknown' });
    await queue.removeDevice('tube-1');
    await time.advance(10_000);
    await gone;
    await settle();
    expect(time.pendingTimers).toBe(0);
  });

  test('an answer that is being written when the token expires is its only end', async () => {
    const { add, audit, dispatcher, queue, store, time } = await setup(acceptAll);
    const delivery = await add('token', NOW + 2);
    dispatcher.start();
    const release = store.holdAt(1);
    const settled = dispatcher.settled(delivery.id, 60_000);
    await time.advance(5_000);
    expect(queue.get(delivery.id).state).toBe('queued');
    release();
    expect(await settled).toMatchObject({ state: 'delivered' });
    await time.advance(5_000);
    expect(queue.get(delivery.id).state).toBe('delivered');
    expect(audit.entries.map(({ verdict }) => verdict)).toEqual(['delivered']);
    await dispatcher.stop();
  });

  test('an expiry that is being written when the device answers is the only end', async () => {
    const { add, audit, dispatcher, line, log, of, queue, store, time } = await setup(
      () => new ScriptedLink(() => 'silence'),
    );
    let answer: (response: CoapResponse) => void = () => undefined;
    line.request = (request) =>
      new Promise((resolve) => {
        answer = () => resolve(accepted(of, request));
      });
    const delivery = await add('token', NOW + 2);
    dispatcher.start();
    await time.advance(1_000);
    const release = store.holdAt(1);
    await time.advance(1_000);
    answer(refused('2.01'));
    await settle();
    expect(queue.get(delivery.id).state).toBe('queued');
    release();
    await time.advance(1_000);
    expect(queue.get(delivery.id).state).toBe('expired');
    expect(audit.entries.map(({ verdict }) => verdict)).toEqual(['expired']);
    // The device took it, and the log says so.
    expect(log.events()).toEqual(expect.arrayContaining(['delivery_expired', 'delivery_delivered']));
    await dispatcher.stop();
  });

  test('stop waits for an end that is being written, so that the audit has it too, and not for ever', async () => {
    const { add, audit, dispatcher, store, time } = await setup(acceptAll);
    await add('token');
    const release = store.holdAt(1);
    dispatcher.start();
    await settle();
    let stopped = false;
    const stopping = dispatcher.stop().then(() => {
      stopped = true;
    });
    await time.advance(1_000);
    expect(stopped).toBe(false);
    release();
    await stopping;
    expect(audit.entries.map(({ verdict }) => verdict)).toEqual(['delivered']);
    expect(time.pendingTimers).toBe(0);
  });

  test('stop goes on without an end that takes too long', async () => {
    const { add, dispatcher, store, time } = await setup(acceptAll);
    await add('token');
    store.holdAt(1);
    dispatcher.start();
    await settle();
    const stopping = dispatcher.stop();
    await time.advance(1_500);
    await stopping;
    expect(time.pendingTimers).toBe(0);
  });

  test('stop frees whoever waits and leaves the delivery queued, with no timer', async () => {
    const { add, dispatcher, queue, time } = await setup(() => new ScriptedLink(() => 'silence'));
    const delivery = await add('token');
    dispatcher.start();
    await settle();
    const settled = dispatcher.settled(delivery.id, 60_000);
    await dispatcher.stop();
    expect(await settled).toMatchObject({ state: 'queued' });
    await settle();
    expect(queue.get(delivery.id).state).toBe('queued');
    expect(time.pendingTimers).toBe(0);
  });
});

describe('a link that is known to be down', () => {
  const DOWN = new LatchkeyError('link_down', 'unplugged');
  const downLink = (of: Device) => {
    const link = acceptAll(of);
    link.down = DOWN;
    return link;
  };

  test('costs no attempt, however long it is down and however often its devices are woken', async () => {
    const { add, dispatcher, line, queue, time } = await setup(downLink);
    const delivery = await add('token', NOW + 100_000);
    dispatcher.start();
    for (let minute = 0; minute < 60; minute += 1) {
      dispatcher.wake('tube-1');
      await time.advance(60_000);
    }
    expect(line.requests).toEqual([]);
    expect(dispatcher.difficulty('tube-1')).toEqual({ code: 'link_down', failures: 0 });
    line.down = undefined;
    line.sight();
    await settle();
    expect(queue.get(delivery.id).state).toBe('delivered');
    expect(dispatcher.difficulty('tube-1')).toBeUndefined();
    await dispatcher.stop();
  });

  test('has one timer and one look at the link for all of its devices', async () => {
    const { dispatcher, line, queue, registry, time } = await setup(downLink);
    for (let count = 0; count < 500; count += 1) {
      await registry.add(device({ id: `tube-x${count}`, audience: `coap://tube-x${count}` }));
      await queue.add(waitingFor(`tube-x${count}`, count));
    }
    dispatcher.start();
    while (line.looks < 500) await new Promise((resolve) => setImmediate(resolve));
    // The sweep, the forgetting, and the look.
    expect(time.pendingTimers).toBe(3);
    const before = line.looks;
    await time.advance(2_000);
    expect(line.looks - before).toBe(1);
    expect(time.pendingTimers).toBe(3);
    await dispatcher.stop();
    expect(time.pendingTimers).toBe(0);
  });

  test('that is up again without a sighting is found out', async () => {
    const { add, dispatcher, line, queue, time } = await setup(downLink);
    const delivery = await add('token');
    dispatcher.start();
    await time.advance(1_000);
    line.down = undefined;
    await time.advance(10_000);
    expect(queue.get(delivery.id).state).toBe('delivered');
    await dispatcher.stop();
    expect(time.pendingTimers).toBe(0);
  });

  test('goes down under an attempt: the next one waits for it', async () => {
    const { add, dispatcher, line, time } = await setup(
      () => new ScriptedLink(() => new LatchkeyError('device_no_answer')),
    );
    await add('token', NOW + 100_000);
    dispatcher.wake('tube-1');
    await settle();
    line.down = DOWN;
    await time.advance(3_600_000);
    expect(line.requests).toHaveLength(1);
    expect(dispatcher.difficulty('tube-1')).toEqual({ code: 'link_down', failures: 0 });
    await dispatcher.stop();
  });

  test('keeps nothing of a device that is removed', async () => {
    const { add, dispatcher, queue, registry, time } = await setup(downLink);
    await add('token');
    dispatcher.wake('tube-1');
    await settle();
    await registry.remove('tube-1');
    await queue.removeDevice('tube-1');
    await time.advance(10_000);
    expect(time.pendingTimers).toBe(0);
    expect(dispatcher.difficulty('tube-1')).toBeUndefined();
  });
});

describe('many devices', () => {
  test('are woken a few at a time: other work gets its turn in between', async () => {
    const { dispatcher, line, queue, registry } = await setup(() => new ScriptedLink(() => 'silence'));
    let inOneTurn = 0;
    let most = 0;
    const { request } = line;
    line.request = (...args) => {
      inOneTurn += 1;
      most = Math.max(most, inOneTurn);
      setImmediate(() => {
        inOneTurn = 0;
      });
      return request.apply(line, args);
    };
    for (let count = 0; count < 400; count += 1) {
      await registry.add(device({ id: `tube-x${count}`, audience: `coap://tube-x${count}` }));
      await queue.add(waitingFor(`tube-x${count}`, count));
    }
    dispatcher.start();
    while (line.requests.length < 400) await new Promise((resolve) => setImmediate(resolve));
    expect(most).toBeLessThanOrEqual(64);
    await dispatcher.stop();
  });
});

function waitingFor(of: string, number: number): Parameters<DeliveryQueue['add']>[0] {
  const cwt = utf8(`token ${number}`);
  return {
    id: (number + 1_000).toString(16).padStart(32, '0'),
    device: of,
    audience: `coap://${of}`,
    cwt: new Secret(cwt),
    tokenHash: tokenHash(cwt),
    cti: cwt,
    expiresAt: NOW + 100_000,
    scope: 'read',
    jwtBytes: 1,
    cwtBytes: cwt.length,
    keysAge: 0,
    clock: 'sure',
    request: 'r',
  };
}

/** An errand that is due until it was run so many times, and fails as told before that. */
class ScriptedErrand implements Errand {
  readonly name = 'scripted';
  readonly runs: string[] = [];
  left: number;
  fails = false;

  constructor(left: number) {
    this.left = left;
  }

  isDue(device: string): boolean {
    return device === 'tube-1' && this.left > 0;
  }

  async run(of: Device): Promise<void> {
    this.runs.push(of.id);
    if (this.fails) throw new LatchkeyError('device_no_answer');
    this.left -= 1;
  }
}

describe('what goes before tokens', () => {
  test('is done first, as often as it is due, and then the token goes', async () => {
    const errand = new ScriptedErrand(2);
    const { add, dispatcher, line } = await setup(acceptAll, device(), undefined, [errand]);
    const delivery = await add('token');
    dispatcher.wake('tube-1');
    expect(await dispatcher.settled(delivery.id, 1_000)).toMatchObject({ state: 'delivered' });
    expect(errand.runs).toEqual(['tube-1', 'tube-1']);
    expect(line.requests).toHaveLength(1);
  });

  test('holds tokens back while it cannot be done, and is tried again after a pause', async () => {
    const errand = new ScriptedErrand(1);
    errand.fails = true;
    const { add, dispatcher, line, queue, time } = await setup(acceptAll, device(), undefined, [errand]);
    const delivery = await add('token');
    dispatcher.wake('tube-1');
    await settle();
    expect(line.requests).toHaveLength(0);
    errand.fails = false;
    await time.advance(1_000);
    await settle();
    expect(errand.runs).toHaveLength(2);
    expect(queue.get(delivery.id).state).toBe('delivered');
  });

  test('is begun at the start, with no token waiting', async () => {
    const errand = new ScriptedErrand(1);
    const { dispatcher } = await setup(acceptAll, device(), undefined, [errand]);
    expect(dispatcher.hasWork('tube-1')).toBe(true);
    dispatcher.start();
    await settle();
    expect(errand.runs).toEqual(['tube-1']);
    expect(dispatcher.hasWork('tube-1')).toBe(false);
    await dispatcher.stop();
  });

  test('is work at a sighting, though no token waits', async () => {
    const errand = new ScriptedErrand(0);
    const { dispatcher } = await setup(acceptAll, device(), undefined, [errand]);
    expect(dispatcher.hasWork('tube-1')).toBe(false);
    errand.left = 1;
    expect(dispatcher.hasWork('tube-1')).toBe(true);
  });
});

describe('on an open medium, where anybody can answer', () => {
  const stranger = device({ rootKey: new Secret(new Uint8Array(32).fill(9)) });
  const open = (answer: (of: Device, request: CoapRequest) => CoapResponse) => (of: Device) =>
    new ScriptedLink((request) => answer(of, request), true);

  test('a receipt under the key of the device is its proof', async () => {
    const { add, dispatcher, line } = await setup(open(accepted));
    const { id } = await add('token');
    dispatcher.wake('tube-1');
    expect(await dispatcher.settled(id, 1_000)).toMatchObject({ state: 'delivered' });
    expect(line.proofs).toEqual([true]);
  });

  test('a refusal under the key of the device ends the delivery', async () => {
    const { add, dispatcher, line } = await setup(open((of, request) => refusedBy(of, request, '4.03')));
    const { id } = await add('token');
    dispatcher.wake('tube-1');
    expect(await dispatcher.settled(id, 1_000)).toMatchObject({ state: 'refused', deviceCode: '4.03' });
    expect(line.proofs).toEqual([true]);
  });

  test.each<[string, (of: Device, request: CoapRequest) => CoapResponse]>([
    ['a bare refusal', () => refused('4.01')],
    ['a refusal of another code', (of, request) => ({ ...refusedBy(of, request, '4.03'), code: codeNumber('4.01') })],
    ['a refusal under another key', (_, request) => refusedBy(stranger, request, '4.01')],
    ['an acceptance under another key', (_, request) => accepted(stranger, request)],
    ['a bare acceptance', () => refused('2.01')],
  ])('%s ends nothing: it goes on record, and another one is sought', async (_, answer) => {
    const { add, audit, dispatcher, line, queue } = await setup(open(answer));
    const { id } = await add('token');
    dispatcher.wake('tube-1');
    await settle();
    expect(queue.get(id).state).toBe('queued');
    expect(line.proofs).toEqual([false]);
    const answered = { kind: 'answer', verdict: 'refused', device: 'tube-1', request: 'r', delivery: id };
    expect(audit.entries).toEqual([{ ...answered, code: 'device_impostor' }]);
    await dispatcher.stop();
  });

  test('what says nothing of the token, and nobody vouches for, has another one come first', async () => {
    const { add, audit, dispatcher, line, queue } = await setup(open(() => refused('5.03')));
    const { id } = await add('token');
    dispatcher.wake('tube-1');
    await settle();
    expect(queue.get(id).state).toBe('queued');
    expect([line.proofs, line.doubts, audit.entries]).toEqual([[], 1, []]);
    await dispatcher.stop();
  });

  test('a device without receipts is taken at its word', async () => {
    const { add, dispatcher, line } = await setup(
      open(() => refused('4.01')),
      device({}, { receipt: 'none' }),
    );
    const { id } = await add('token');
    dispatcher.wake('tube-1');
    expect(await dispatcher.settled(id, 1_000)).toMatchObject({ state: 'refused' });
    expect(line.proofs).toEqual([undefined]);
  });
});

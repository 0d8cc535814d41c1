/** Devices that answer their trust bundles, under their own good key, with what brings no bundle further. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { codeNumber } from '../../src/codec/coap/codes.ts';
import { makeReceipt } from '../../src/codec/signed-request.ts';
import { makeTrustAnswer, openTrustBundle } from '../../src/codec/trust-bundle.ts';
import { EMPTY, fromBase64url } from '../../src/core/bytes.ts';
import type { CoapRequest, CoapResponse } from '../../src/core/coap-exchange.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import { LIMITS } from '../../src/core/limits.ts';
import type { Device } from '../../src/devices/device.ts';
import { answerKey, bundleMacKey } from '../../src/devices/device-trust.ts';
import { Dispatcher } from '../../src/flows/dispatch.ts';
import { healthOf } from '../../src/flows/health.ts';
import { ScriptedLink } from '../fakes/scripted-link.ts';
import { ISSUER, issuerKey, TrustRig } from '../fixtures/trust-rig.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let rig: TrustRig;
let tube: Device;
let dispatcher: Dispatcher;

/** A device with a change of its issuers before it, and a running dispatcher. */
beforeEach(async () => {
  rig = await TrustRig.open();
  rig.keys = [issuerKey('as-1')];
  tube = await rig.add('tube-1', { claims: 'full' });
  dispatcher = new Dispatcher({
    queue: rig.queue,
    registry: rig.registry,
    link: () => rig.link(),
    certain: () => rig.time.certain(),
    timers: rig.time,
    monotonic: () => rig.time.monotonic(),
    random: rig.time,
    log: rig.log,
    audit: rig.audit,
    errands: [rig.trust],
    attemptTimeout: 1_000,
    longestPause: 300_000,
  });
  rig.onWake = (device) => dispatcher.wake(device);
});

afterEach(() => dispatcher.stop());

/** The device answers its bundles like this; tokens it takes, with a receipt. */
function answers(toBundle: (request: CoapRequest, version: number) => CoapResponse | LatchkeyError): void {
  rig.link().request = async (request) => {
    rig.link().requests.push(request);
    const [path] = request.path;
    const said = path === 'trust' ? toBundle(request, versionOf(request)) : receiptFor(request);
    if (said instanceof LatchkeyError) throw said;
    return said;
  };
}

const versionOf = ({ payload = EMPTY }: CoapRequest) =>
  openTrustBundle(payload, { keys: [bundleMacKey(tube)], audience: tube.audience }).trust.version;

function receiptFor({ query: [query = ''] = [] }: CoapRequest): CoapResponse {
  const { audience } = tube;
  const [{ tokenHash } = { tokenHash: EMPTY }] = rig.queue.waitingFor(tube.id);
  const nonce = fromBase64url(query.slice('n='.length));
  return { code: codeNumber('2.01'), payload: makeReceipt({ key: answerKey(tube), tokenHash, audience, nonce }) };
}

function signed(code: string, version: number, { payload: bundle = EMPTY }: CoapRequest): CoapResponse {
  const number = codeNumber(code);
  const payload = makeTrustAnswer({ key: answerKey(tube), device: tube.id, code: number, bundle, version });
  return { code: number, payload };
}

const bare = (code: string): CoapResponse => ({ code: codeNumber(code), payload: EMPTY });
const bundles = () => rig.link().requests.filter(({ path }) => path[0] === 'trust').length;

const conditions = () =>
  healthOf({
    clock: 'sure',
    clockFaults: {
      isBeforeInitial: false,
      behindFloor: undefined,
      aheadOfKnown: undefined,
      differing: [],
      isSet: true,
    },
    issuers: [],
    lines: [],
    radio: undefined,
    stranded: [],
    unfinished: [],
    audit: undefined,
    stores: [],
    descriptorsExhausted: false,
    introspection: [],
    broker: undefined,
    trust: rig.trust.status(),
    trustWaitsSince: 0,
    full: [],
    reload: undefined,
  }).flatMap(({ code, subject }) => (subject === 'trust of tube-1' ? [code] : []));

async function change(): Promise<void> {
  rig.issuers.push(`https://rsa-${rig.issuers.length}.example`);
  rig.trust.issuerChanged(ISSUER);
  await rig.time.advance(0);
}

const LOOPS: readonly (readonly [
  string,
  (request: CoapRequest, version: number) => CoapResponse | LatchkeyError,
  string,
])[] = [
  ['is always one version ahead', (request, version) => signed('4.09', version + 1, request), 'trust_outrun'],
  [
    'holds the same version with other contents',
    (request, version) => signed('4.09', version, request),
    'trust_outrun',
  ],
  [
    'holds the highest version there is',
    (request) => signed('4.09', LIMITS.deviceTrustVersion, request),
    'trust_versions_spent',
  ],
  ['answers 5.00', () => bare('5.00'), 'device_refused_trust'],
  ['confirms another version', (request) => signed('2.04', 7, request), 'device_refused_trust'],
  ['is a version behind what it conflicts with', (request) => signed('4.09', 1, request), 'device_refused_trust'],
  ['answers nonsense', () => ({ code: codeNumber('2.04'), payload: EMPTY }), 'device_refused_trust'],
  ['resets every message', () => new LatchkeyError('device_reset'), 'device_refused_trust'],
  ['has blocks that do not fit', () => new LatchkeyError('coap_block_invalid'), 'device_refused_trust'],
];

describe.each(LOOPS)('a device that %s, for ever', (_, answer, code) => {
  beforeEach(async () => {
    answers(answer);
    dispatcher.start();
    await change();
  });

  test('is sent a few bundles at first, and then one an hour', async () => {
    await rig.time.advance(MINUTE);
    expect(bundles()).toBeLessThanOrEqual(4);
    await rig.time.advance(2 * HOUR);
    const [sent, writes] = [bundles(), rig.store.writes];
    const [records, lines] = [rig.audit.entries.length, rig.log.lines.length];
    await rig.time.advance(3 * HOUR);
    expect(bundles() - sent).toBe(3);
    expect(rig.store.writes - writes).toBeLessThanOrEqual(6);
    expect(rig.audit.entries.length - records).toBe(3);
    expect(rig.log.lines.length - lines).toBe(3);
  });

  test('gets no more for showing up all the time', async () => {
    await rig.time.advance(MINUTE);
    const sent = bundles();
    const records = rig.audit.entries.length;
    for (let sighting = 0; sighting < 1_000; sighting += 1) dispatcher.wake(tube.id);
    await rig.time.advance(10_000);
    for (let sighting = 0; sighting < 1_000; sighting += 1) dispatcher.wake(tube.id);
    await rig.time.advance(10_000);
    expect(bundles() - sent).toBeLessThanOrEqual(1);
    expect(rig.audit.entries.length - records).toBeLessThanOrEqual(1);
  });

  test('gets its tokens within seconds', async () => {
    const id = await rig.queueToken(tube);
    await rig.time.advance(10_000);
    expect(rig.queue.get(id).state).toBe('delivered');
  });

  test('is a condition, until it confirms a bundle', async () => {
    await rig.time.advance(10_000);
    expect(conditions()).toEqual([code]);
    expect(rig.trust.status()).toMatchObject([{ state: 'refused', code }]);
    answers((request, version) => signed('2.04', version, request));
    await rig.time.advance(2 * HOUR);
    expect(conditions()).toEqual([]);
    expect(rig.trust.status()).toMatchObject([{ state: 'current' }]);
  });
});

describe('a device', () => {
  test('that is past the number of a restored hub gets the next bundle at once', async () => {
    answers((request, version) => signed(version > 40 ? '2.04' : '4.09', Math.max(version, 40), request));
    dispatcher.start();
    await change();
    expect(rig.held(tube).version).toBe(41);
    expect(conditions()).toEqual([]);
  });

  test('that is away for a month is no device that refuses', async () => {
    answers(() => new LatchkeyError('device_no_answer'));
    dispatcher.start();
    await change();
    await rig.queueToken(tube);
    await rig.time.advance(300_000);
    expect(rig.link().requests.every(({ path }) => path[0] === 'trust')).toBe(true);
    expect(rig.trust.status()).toMatchObject([{ state: 'waiting' }]);
  });

  test('that was given up gets other contents at once, and one attempt for each', async () => {
    answers(() => bare('5.00'));
    dispatcher.start();
    await change();
    await rig.time.advance(10_000);
    const sent = bundles();
    await change();
    await rig.time.advance(10_000);
    expect(bundles() - sent).toBe(1);
  });

  test('that holds the last version but one is given the last, and then none any more', async () => {
    const last = LIMITS.deviceTrustVersion;
    answers((request, version) =>
      signed(version === last ? '2.04' : '4.09', version === last ? last : last - 1, request),
    );
    dispatcher.start();
    await change();
    expect(rig.held(tube).version).toBe(last);
    await change();
    const id = await rig.queueToken(tube);
    dispatcher.wake(tube.id);
    await rig.time.advance(MINUTE);
    expect(bundles()).toBe(2);
    expect(rig.queue.get(id).state).toBe('delivered');
    expect(rig.trust.status()).toMatchObject([{ state: 'lost', code: 'trust_versions_spent' }]);
    expect(conditions()).toEqual(['trust_versions_spent']);
    expect(rig.log.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });

  test('that is removed takes its pause along', async () => {
    answers(() => bare('5.00'));
    dispatcher.start();
    await change();
    await rig.time.advance(10_000);
    await rig.registry.remove(tube.id);
    await rig.trust.removed(tube.id);
    const { pendingTimers } = rig.time;
    await rig.time.advance(HOUR);
    expect(bundles()).toBe(3);
    expect(rig.time.pendingTimers).toBeLessThanOrEqual(pendingTimers);
  });
});

describe('by radio', () => {
  test('an answer that an attacker may have given pauses for a minute, and leaves it to a sighting to go on', async () => {
    const link = new ScriptedLink(() => 'silence', true);
    rig.links.set(tube.id, link);
    answers(() => bare('5.00'));
    dispatcher.start();
    await change();
    await rig.time.advance(HOUR);
    expect(bundles()).toBe(3);
    expect(link.doubts).toBe(3);
    answers((request, version) => signed('2.04', version, request));
    dispatcher.wake(tube.id);
    await rig.time.advance(0);
    expect(rig.trust.status()).toMatchObject([{ state: 'current' }]);
  });
});

test('a bundle that the medium does not take is no fault of the device', async () => {
  answers(() => bare('5.00'));
  rig.onWake = () => undefined;
  await change();
  for (let attempt = 0; attempt < 4; attempt += 1) {
    rig.store.failAt(1);
    await expect(rig.work(tube)).rejects.toThrow('the medium failed');
  }
  expect(rig.trust.status()).toMatchObject([{ state: 'waiting' }]);
});

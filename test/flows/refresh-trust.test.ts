import { beforeEach, describe, expect, test } from 'vitest';
import { codeNumber } from '../../src/codec/coap/codes.ts';
import { makeTrustAnswer, openTrustBundle } from '../../src/codec/trust-bundle.ts';
import { EMPTY } from '../../src/core/bytes.ts';
import type { CoapRequest, CoapResponse } from '../../src/core/coap-exchange.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import type { Device } from '../../src/devices/device.ts';
import { answerKey, bundleMacKey } from '../../src/devices/device-trust.ts';
import { Dispatcher } from '../../src/flows/dispatch.ts';
import { asyncCodeOf } from '../fixtures/async-code-of.ts';
import { ISSUER, issuerKey, NOW, TrustRig } from '../fixtures/trust-rig.ts';

const FIRST = issuerKey('as-1');
const SECOND = issuerKey('as-2');

let rig: TrustRig;
let tube: Device;

/** A device that was given the first key of the issuer. */
beforeEach(async () => {
  rig = await TrustRig.open();
  rig.keys = [FIRST];
  tube = await rig.add();
});

/** What the device answers in place of what it would have said. */
function answers(answer: (request: CoapRequest) => CoapResponse | LatchkeyError): void {
  rig.link().request = async (request) => {
    rig.link().requests.push(request);
    const said = answer(request);
    if (said instanceof LatchkeyError) throw said;
    return said;
  };
}

const bare = (code: string): CoapResponse => ({ code: codeNumber(code), payload: EMPTY });

describe('many devices', () => {
  test('are compared a few at a time when an issuer has other keys, and all are woken', async () => {
    const rig = await TrustRig.open();
    rig.keys = [issuerKey('as-1')];
    for (let index = 0; index < 100; index += 1) await rig.add(`tube-${index}`);
    rig.keys = [issuerKey('as-2')];
    rig.trust.issuerChanged(ISSUER);
    expect(rig.woken.length).toBeLessThanOrEqual(32);
    while (rig.woken.length < 100) await new Promise((resolve) => setImmediate(resolve));
    expect(new Set(rig.woken).size).toBe(100);
  });

  test('that are away wait since the keys changed, though no bundle was made for them', async () => {
    const rig = await TrustRig.open();
    rig.keys = [issuerKey('as-1')];
    await rig.add();
    await rig.time.advance(5_000);
    rig.keys = [issuerKey('as-2')];
    rig.trust.issuerChanged(ISSUER);
    await rig.time.advance(60_000);
    rig.keys = [issuerKey('as-3')];
    rig.trust.issuerChanged(ISSUER);
    const [view] = rig.trust.status();
    expect(view).toMatchObject({ state: 'waiting', waiting_since: NOW + 5 });
    expect(view?.pending).toBeUndefined();
  });
});

describe('more issuers than a device has room for', () => {
  const others = Array.from({ length: 7 }, (_, index) => `https://as-${index}.example`);
  /** Comes before all others by its name. */
  const NINTH = 'https://a.example';

  test('are told, and take away none that it has', async () => {
    rig.issuers.push(...others);
    rig.trust.issuerChanged(ISSUER);
    await rig.work(tube);
    const held = rig.held(tube).issuers;
    expect(held).toHaveLength(8);
    expect(rig.trust.status()[0]).not.toHaveProperty('issuers_left_out');
    rig.issuers.push(NINTH);
    rig.trust.issuerChanged(NINTH);
    expect(rig.trust.status()).toMatchObject([{ state: 'current', issuers_left_out: [NINTH] }]);
    expect(rig.trust.isDue('tube-1')).toBe(false);
  });

  test('have the next one come in where one of them is gone', async () => {
    rig.issuers.push(...others, NINTH);
    rig.trust.issuerChanged(ISSUER);
    await rig.work(tube);
    const [left = ''] = rig.trust.status()[0]?.issuers_left_out ?? [];
    expect(rig.held(tube).issuers.map(({ issuer }) => issuer)).not.toContain(left);
    rig.issuers.splice(rig.issuers.indexOf(NINTH), 1);
    rig.trust.issuerChanged(ISSUER);
    await rig.work(tube);
    expect(rig.held(tube).issuers.map(({ issuer }) => issuer)).toContain(left);
    expect(rig.trust.status()[0]).not.toHaveProperty('issuers_left_out');
  });
});

describe('a device', () => {
  test('holds what it was provisioned with, and nothing is due', () => {
    expect(rig.trust.isDue('tube-1')).toBe(false);
    expect(rig.trust.status()).toMatchObject([{ device: 'tube-1', state: 'current', version: 1, changes: [] }]);
    expect(rig.held(tube).issuers).toEqual([{ issuer: ISSUER, keys: [FIRST] }]);
  });

  test('gets the new key of an issuer, and loses the old one', async () => {
    rig.keys = [FIRST, SECOND];
    rig.trust.issuerChanged(ISSUER);
    expect(rig.woken).toEqual(['tube-1']);
    expect(rig.trust.status()).toMatchObject([{ state: 'waiting', changes: [`+ key of ${ISSUER} as-2`] }]);
    expect(await rig.work(tube)).toBe(1);
    expect(rig.held(tube)).toMatchObject({ version: 2, issuers: [{ issuer: ISSUER, keys: [FIRST, SECOND] }] });
    rig.keys = [SECOND];
    rig.trust.issuerChanged(ISSUER);
    await rig.work(tube);
    expect(rig.held(tube)).toMatchObject({ version: 3, issuers: [{ issuer: ISSUER, keys: [SECOND] }] });
    expect(rig.events.map(({ event }) => event)).toEqual(['trust_taken', 'trust_taken']);
    expect(rig.trust.status()).toMatchObject([{ state: 'current', version: 3 }]);
  });

  test('is left alone where the issuer published the same keys in another order', async () => {
    rig.keys = [FIRST];
    rig.trust.issuerChanged(ISSUER);
    expect(rig.woken).toEqual([]);
  });

  test('gets an issuer whose keys do not travel by its name, and keeps the others', async () => {
    rig.issuers.push('https://rsa.example');
    rig.trust.issuerChanged('https://rsa.example');
    expect(rig.trust.status()).toMatchObject([{ state: 'waiting', changes: ['+ issuer https://rsa.example'] }]);
    await rig.work(tube);
    expect(rig.held(tube).issuers).toEqual([
      { issuer: ISSUER, keys: [FIRST] },
      { issuer: 'https://rsa.example', keys: [] },
    ]);
  });

  test('is registered with the names of issuers that were never reached', async () => {
    const blank = await TrustRig.open();
    const device = await blank.add('tube-2');
    expect(blank.held(device).issuers).toEqual([{ issuer: ISSUER, keys: [] }]);
  });

  test('keeps what it holds of an issuer that was not reached since the start', async () => {
    const again = await TrustRig.open(rig);
    again.keys = undefined;
    expect(again.trust.isDue('tube-1')).toBe(false);
  });

  test('that was given no keys of issuers gets them when no token waits, not before', async () => {
    const blank = await TrustRig.open();
    const device = await blank.add('tube-2');
    blank.keys = [FIRST];
    blank.trust.issuerChanged(ISSUER);
    rig = blank;
    tube = device;
    const delivery = await rig.queueToken(tube);
    expect(blank.trust.isDue('tube-2')).toBe(false);
    await blank.queue.end(delivery, { state: 'delivered', deviceCode: '2.01', receipt: true });
    expect(blank.trust.isDue('tube-2')).toBe(true);
    await blank.work(device);
    expect(blank.held(device).issuers).toHaveLength(1);
  });

  test('of another issuer is left alone', async () => {
    const other = await rig.add('tube-9');
    await rig.registry.remove('tube-9');
    await rig.registry.add({ ...other, issuers: ['https://else.example'] });
    rig.keys = [SECOND];
    rig.trust.issuerChanged(ISSUER);
    expect(rig.woken).toEqual(['tube-1']);
  });

  test('that cannot prove what it holds is given nothing', async () => {
    const silent = await rig.add('tube-3', { receipt: 'none' });
    rig.keys = [SECOND];
    rig.trust.issuerChanged(ISSUER);
    expect(rig.trust.isDue(silent.id)).toBe(false);
    expect(rig.trust.status().find(({ device }) => device === silent.id)).toMatchObject({ state: 'current' });
  });

  test('that is no device any more, or asks by itself, is not looked at', async () => {
    await rig.registry.add({ ...tube, id: 'ekg-1', audience: 'coap://ekg-1', line: undefined });
    expect([rig.trust.isDue('ekg-1'), rig.trust.isDue('nobody')]).toEqual([false, false]);
    expect(rig.trust.status().map(({ device }) => device)).toEqual(['tube-1']);
  });
});

describe('a bundle', () => {
  beforeEach(() => {
    rig.keys = [SECOND];
    rig.trust.issuerChanged(ISSUER);
  });

  test('goes to /trust under the key of the device, with a time that is past', async () => {
    await rig.work(tube);
    const [request] = rig.link().requests;
    expect(request).toMatchObject({ method: 2, path: ['trust'], contentFormat: 17 });
    const { trust } = openTrustBundle(request?.payload ?? EMPTY, {
      keys: [bundleMacKey(tube)],
      audience: tube.audience,
    });
    expect(trust).toMatchObject({ version: 2, device: 'tube-1', time: NOW });
  });

  test('has no time where the hub does not know it', async () => {
    rig.time.forgetLatest();
    await rig.work(tube);
    expect(rig.held(tube).time).toBeUndefined();
  });

  test('is on the medium before it is sent, and is the same after a restart', async () => {
    answers(() => new LatchkeyError('device_no_answer'));
    expect(await asyncCodeOf(rig.work(tube))).toBe('device_no_answer');
    const sent = rig.link().requests[0]?.payload;
    await rig.time.advance(3_600_000);
    const again = await TrustRig.open(rig);
    expect(await asyncCodeOf(again.work(tube))).toBe('device_no_answer');
    expect(rig.link().requests[1]?.payload).toEqual(sent);
    expect(again.trust.status()).toMatchObject([{ state: 'waiting', version: 1, pending: 2, waiting_since: NOW }]);
  });

  test('is not sent where the medium does not take it', async () => {
    rig.store.failAt(1);
    await expect(rig.work(tube)).rejects.toThrow('the medium failed');
    expect(rig.link().requests).toEqual([]);
  });

  test('whose answer got lost is answered again, and then counts', async () => {
    const given = rig.devices.get('tube-1');
    answers((request) => {
      void given?.handler(request);
      return new LatchkeyError('device_no_answer');
    });
    expect(await asyncCodeOf(rig.work(tube))).toBe('device_no_answer');
    expect(rig.held(tube).version).toBe(1);
    rig.link().request = (request) => given?.handler(request) ?? Promise.reject(new Error('no device'));
    await rig.work(tube);
    expect(rig.held(tube).version).toBe(2);
    expect(rig.events.map(({ event }) => event)).toEqual(['trust_taken', 'trust_known']);
  });

  test('that another one took the place of has a higher version', async () => {
    answers(() => new LatchkeyError('device_no_answer'));
    await asyncCodeOf(rig.work(tube));
    rig.keys = [FIRST, SECOND];
    rig.trust.issuerChanged(ISSUER);
    await asyncCodeOf(rig.work(tube));
    expect(rig.records.of(tube).pending?.trust).toMatchObject({ version: 3 });
  });

  test('is settled even where all became as it was: nobody knows which one the device holds', async () => {
    answers(() => new LatchkeyError('device_no_answer'));
    await asyncCodeOf(rig.work(tube));
    rig.keys = [FIRST];
    rig.trust.issuerChanged(ISSUER);
    expect(rig.trust.isDue('tube-1')).toBe(true);
    const given = rig.devices.get('tube-1');
    rig.link().request = (request) => given?.handler(request) ?? Promise.reject(new Error('no device'));
    await rig.work(tube);
    expect(rig.held(tube)).toMatchObject({ version: 3, issuers: [{ keys: [FIRST] }] });
  });

  test('leaves a record in the audit when the device confirmed it', async () => {
    await rig.work(tube);
    expect(rig.audit.entries).toMatchObject([{ kind: 'trust', verdict: 'delivered', device: 'tube-1' }]);
  });
});

describe('an answer', () => {
  const signed = (code: string, version: number, other?: Device) => (request: CoapRequest) => {
    const of = other ?? tube;
    const bundle = request.payload ?? EMPTY;
    const number = codeNumber(code);
    return {
      code: number,
      payload: makeTrustAnswer({ key: answerKey(of), device: of.id, code: number, bundle, version }),
    };
  };

  beforeEach(() => {
    rig.keys = [SECOND];
    rig.trust.issuerChanged(ISSUER);
  });

  test('of 2.04 counts with the MAC of the device only', async () => {
    answers(() => bare('2.04'));
    expect(await asyncCodeOf(rig.work(tube))).toBe('device_answer_untrusted');
    const other = { ...tube, rootKey: new Secret(new Uint8Array(32).fill(99)) };
    answers(signed('2.04', 2, other));
    expect(await asyncCodeOf(rig.work(tube))).toBe('device_answer_untrusted');
    expect(rig.held(tube).version).toBe(1);
  });

  test('of the past does not count', async () => {
    let recorded: CoapResponse | undefined;
    answers((request) => {
      recorded = signed('2.04', 2)(request);
      return new LatchkeyError('device_no_answer');
    });
    await asyncCodeOf(rig.work(tube));
    rig.keys = [FIRST, SECOND];
    rig.trust.issuerChanged(ISSUER);
    answers(() => recorded ?? bare('5.00'));
    expect(await asyncCodeOf(rig.work(tube))).toBe('device_answer_untrusted');
  });

  test('of 2.04 for another version is not as agreed', async () => {
    answers(signed('2.04', 7));
    expect(await asyncCodeOf(rig.work(tube))).toBe('device_answer_invalid');
  });

  test('of 4.09 has the next version above the one that the device proves: a restored hub finds its way', async () => {
    const given = rig.devices.get('tube-1');
    answers((request) => {
      const { trust } = openTrustBundle(request.payload ?? EMPTY, {
        keys: [bundleMacKey(tube)],
        audience: tube.audience,
      });
      return trust.version > 40 ? signed('2.04', trust.version)(request) : signed('4.09', 40)(request);
    });
    expect(given).toBeDefined();
    expect(await rig.work(tube)).toBe(2);
    expect(rig.held(tube).version).toBe(41);
    expect(rig.audit.entries).toMatchObject([
      { kind: 'trust', verdict: 'refused', device: 'tube-1', code: 'trust_outrun' },
      { kind: 'trust', verdict: 'delivered', device: 'tube-1' },
    ]);
  });

  test.each([
    ['bare', () => bare('4.09'), 'device_answer_untrusted'],
    ['for a version below', signed('4.09', 1), 'device_answer_invalid'],
  ])('of 4.09 that is %s changes nothing', async (_, answer, code) => {
    answers(answer);
    expect(await asyncCodeOf(rig.work(tube))).toBe(code);
    expect(rig.records.of(tube).highest).toBe(2);
  });

  test.each(['5.03', '4.08', '5.00'])('of %s judges the moment: it is tried again', async (code) => {
    answers(() => bare(code));
    expect(await asyncCodeOf(rig.work(tube))).toBe('device_answer_invalid');
    expect(rig.trust.isDue('tube-1')).toBe(true);
  });

  test.each(['4.00', '4.01', '4.03', '4.04', '4.05', '4.13', '4.15'])(
    'of %s is a refusal: tokens go on, and it is asked again an hour later',
    async (code) => {
      answers(() => bare(code));
      expect(await rig.work(tube)).toBe(1);
      expect(rig.trust.status()).toMatchObject([{ state: 'refused', device_code: code, version: 1 }]);
      expect(rig.audit.entries).toMatchObject([{ kind: 'trust', verdict: 'refused', code: 'device_refused_trust' }]);
      await rig.time.advance(3_599_000);
      expect(rig.trust.isDue('tube-1')).toBe(false);
      await rig.time.advance(1_000);
      expect(rig.trust.isDue('tube-1')).toBe(true);
    },
  );

  test('that refuses counts with the MAC of the device, and not with that of another', async () => {
    answers(signed('4.01', 1));
    expect(await rig.work(tube)).toBe(1);
    expect(rig.trust.status()).toMatchObject([{ state: 'refused', device_code: '4.01' }]);
    rig.keys = [FIRST, SECOND];
    rig.trust.issuerChanged(ISSUER);
    answers(signed('4.01', 1, { ...tube, rootKey: new Secret(new Uint8Array(32).fill(99)) }));
    expect(await asyncCodeOf(rig.work(tube))).toBe('device_answer_untrusted');
  });

  test('that refused does not hold up another bundle', async () => {
    answers(() => bare('4.04'));
    await rig.work(tube);
    rig.keys = [FIRST, SECOND];
    rig.trust.issuerChanged(ISSUER);
    expect(rig.trust.isDue('tube-1')).toBe(true);
  });
});

describe('tokens', () => {
  const dispatch = (device: Device): Dispatcher =>
    new Dispatcher({
      queue: rig.queue,
      registry: rig.registry,
      link: () => rig.link(device.id),
      certain: () => rig.time.certain(),
      timers: rig.time,
      monotonic: () => rig.time.monotonic(),
      random: rig.time,
      log: rig.log,
      audit: rig.audit,
      errands: [rig.trust],
      attemptTimeout: 1_000,
      longestPause: 1_000,
    });

  /** The paths of what is asked of the device, which is silent for the first two requests. */
  function order(device: Device): readonly string[] {
    const paths: string[] = [];
    rig.link(device.id).request = async (request) => {
      paths.push(request.path.join('/'));
      if (paths.length < 3) throw new LatchkeyError('device_no_answer');
      return bare('4.04');
    };
    return paths;
  }

  test.each([
    ['the key of the hub', { wrap: 'sign1', authentication: 'ES256' }, () => rig.trust.rotateHubKey()],
    [
      'the name of an issuer that tokens carry',
      { claims: 'full' },
      async () => rig.issuers.push('https://rsa.example'),
    ],
  ] as const)('wait for %s, and go behind it in the same worker', async (_, profile, change) => {
    const device = await rig.add('tube-5', profile);
    await change();
    rig.trust.issuerChanged(ISSUER);
    await rig.queueToken(device, { hubKey: rig.hubKeys.signingKeys('ES256').at(-1)?.keyId });
    const asked = order(device);
    const dispatcher = dispatch(device);
    dispatcher.start();
    await rig.time.advance(4_000);
    expect(asked.slice(0, 4)).toEqual(['trust', 'trust', 'trust', 'authz-info']);
    await dispatcher.stop();
  });

  test.each([
    ['a new key of an issuer', { claims: 'full' }, (): void => undefined],
    ['the name of an issuer that no token carries', {}, (): void => void rig.issuers.push('https://rsa.example')],
  ] as const)('do not wait for %s', async (_, profile, change) => {
    const device = await rig.add('tube-5', profile);
    change();
    rig.keys = [SECOND];
    rig.trust.issuerChanged(ISSUER);
    const id = await rig.queueToken(device);
    const asked = order(device);
    const dispatcher = dispatch(device);
    dispatcher.start();
    await rig.time.advance(4_000);
    expect(asked.slice(0, 3)).toEqual(['authz-info', 'authz-info', 'authz-info']);
    await rig.queue.end(id, { state: 'delivered', deviceCode: '2.01', receipt: true });
    dispatcher.wake(device.id);
    await rig.time.advance(1_000);
    expect(asked.at(-1)).toBe('trust');
    await dispatcher.stop();
  });
});

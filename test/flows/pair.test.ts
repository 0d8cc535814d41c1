import { inspect } from 'node:util';
import { beforeEach, describe, expect, test } from 'vitest';
import { codeNumber, codeText } from '../../src/codec/coap/codes.ts';
import { encodeDeviceTrust } from '../../src/codec/device-trust-map.ts';
import { CONTENT_FORMAT } from '../../src/codec/iana.ts';
import { encodeNonce } from '../../src/codec/provisioning.ts';
import { setupCodeText } from '../../src/codec/setup-code.ts';
import { base64url, EMPTY, hex } from '../../src/core/bytes.ts';
import type { CoapRequest } from '../../src/core/coap-exchange.ts';
import { Secret } from '../../src/core/secret.ts';
import { identifyDevice } from '../../src/flows/identify.ts';
import type { PairDraft, PairRequest } from '../../src/ports/pairing.ts';
import { FaultyStore } from '../fakes/faulty-store.ts';
import { asyncCodeOf } from '../fixtures/async-code-of.ts';
import { signingJwk, TRUST } from '../fixtures/device-trust.ts';
import { CODE, type Fate, FaultyLink, PairRig, WRONG_CODE } from '../fixtures/pair-rig.ts';
import { OTHER, PairableDevice, SETUP } from '../sim/paired-device.ts';

const MINUTE = { seconds: 60 };
let rig: PairRig;

beforeEach(async () => {
  rig = await PairRig.open();
});

const events = () => rig.tube.events.map(({ event }) => event);
const refusals = () => rig.audit.entries.filter(({ verdict }) => verdict === 'refused').map(({ code }) => code);

/** What the hub believes that the device trusts. */
const held = (of: PairRig) => hex(encodeDeviceTrust(of.records.of(of.registry.get('tube-1')).held));

/** Whether hub and device share a root key, and both say so. */
const unfinished = ({ finish, registry }: PairRig) =>
  registry.list().flatMap(({ id }) => (finish.isDue(id) ? [id] : []));

function isPaired(of = rig): boolean {
  const device = of.registry.find('tube-1');
  const held = of.tube.state.trust;
  return (
    device !== undefined &&
    device.pairing === undefined &&
    held !== undefined &&
    hex(device.rootKey.expose()) === hex(held.rootKey.expose())
  );
}

describe('a window', () => {
  test('shows what is there, until it closes by itself', async () => {
    const view = await rig.flow.open(MINUTE);
    expect(view).toEqual({
      closes_in: 60,
      attempts_left: 5,
      candidates: [{ key: 'line/bench', name: 'bench', medium: 'line' }],
      obstacles: [],
    });
    expect(rig.watched).toBe(1);
    await rig.time.advance(59_999);
    expect((await rig.flow.view()).closes_in).toBe(1);
    await rig.time.advance(1);
    expect(await asyncCodeOf(rig.flow.view())).toBe('pairing_window_closed');
    expect(rig.watched).toBe(0);
  });

  test('is closed by hand, and opens again', async () => {
    await rig.flow.open(MINUTE);
    await rig.flow.close();
    await rig.flow.close();
    expect(await asyncCodeOf(rig.pair())).toBe('pairing_window_closed');
    await rig.flow.open(MINUTE);
    expect((await rig.pair()).state).toBe('paired');
  });

  test('shows the device that is expected, however many louder ones there are', async () => {
    const named = (name: string, signal: number) => new FaultyLink(name, rig.tube, signal);
    rig.links = Array.from({ length: 100 }, (_, made) => named(`loud-${made}`, -20));
    rig.links.push(named('tube-1', -90));
    const view = await rig.flow.open({ ...MINUTE, medium: 'ble', device: { id: 'tube-1', profile: {} } });
    expect(view.candidates.map(({ name }) => name)).toContain('tube-1');
    expect(view.candidates.length).toBeLessThanOrEqual(64);
  });

  test('is one at a time', async () => {
    await rig.flow.open(MINUTE);
    expect(await asyncCodeOf(rig.flow.open(MINUTE))).toBe('pairing_window_open');
  });

  test.each([0, 901, 1.5])('of %d seconds is refused', async (seconds) => {
    expect(await asyncCodeOf(rig.flow.open({ seconds }))).toBe('request_invalid');
  });

  test('for radio devices does not show lines', async () => {
    expect((await rig.flow.open({ ...MINUTE, medium: 'ble' })).candidates).toEqual([]);
  });

  test('shows no line whose device is paired', async () => {
    await rig.flow.open(MINUTE);
    await rig.pair();
    expect((await rig.flow.view()).candidates).toEqual([]);
  });

  test('shows what else is in the way, with what to do', async () => {
    rig.obstacles = [{ place: 'line/desk', code: 'link_down', detail: 'ENOENT' }];
    const { obstacles } = await rig.flow.open(MINUTE);
    expect(obstacles).toMatchObject([{ place: 'line/desk', code: 'link_down', detail: 'ENOENT', lasting: false }]);
    expect(obstacles[0]?.fix).toContain('cable');
  });

  test('for a line shows no other one, and nothing of the radio', async () => {
    rig.links = [rig.link, new FaultyLink('desk', new PairableDevice())];
    rig.obstacles = [{ place: 'ble', code: 'radio_blocked' }];
    const { candidates, obstacles } = await rig.flow.open({ ...MINUTE, medium: 'line', name: 'desk' });
    expect(candidates.map(({ key }) => key)).toEqual(['line/desk']);
    expect(obstacles).toEqual([]);
  });

  test.each([
    ['a line that is not configured', 'line/ward-9', 'link_unconfigured'],
    ['a line that has a device', 'line/bench', 'pairing_place_taken'],
  ] as const)('is not opened for %s', async (_, place, code) => {
    rig.links = [];
    rig.obstacles = [{ place, code }];
    expect(await asyncCodeOf(rig.flow.open({ ...MINUTE, medium: 'line', name: place.slice(5) }))).toBe(code);
    expect(rig.watched).toBe(0);
    expect(await asyncCodeOf(rig.flow.view())).toBe('pairing_window_closed');
  });

  test('is opened where nobody is there yet', async () => {
    rig.links = [];
    rig.obstacles = [{ place: 'line/bench', code: 'link_down' }];
    expect((await rig.flow.open({ ...MINUTE, medium: 'line', name: 'bench' })).candidates).toEqual([]);
  });

  const drafts: readonly (readonly [string, Partial<PairDraft>, string])[] = [
    ['an id that is none', { id: 'Tube 1' }, 'device_invalid'],
    ['an id that is taken', { id: 'tube-9' }, 'device_exists'],
    ['an audience that is taken', { id: 'tube-2', audience: 'coap://tube-9' }, 'audience_taken'],
    ['a name that is none', { id: undefined, name: '' }, 'device_invalid'],
    ['a wrap that is none', { id: undefined, profile: { scopes: ['read'], wrap: 'paper' } }, 'device_invalid'],
    ['an issuer that is not configured', { issuers: ['https://evil.example'] }, 'device_invalid'],
  ];
  test.each(drafts)('is not opened for a device with %s', async (_, changes, code) => {
    await rig.devices.addDevice({ id: 'tube-9', audience: 'coap://tube-9', line: 'desk', profile: { scopes: ['a'] } });
    const device = { id: 'tube-1', profile: { scopes: ['read'] }, ...changes };
    expect(await asyncCodeOf(rig.flow.open({ ...MINUTE, device }))).toBe(code);
    expect(rig.watched).toBe(0);
  });

  test('is opened for a device of which only its profile is known, and for one that is paired half', async () => {
    const device = { profile: { scopes: ['read'] } };
    await rig.flow.open({ ...MINUTE, device });
    rig.link.fate = (request) => (request === 3 ? 'lost answer' : 'arrives');
    await rig.pair();
    await rig.flow.close();
    expect((await rig.flow.open({ ...MINUTE, device: { ...device, id: 'tube-1' } })).candidates).toHaveLength(1);
  });

  test('says of a candidate that is gone why', async () => {
    await rig.flow.open(MINUTE);
    rig.links = [];
    rig.obstacles = [{ place: 'line/bench', code: 'link_down', detail: 'EIO' }];
    expect(await asyncCodeOf(rig.flow.identify('line/bench'))).toBe('link_down');
    rig.obstacles = [{ place: 'ble', code: 'radio_missing' }];
    expect(await asyncCodeOf(rig.flow.identify('line/bench'))).toBe('pairing_candidate_unknown');
    expect(await asyncCodeOf(rig.flow.identify('ble/tube-1'))).toBe('radio_missing');
  });

  test('makes a candidate blink', async () => {
    await rig.flow.open(MINUTE);
    await rig.flow.identify('line/bench');
    expect(events()).toEqual(['identified']);
  });

  test.each([
    ['a candidate that is not there', 'line/desk', 'pairing_candidate_unknown'],
    ['a device that refuses', 'line/bench', 'device_answer_invalid'],
  ])('does not make %s blink', async (_, key, code) => {
    await rig.tube.pair();
    await rig.flow.open(MINUTE);
    expect(await asyncCodeOf(rig.flow.identify(key))).toBe(code);
  });
});

describe('pairing', () => {
  beforeEach(async () => {
    await rig.flow.open(MINUTE);
  });

  test('gives hub and device one root key, and nobody else', async () => {
    const { device, state } = await rig.pair({ name: 'Fridge' });
    expect(state).toBe('paired');
    expect(device).toMatchObject({ id: 'tube-1', name: 'Fridge', audience: 'coap://tube-1', line: 'bench' });
    expect(device.unfinished).toBeUndefined();
    expect(isPaired()).toBe(true);
    expect(events()).toEqual(['pairing_begun', 'trust_received', 'paired']);
    expect(rig.link.proofs).toEqual([true, true]);
    expect(rig.audit.entries).toEqual([
      { kind: 'pair', verdict: 'paired', device: 'tube-1', request: expect.stringMatching(/^[0-9a-f]{16}$/) },
    ]);
  });

  test('sends what the device is to trust: audience, issuers, time, profile', async () => {
    rig.issuers = [{ issuer: 'https://as.example', keys: [signingJwk('ES256', 'as-1')] }];
    const profile = { wrap: 'sign1', permissions: { read: [['temperature', 16]] } } as const;
    await rig.pair({ audience: 'https://tube.example', profile });
    expect(rig.tube.state.trust?.trust).toMatchObject({
      version: 1_700_000_000,
      device: 'tube-1',
      audience: 'https://tube.example',
      time: rig.time.now().latest,
      wrap: 'sign1',
      authentication: 'ES256',
      hubKeys: [{ alg: 'ES256', kid: expect.any(String) }],
      issuers: rig.issuers,
      permissions: profile.permissions,
    });
    expect(held(rig)).toBe(hex(encodeDeviceTrust(rig.tube.state.trust?.trust ?? TRUST)));
  });

  test('says no time where the hub is not sure of it', async () => {
    rig.time.forgetLatest();
    await rig.pair();
    expect(rig.tube.state.trust?.trust.time).toBeUndefined();
  });

  test('takes the id from the QR text', async () => {
    const { device } = await rig.flow.pair({ code: setupCodeText('tube-9', SETUP), profile: { scopes: ['read'] } });
    expect(device).toMatchObject({ id: 'tube-9', audience: 'coap://tube-9' });
  });

  test('goes to the candidate that is named, of several', async () => {
    rig.links = [new FaultyLink('desk', new PairableDevice()), rig.link];
    expect(await asyncCodeOf(rig.pair())).toBe('pairing_candidate_unclear');
    expect((await rig.pair({ candidate: 'line/bench' })).device.line).toBe('bench');
  });

  test('goes on after the window closed in its middle', async () => {
    rig.link.before = () => void rig.flow.close();
    expect((await rig.pair()).state).toBe('paired');
  });

  test('is of one device at a time', async () => {
    const first = rig.pair();
    expect(await asyncCodeOf(rig.pair())).toBe('pairing_busy');
    expect((await first).state).toBe('paired');
  });

  test('writes no secret into log, audit or errors', async () => {
    await asyncCodeOf(rig.pair({ code: WRONG_CODE }));
    rig.link.fate = (request) => (request === 5 ? 'lost answer' : 'arrives');
    await rig.pair();
    const root = rig.registry.get('tube-1').rootKey.expose();
    const said = inspect([rig.log.lines, rig.audit.entries], { depth: 9 });
    for (const secret of [CODE.expose(), WRONG_CODE.expose(), hex(SETUP.expose()), hex(root), base64url(root)])
      expect(said).not.toContain(secret);
    expect(said).toContain('pairing_failed');
  });
});

describe('pairing is refused', () => {
  beforeEach(async () => {
    await rig.flow.open(MINUTE);
  });

  const cases: readonly (readonly [string, Partial<PairRequest>, string])[] = [
    ['with a code that was mistyped', { code: new Secret('00041-06105-0R3GG-28A1C-60T3G-F7') }, 'setup_code_invalid'],
    ['without an id', { id: undefined }, 'device_invalid'],
    ['with an id that is none', { id: 'Tube 1' }, 'device_invalid'],
    ['with a name of control characters', { name: 'a\u0007' }, 'device_invalid'],
    ['without a scope', { profile: {} }, 'device_invalid'],
    ['with an issuer that is not configured', { issuers: ['https://evil.example'] }, 'device_invalid'],
    ['with a candidate that is not there', { candidate: 'line/desk' }, 'pairing_candidate_unknown'],
  ];
  test.each(cases)('%s, before the device is asked', async (_, changes, code) => {
    expect(await asyncCodeOf(rig.pair(changes))).toBe(code);
    expect(rig.link.requests).toEqual([]);
    expect(rig.audit.entries).toEqual([]);
    expect((await rig.flow.view()).attempts_left).toBe(5);
  });

  test('where nothing is there', async () => {
    rig.links = [];
    expect(await asyncCodeOf(rig.pair())).toBe('pairing_candidate_unknown');
  });

  test('for an id that is registered, before the device is asked', async () => {
    await rig.devices.addDevice({ id: 'tube-1', audience: 'a', line: 'desk', profile: { scopes: ['read'] } });
    expect(await asyncCodeOf(rig.pair())).toBe('device_exists');
    expect(rig.link.requests).toEqual([]);
  });

  test('for an audience that is taken, before the device is asked', async () => {
    await rig.devices.addDevice({ id: 'b', audience: 'coap://tube-1', line: 'desk', profile: { scopes: ['read'] } });
    expect(await asyncCodeOf(rig.pair())).toBe('audience_taken');
    expect(rig.link.requests).toEqual([]);
  });

  test('for a wrong code, and leaves both as they were', async () => {
    expect(await asyncCodeOf(rig.pair({ code: WRONG_CODE }))).toBe('setup_code_refused');
    expect(rig.tube.state).toEqual({ setup: 'alive' });
    expect(rig.registry.size).toBe(0);
    expect(refusals()).toEqual(['setup_code_refused']);
    expect((await rig.flow.view()).attempts_left).toBe(4);
    expect((await rig.pair()).state).toBe('paired');
  });

  test('for a wrong code as often as it comes where several answer to the name: an impostor cannot close the window', async () => {
    rig.link.rivals = 1;
    for (let attempt = 1; attempt <= 6; attempt++)
      expect(await asyncCodeOf(rig.pair({ code: WRONG_CODE }))).toBe('setup_code_refused');
    expect((await rig.flow.view()).attempts_left).toBe(5);
    expect((await rig.pair()).state).toBe('paired');
  });

  test('for a wrong code that somebody else came along for: it does not count either', async () => {
    rig.link.before = () => {
      rig.link.rivals = 1;
    };
    expect(await asyncCodeOf(rig.pair({ code: WRONG_CODE }))).toBe('setup_code_refused');
    expect((await rig.flow.view()).attempts_left).toBe(5);
  });

  test('five times for wrong codes, and then the window is closed', async () => {
    for (let attempt = 1; attempt <= 4; attempt++)
      expect(await asyncCodeOf(rig.pair({ code: WRONG_CODE }))).toBe('setup_code_refused');
    expect(await asyncCodeOf(rig.pair({ code: WRONG_CODE }))).toBe('pairing_attempts_spent');
    expect(await asyncCodeOf(rig.pair())).toBe('pairing_window_closed');
    expect(refusals()).toEqual([...Array(5).fill('setup_code_refused'), 'pairing_attempts_spent']);
    expect(rig.watched).toBe(0);
    await rig.flow.open(MINUTE);
    expect((await rig.flow.view()).attempts_left).toBe(5);
  });

  test('for a code that is dead', async () => {
    await rig.tube.pair(OTHER);
    expect(await asyncCodeOf(rig.pair())).toBe('setup_code_dead');
    expect((await rig.flow.view()).attempts_left).toBe(5);
    rig.tube.reset();
    expect((await rig.pair()).state).toBe('paired');
  });

  const answers: readonly (readonly [string, number, Fate, string])[] = [
    [
      'whose device knows no pairing',
      1,
      { code: codeNumber('4.04'), payload: new Uint8Array(0) },
      'device_not_pairable',
    ],
    [
      'whose device answers with noise',
      1,
      { code: codeNumber('2.01'), payload: new Uint8Array(4) },
      'device_answer_invalid',
    ],
    ['whose device is at a loss', 1, { code: codeNumber('5.00'), payload: new Uint8Array(0) }, 'device_answer_invalid'],
    [
      'whose device has no use for the profile',
      2,
      { code: codeNumber('4.00'), payload: new Uint8Array(0) },
      'device_refused_profile',
    ],
    ['whose device is full', 2, { code: codeNumber('4.13'), payload: new Uint8Array(0) }, 'device_refused_profile'],
    ['whose code died meanwhile', 2, { code: codeNumber('4.03'), payload: new Uint8Array(0) }, 'setup_code_dead'],
    [
      'by an impostor that says yes',
      2,
      { code: codeNumber('2.04'), payload: new Uint8Array(40) },
      'setup_code_refused',
    ],
    [
      'whose device is at a loss later',
      2,
      { code: codeNumber('5.00'), payload: new Uint8Array(0) },
      'device_answer_invalid',
    ],
  ];
  test.each(answers)('%s, and the hub registers nothing', async (_, at, answer, code) => {
    rig.link.fate = (request) => (request === at ? answer : 'arrives');
    expect(await asyncCodeOf(rig.pair())).toBe(code);
    expect(rig.registry.size).toBe(0);
    expect(refusals()).toEqual([code]);
    // Nobody else is there: it may be the device, and the operator reads what it said.
    expect(rig.link.proofs).toEqual([]);
  });
});

describe('of several that answer to the name', () => {
  const bare = (code: string, payload: Uint8Array = new Uint8Array(0)) => ({ code: codeNumber(code), payload });
  /** Gives a nonce, and then that. */
  const later = (fate: Fate) => (request: CoapRequest) =>
    request.contentFormat === CONTENT_FORMAT.cbor ? bare('2.01', encodeNonce(new Uint8Array(16))) : fate;
  const impostors: readonly (readonly [string, (request: CoapRequest) => Fate, string])[] = [
    ['says that its code is dead', () => bare('4.03'), 'setup_code_dead'],
    ['knows no pairing', () => bare('4.04'), 'device_not_pairable'],
    ['answers with noise', () => bare('2.01', new Uint8Array(4)), 'device_answer_invalid'],
    ['is at a loss', () => bare('5.00'), 'device_answer_invalid'],
    ['answers nothing', () => 'lost request', 'device_no_answer'],
    ['refuses the code', later(bare('4.01')), 'setup_code_refused'],
    ['says that its code died meanwhile', later(bare('4.03')), 'setup_code_dead'],
    ['has no use for the profile', later(bare('4.00')), 'device_refused_profile'],
    ['says yes', later(bare('2.04', new Uint8Array(40))), 'setup_code_refused'],
    ['answers nothing any more', later('lost request'), 'device_no_answer'],
  ];

  beforeEach(async () => {
    await rig.flow.open(MINUTE);
    rig.link.rivals = 1;
  });

  test.each(impostors)(
    'one that %s is set aside and on record, and the device is paired',
    async (_, impostor, code) => {
      rig.link.impostors = [impostor];
      expect((await rig.pair()).state).toBe('paired');
      expect(isPaired()).toBe(true);
      expect(rig.link.proofs).toEqual([false, true, true]);
      expect(rig.audit.entries).toMatchObject([
        { kind: 'pair', verdict: 'refused', device: 'tube-1', code },
        { kind: 'pair', verdict: 'paired', device: 'tube-1' },
      ]);
      expect((await rig.flow.view()).attempts_left).toBe(5);
    },
  );

  test('a device that has another code is what the operator reads of, whatever an impostor says', async () => {
    rig.link.impostors = [() => bare('4.03')];
    expect(await asyncCodeOf(rig.pair({ code: WRONG_CODE }))).toBe('setup_code_refused');
    expect(refusals()).toEqual(['setup_code_dead', 'setup_code_refused']);
  });

  test('no more are asked than there are', async () => {
    rig.link.impostors = [1, 2, 3].map(() => () => bare('4.03'));
    expect(await asyncCodeOf(rig.pair())).toBe('setup_code_dead');
    expect(refusals()).toHaveLength(2);
  });

  test('all are asked again with the next code: it may be theirs', async () => {
    await asyncCodeOf(rig.pair({ code: WRONG_CODE }));
    await rig.pair();
    expect(rig.link.askedAnew).toBe(2);
  });
});

describe('pairing is interrupted', () => {
  beforeEach(async () => {
    await rig.flow.open(MINUTE);
  });

  for (const message of [1, 2]) {
    for (const fate of ['lost request', 'lost answer'] as const) {
      test(`in message ${message}, ${fate}: both are as before, and it can be repeated`, async () => {
        rig.link.fate = (request) => (request === message ? fate : 'arrives');
        expect(await asyncCodeOf(rig.pair())).toBe('device_no_answer');
        expect(rig.registry.size).toBe(0);
        expect(rig.tube.state.setup).toBe('alive');
        expect(rig.tube.state.trust).toBeUndefined();
        expect(rig.woken).toEqual([]);
        expect((await rig.pair()).state).toBe('paired');
        expect(isPaired()).toBe(true);
      });
    }

    test(`by a restart of the device before message ${message + 1}: it can be repeated`, async () => {
      rig.link.before = (request) => {
        if (request === message + 1) rig.tube.restart();
      };
      await rig.pair().catch(() => undefined);
      rig.link.before = () => undefined;
      if (!isPaired()) expect((await rig.pair()).state).toBe('paired');
      expect(isPaired()).toBe(true);
    });
  }

  for (const fate of ['lost request', 'lost answer'] as const) {
    test(`in the last message, ${fate}: the hub goes on until the device has said that it is paired`, async () => {
      rig.link.fate = (request) => (request >= 3 ? fate : 'arrives');
      const { device, state } = await rig.pair();
      expect(state).toBe('unfinished');
      expect(device.unfinished).toBe(true);
      expect(rig.woken).toEqual(['tube-1']);
      expect(rig.audit.entries).toEqual([]);
      expect(unfinished(rig)).toEqual(['tube-1']);
      expect(await asyncCodeOf(rig.sighted())).toBe('device_no_answer');
      rig.link.fate = () => 'arrives';
      await rig.sighted();
      expect(isPaired()).toBe(true);
      expect(rig.finish.isDue('tube-1')).toBe(false);
      expect(rig.audit.entries).toMatchObject([{ kind: 'pair', verdict: 'paired' }]);
    });

    test(`in the last message, ${fate}, and the hub is killed: it goes on`, async () => {
      rig.link.fate = (request) => (request >= 3 ? fate : 'arrives');
      await rig.pair();
      const again = await rig.restarted();
      expect(unfinished(again)).toEqual(['tube-1']);
      await again.sighted();
      expect(isPaired(again)).toBe(true);
      expect(held(again)).toBe(hex(encodeDeviceTrust(rig.tube.state.trust?.trust ?? TRUST)));
    });

    test(`in the last message, ${fate}: pairing again finishes it, or begins anew`, async () => {
      rig.link.fate = (request) => (request === 3 ? fate : 'arrives');
      await rig.pair();
      expect((await rig.flow.view()).candidates).toHaveLength(1);
      expect((await rig.pair()).state).toBe('paired');
      expect(isPaired()).toBe(true);
      expect(rig.link.requests).toHaveLength(4);
    });
  }

  test('in the last message, and finished twice at once: one record, and both fail where it cannot be written', async () => {
    rig.link.fate = (request) => (request === 3 ? 'lost answer' : 'arrives');
    await rig.pair();
    rig.store.failAt(1);
    const release = rig.store.holdAt(1);
    const both = Promise.allSettled([rig.sighted(), rig.sighted()]);
    // Both have the answer of the device by then, and wait for the medium.
    for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    release();
    const failed = await both;
    expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(unfinished(rig)).toEqual(['tube-1']);
    expect(rig.audit.entries).toEqual([]);
    await Promise.all([rig.sighted(), rig.sighted()]);
    expect(unfinished(rig)).toEqual([]);
    expect(rig.audit.entries).toMatchObject([{ kind: 'pair', verdict: 'paired' }]);
  });

  test('in the last message by a refusal: it is unfinished, and says what the device answered', async () => {
    rig.link.fate = (request) => (request === 3 ? { code: codeNumber('4.01'), payload: EMPTY } : 'arrives');
    expect(await rig.pair()).toMatchObject({
      state: 'unfinished',
      reason: { code: 'device_answer_invalid', detail: '4.01' },
    });
  });

  test('in the last message, and the device is reset by hand: pairing again replaces what was unfinished', async () => {
    rig.link.fate = (request) => (request === 3 ? 'lost request' : 'arrives');
    await rig.pair();
    rig.tube.reset();
    expect(await asyncCodeOf(rig.sighted())).toBe('device_answer_invalid');
    expect((await rig.pair()).state).toBe('paired');
    expect(isPaired()).toBe(true);
    expect(rig.registry.size).toBe(1);
    expect(rig.store.forgotten).toContain('device/');
  });

  test('where the hub cannot store the device: it registers nothing, and the device is as before', async () => {
    rig.store.failAt(1);
    await expect(rig.pair()).rejects.toThrow();
    expect(rig.registry.size).toBe(0);
    expect(rig.tube.state.trust).toBeUndefined();
    expect((await rig.pair()).state).toBe('paired');
  });

  test('by the death of the hub at each of its writes: pairing can be finished or repeated', async () => {
    for (const afterwards of [false, true]) {
      for (let write = 1; write <= 2; write++) {
        const before = await PairRig.open(new FaultyStore());
        await before.flow.open(MINUTE);
        before.store.failAt(write, { afterwards });
        await before.pair().catch(() => undefined);
        const after = await before.restarted();
        for (const id of unfinished(after)) await after.sighted(id);
        if (!isPaired(after)) {
          await after.flow.open(MINUTE);
          await after.pair();
        }
        expect(isPaired(after)).toBe(true);
        expect(after.tube.events.filter(({ event }) => event === 'paired')).toHaveLength(1);
      }
    }
  });

  test('and finished by an impostor: his word does not count', async () => {
    rig.link.fate = (request) => (request >= 3 ? { code: codeNumber('2.04'), payload: new Uint8Array(20) } : 'arrives');
    expect((await rig.pair()).state).toBe('unfinished');
    expect(rig.link.proofs).toEqual([true, false]);
    expect(await asyncCodeOf(rig.sighted())).toBe('device_answer_untrusted');
    expect(rig.registry.get('tube-1').pairing).toBeDefined();
  });

  test('and both ends ask at once: it is on record once', async () => {
    rig.link.fate = (request) => (request === 3 ? 'lost answer' : 'arrives');
    await rig.pair();
    await Promise.all([rig.sighted(), rig.sighted()]);
    expect(rig.audit.entries).toHaveLength(1);
  });
});

describe('unpairing', () => {
  beforeEach(async () => {
    await rig.flow.open(MINUTE);
    await rig.pair();
    rig.audit.entries.length = 0;
  });

  test('makes the device trust nobody, and the hub forget it', async () => {
    expect(await rig.unpair.unpair('tube-1', { force: false })).toEqual({});
    expect(rig.tube.state.trust).toBeUndefined();
    expect(rig.tube.state.setup).toBe('dead');
    expect(rig.registry.size).toBe(0);
    expect(rig.audit.entries).toMatchObject([{ kind: 'unpair', verdict: 'unpaired', device: 'tube-1' }]);
  });

  test('has what takes a nonce of the device go to nobody but who gave it, as pairing does', async () => {
    await rig.unpair.unpair('tube-1', { force: false });
    // Nonce, trust, commit; nonce, order.
    expect(rig.link.requests).toHaveLength(5);
    expect(rig.link.continued).toEqual([2, 5]);
  });

  test('leaves a device that cannot be paired before a reset by hand', async () => {
    await rig.unpair.unpair('tube-1', { force: false });
    expect(await asyncCodeOf(rig.pair())).toBe('setup_code_dead');
    rig.tube.reset();
    expect((await rig.pair()).state).toBe('paired');
  });

  test('of a device that is away is refused, and nothing is forgotten', async () => {
    rig.link.fate = () => 'lost request';
    expect(await asyncCodeOf(rig.unpair.unpair('tube-1', { force: false }))).toBe('device_no_answer');
    expect(isPaired()).toBe(true);
    expect(rig.audit.entries).toMatchObject([{ kind: 'unpair', verdict: 'refused', code: 'device_no_answer' }]);
  });

  test('of a device that is away, by force, forgets it all the same', async () => {
    rig.link.fate = () => 'lost request';
    expect(await rig.unpair.unpair('tube-1', { force: true })).toEqual({ code: 'device_no_answer' });
    expect(rig.registry.size).toBe(0);
    expect(rig.audit.entries).toMatchObject([{ kind: 'unpair', verdict: 'removed', code: 'device_no_answer' }]);
  });

  test.each([
    ['the nonce', 4],
    ['the order', 5],
  ])('whose answer was lost can be repeated: that to %s', async (_, lost) => {
    rig.link.fate = (request) => (request === lost ? 'lost answer' : 'arrives');
    expect(await asyncCodeOf(rig.unpair.unpair('tube-1', { force: false }))).toBe('device_no_answer');
    expect(await rig.unpair.unpair('tube-1', { force: false })).toEqual({});
  });

  test('that was held back is worth nothing once it was asked for again, or the device has another hub', async () => {
    rig.link.fate = (request) => (request === 5 ? 'lost request' : 'arrives');
    expect(await asyncCodeOf(rig.unpair.unpair('tube-1', { force: false }))).toBe('device_no_answer');
    const heldBack = rig.link.requests[4] as CoapRequest;
    const play = async () => codeText((await rig.tube.device.handler(heldBack)).code);
    await identifyDevice(rig.registry.get('tube-1'), { link: rig.link, random: rig.time, deadline: 1_000 });
    expect(await play()).toBe('4.01');
    rig.tube.reset();
    await rig.tube.pair(OTHER);
    expect(await play()).toBe('4.01');
    expect(rig.tube.state.trust?.trust).toEqual(OTHER.trust);
  });

  test.each([
    ['to the question for a nonce', 4, 'device_answer_invalid', 'doubted'],
    ['to the order', 5, 'device_answer_untrusted', false],
  ])('is not believed of an impostor who answers %s', async (_, at, code, proof) => {
    const answer = { code: codeNumber('2.04'), payload: new Uint8Array(20) };
    rig.link.fate = (request) => (request === at ? answer : 'arrives');
    rig.link.proofs.length = 0;
    expect(await asyncCodeOf(rig.unpair.unpair('tube-1', { force: false }))).toBe(code);
    expect(rig.registry.size).toBe(1);
    expect(rig.link.proofs).toEqual([proof]);
  });

  test('finishes first what was not finished', async () => {
    await rig.unpair.unpair('tube-1', { force: false });
    rig.tube.reset();
    rig.link.requests.length = 0;
    rig.link.fate = (request) => (request === 3 ? 'lost request' : 'arrives');
    await rig.pair();
    expect(await rig.unpair.unpair('tube-1', { force: false })).toEqual({});
    expect(rig.tube.state).toMatchObject({ setup: 'dead' });
    expect(rig.tube.state.trust).toBeUndefined();
  });

  test('of a device that nobody knows is refused', async () => {
    expect(await asyncCodeOf(rig.unpair.unpair('tube-2', { force: true }))).toBe('device_unknown');
  });

  test('of a device that takes no tokens is refused', async () => {
    await rig.devices.addDevice({ id: 'ekg', audience: 'ekg', profile: {} });
    expect(await asyncCodeOf(rig.unpair.unpair('ekg', { force: true }))).toBe('device_takes_no_tokens');
  });
});

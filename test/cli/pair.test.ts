import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openAdminSocket } from '../../drivers/http/admin.ts';
import type { HttpServer } from '../../drivers/http/server.ts';
import { systemRandom } from '../../drivers/system-time.ts';
import { codeNumber } from '../../src/codec/coap/codes.ts';
import { setupCodeText } from '../../src/codec/setup-code.ts';
import { EMPTY } from '../../src/core/bytes.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import type { NamedProfile } from '../../src/devices/named-profile.ts';
import { profileFromJson } from '../../src/devices/profile.ts';
import type { Admin } from '../../src/ports/admin.ts';
import { runLine } from '../fixtures/fake-terminal.ts';
import { CODE, FaultyLink, OTHER_SETUP, PairRig, WRONG_CODE } from '../fixtures/pair-rig.ts';
import { OTHER, PairableDevice, SETUP } from '../sim/paired-device.ts';

const code = CODE.expose();
const qr = setupCodeText('tube-1', SETUP).expose();
const READ = ['--allow', 'read=FETCH temperature'] as const;

let rig: PairRig;
let folder: string;
let socket: string;
let server: HttpServer;

beforeEach(async () => {
  rig = await PairRig.open();
  folder = mkdtempSync(join(tmpdir(), 'latchkey-pair-'));
  socket = join(folder, 'admin.sock');
  const { log } = rig;
  server = await openAdminSocket({ socket, admin: NO_ADMIN, pairing: rig.flow, log, random: systemRandom });
});

afterEach(async () => {
  await server.close(100);
  rmSync(folder, { recursive: true });
});

const none = () => Promise.reject(new LatchkeyError('internal'));
const NO_ADMIN: Admin = {
  status: none,
  listDevices: none,
  profiles: async () => rig.devices.profiles(),
  issuerKeys: none,
  showDevice: none,
  addDevice: none,
  deviceCredentials: none,
  removeDevice: none,
  renameDevice: none,
  identifyDevice: none,
  unpairDevice: none,
  deliveries: none,
  cancelDelivery: none,
  retryDelivery: none,
  trust: none,
  rotateHubKey: none,
  resetClock: none,
  audit: none,
  verifyAudit: none,
  backup: () => {
    throw new LatchkeyError('internal');
  },
};

const pair = (...args: readonly string[]) => runLine(['pair', '--socket', socket, ...args]);
const errorOf = ({ noted }: { noted: string }) => JSON.parse(noted.split('\n').at(-1) ?? '{}').error.code;
const isOpen = () =>
  rig.flow.view().then(
    () => true,
    () => false,
  );

describe('latchkey pair with a code', () => {
  test('pairs what is there, and closes the window', async () => {
    const { status, printed, noted } = await pair('--code', qr, ...READ);
    expect(noted).toContain('bench, on a serial line');
    expect({ status, printed }).toEqual({
      status: 0,
      printed: 'Paired tube-1, for tokens with the audience coap://tube-1.',
    });
    expect(rig.tube.state.trust?.trust.permissions).toEqual({ read: [['temperature', 16]] });
    expect(await isOpen()).toBe(false);
  });

  test('takes the code from standard input, and all that can be said of a device', async () => {
    const args = ['pair', '--socket', socket, '--code', '-', '--id', 'tube-7', '--audience', 'https://seven.example'];
    const more = ['--name', 'Fridge', '--wrap', 'encrypt0', '--json', '--any-issuer', '--line', 'bench', ...READ];
    const { status, printed } = await runLine([...args, ...more], { '-': `${code}\n` });
    expect(status).toBe(0);
    const lines = printed.split('\n').map((line) => JSON.parse(line));
    expect(lines.map(({ event }) => event)).toEqual(['window', 'sighting', 'paired']);
    expect(lines[0]).toMatchObject({ closes_in: 120, attempts_left: 5 });
    expect(lines[1]).toMatchObject({ key: 'line/bench', name: 'bench', medium: 'line' });
    expect(lines[2].device).toMatchObject({ id: 'tube-7', name: 'Fridge', audience: 'https://seven.example' });
    expect(lines[2].device).toMatchObject({ issuers: 'any', line: 'bench', profile: { wrap: 'encrypt0' } });
    expect(printed).not.toContain(code);
  });

  test('waits for a radio device of the name that the code says, and shows how near it is', async () => {
    const others = [new FaultyLink('kettle', new PairableDevice(), -40)];
    rig.links = others;
    let looks = 0;
    rig.onLook = () => {
      looks += 1;
      if (looks === 3) rig.links = [...others, new FaultyLink('tube-1', rig.tube, -61)];
    };
    const { status, noted } = await pair('--code', qr, '--ble', ...READ);
    expect(noted).toContain('kettle, by radio, -40 dBm (very close)');
    expect(noted).toContain('tube-1, by radio, -61 dBm (near)');
    expect(status).toBe(0);
    expect(rig.registry.get('tube-1').ble).toEqual({ name: 'tube-1' });
  });

  test('does not guess between two lines', async () => {
    rig.links = [rig.link, new FaultyLink('desk', new PairableDevice())];
    expect(errorOf(await pair('--code', code, '--id', 'tube-1', '--json', ...READ))).toBe('pairing_candidate_unclear');
    expect(rig.link.requests).toEqual([]);
  });

  test('ends when nobody shows up', async () => {
    rig.links = [];
    let looks = 0;
    rig.onLook = () => {
      looks += 1;
      if (looks === 2) void rig.flow.close();
    };
    expect(errorOf(await pair('--code', qr, '--json', ...READ))).toBe('pairing_candidate_unknown');
  });

  test.each([
    ['permissions', ['--code', qr], '--code needs --profile or --allow'],
    ['an id', ['--code', code, ...READ], '--id is needed'],
    ['a good id', ['--code', code, '--id', 'Tube 1', ...READ], 'device cannot be registered like this: --id: 1 to 63'],
  ])('says which option gives it %s', async (_, args, words) => {
    expect((await pair(...args)).noted).toContain(words);
  });

  test('takes what a radio device advertises for the id that a typed code lacks', async () => {
    rig.links = [new FaultyLink('tube-1', rig.tube, -61)];
    expect((await pair('--code', code, '--ble', 'tube-1', ...READ)).status).toBe(0);
    expect(rig.registry.get('tube-1').ble).toEqual({ name: 'tube-1' });
  });

  test('says that it is not finished, with status 1', async () => {
    rig.link.fate = (request) => (request === 3 ? 'lost answer' : 'arrives');
    const result = await pair('--code', qr, '--json', ...READ);
    expect(result.status).toBe(1);
    expect(errorOf(result)).toBe('pairing_unfinished');
    expect(result.printed).toContain('"event":"unfinished"');
  });

  test('says what the device answered to the last step', async () => {
    rig.link.fate = (request) => (request === 3 ? { code: codeNumber('4.01'), payload: EMPTY } : 'arrives');
    const result = await pair('--code', qr, ...READ);
    expect(result.status).toBe(1);
    expect(result.noted).toContain(
      'tube-1: The device answered something that cannot be used: 4.01 [device_answer_invalid]',
    );
  });

  test.each<[string, readonly string[], string]>([
    ['a code that was mistyped', ['--code', '00041-06105-0R3GG-28A1C-60T3G-F7', ...READ], 'setup_code_invalid'],
    ['a wrong code', ['--code', WRONG_CODE.expose(), '--id', 'tube-1', ...READ], 'setup_code_refused'],
    ['a code without permissions', ['--code', qr], 'usage'],
    ['a typed code without an id', ['--code', code, '--line', 'bench', ...READ], 'usage'],
    ['a wrap that is none', ['--code', qr, '--wrap', 'paper', ...READ], 'device_invalid'],
    ['an issuer that is not configured', ['--code', qr, '--issuer', 'https://evil.example', ...READ], 'device_invalid'],
    ['an id that is none', ['--code', code, '--id', 'Tube 1', ...READ], 'device_invalid'],
    ['a number that is none', ['--max-token-bytes', 'many'], 'usage'],
    ['a time past its limit', ['--for', '16m'], 'usage'],
    ['a time that is none', ['--for', 'soon'], 'usage'],
    ['a time of nothing', ['--for', '0s'], 'usage'],
    ['two places', ['--line', 'bench', '--ble'], 'usage'],
    ['a permission that is none', ['--code', qr, '--allow', 'read'], 'usage'],
  ])('refuses %s, and leaves no window open', async (_, args, expected) => {
    const result = await pair('--json', ...args);
    expect(errorOf(result)).toBe(expected);
    expect(result.noted).not.toContain(code);
    expect(await isOpen()).toBe(false);
    // All but what the device itself says is found before.
    expect(rig.log.events().includes('pairing_window_open')).toBe(expected === 'setup_code_refused');
    expect(rig.registry.size).toBe(0);
  });

  test('says when a window is open already, and leaves that one alone', async () => {
    await rig.flow.open({ seconds: 60 });
    expect(errorOf(await pair('--code', qr, '--json', ...READ))).toBe('pairing_window_open');
    expect(await isOpen()).toBe(true);
  });

  test('says where no hub runs', async () => {
    const elsewhere = join(folder, 'nobody.sock');
    expect(errorOf(await runLine(['pair', '--socket', elsewhere, '--code', qr, '--json', ...READ]))).toBe(
      'admin_unreachable',
    );
  });
});

describe('latchkey pair where nobody shows up', () => {
  /** Nobody is there, and the window closes once it was looked that often. */
  function empty(obstacles: PairRig['obstacles'], looks = 3): void {
    rig.links = [];
    rig.obstacles = obstacles;
    let looked = 0;
    rig.onLook = () => {
      looked += 1;
      if (looked === looks) void rig.flow.close();
    };
  }

  test('refuses at once a line that is not configured, and one that has a device', async () => {
    for (const code of ['link_unconfigured', 'pairing_place_taken'] as const) {
      empty([{ place: 'line/bench', code }]);
      expect(errorOf(await pair('--code', qr, '--line', 'bench', '--json', ...READ))).toBe(code);
    }
    expect(rig.log.events()).not.toContain('pairing_window_open');
  });

  test('says at once what is down, once, and ends with that', async () => {
    empty([{ place: 'line/bench', code: 'link_down', detail: 'ENOENT' }], 5);
    const { noted, status } = await pair('--code', qr, '--line', 'bench', ...READ);
    expect(status).toBe(1);
    const [, said, last, ...more] = noted.split('\n');
    expect(said).toMatch(/^ {2}bench, on a serial line: The link to the device is not open: ENOENT\. .*\[link_down\]$/);
    expect(last).toMatch(/line\/bench, ENOENT; no device showed up .*\[link_down\]$/);
    expect(more).toEqual([]);
  });

  test('waits for what may pass', async () => {
    empty([{ place: 'ble', code: 'radio_blocked' }], 9);
    let looks = 0;
    rig.onLook = () => {
      looks += 1;
      if (looks === 3) rig.links = [new FaultyLink('tube-1', rig.tube, -61)];
    };
    const { noted, status } = await pair('--code', qr, '--ble', ...READ);
    expect(noted).toContain('  radio: The Bluetooth adapter is switched off. Run `rfkill unblock bluetooth`');
    expect(status).toBe(0);
  });

  test('goes on to look while the radio listens, and says what else was in the way', async () => {
    empty([{ place: 'line/desk', code: 'link_down' }]);
    const result = await pair('--code', qr, '--json', ...READ);
    expect(errorOf(result)).toBe('pairing_candidate_unknown');
    expect(result.noted).toContain('line/desk: link_down');
    expect(JSON.parse(result.printed.split('\n')[1] ?? '')).toMatchObject({
      event: 'obstacle',
      place: 'line/desk',
      code: 'link_down',
    });
  });

  test('says in a dialogue what is taken where nobody else is there', async () => {
    empty([
      { place: 'line/bench', code: 'pairing_place_taken', detail: 'line/bench has tube-1' },
      { place: 'ble', code: 'radio_down' },
    ]);
    const { noted } = await runLine(['pair', '--socket', socket, ...READ], {}, []);
    for (const word of ['line/bench has tube-1', '[radio_down]']) expect(noted).toContain(word);
  });

  test('keeps what is taken to itself while there is one to choose, until somebody looks again', async () => {
    rig.obstacles = [{ place: 'line/desk', code: 'pairing_place_taken', detail: 'line/desk has tube-9' }];
    const said = async (...typed: string[]) =>
      (await runLine(['pair', '--socket', socket, ...READ], {}, [...typed, '1', qr, ''])).noted;
    expect(await said('')).toContain('tube-9');
    await rig.unpair.unpair('tube-1', { force: false });
    rig.tube.reset();
    expect(await said()).not.toContain('tube-9');
  });
});

test('latchkey pair --json without a code shows who is there until the window closes', async () => {
  rig.links = [new FaultyLink('tube-1', rig.tube, -61)];
  let looks = 0;
  rig.onLook = () => {
    looks += 1;
    if (looks === 3) void rig.flow.close();
  };
  const { status, printed } = await pair('--json');
  expect(status).toBe(0);
  expect(printed.split('\n').map((line) => JSON.parse(line))).toMatchObject([
    { event: 'window' },
    { event: 'sighting', key: 'ble/tube-1', medium: 'ble', signal: -61 },
  ]);
});

describe('latchkey pair as a dialogue', () => {
  test.each([
    ['a wrap', ['--wrap', 'paper']],
    ['an issuer', ['--issuer', 'https://evil.example']],
    ['an id', ['--id', 'Tube 1']],
  ])('asks nothing where %s is given that cannot be', async (_, args) => {
    const { noted } = await runLine(['pair', '--socket', socket, ...args], {}, []);
    expect(noted.split('\n')).toEqual([expect.stringContaining('[device_invalid]')]);
    expect(rig.log.events()).not.toContain('pairing_window_open');
  });

  const talk = (typed: readonly string[], ...args: readonly string[]) =>
    runLine(['pair', '--socket', socket, ...args], {}, typed);

  test('asks for what it needs', async () => {
    const typed = ['read=FETCH temperature', 'write=PUT led', '', '1', code, 'tube-5', 'https://five.example'];
    const { status, printed } = await talk(typed);
    expect(status).toBe(0);
    expect(printed).toBe('Paired tube-5, for tokens with the audience https://five.example.');
    expect(Object.keys(rig.tube.state.trust?.trust.permissions ?? {})).toEqual(['read', 'write']);
  });

  test('asks for nothing that the QR text or an option says', async () => {
    const { printed } = await talk(['1', qr, ''], ...READ);
    expect(printed).toBe('Paired tube-1, for tokens with the audience coap://tube-1.');
  });

  test('makes a device blink, and looks again', async () => {
    const { noted } = await talk(['i1', '9', '', '1', qr, ''], ...READ);
    expect(noted).toContain('bench blinks now.');
    expect(rig.tube.events[0]).toEqual({ event: 'identified' });
    expect(rig.registry.size).toBe(1);
  });

  test('asks again after a mistake, and after a wrong code', async () => {
    const wrong = setupCodeText('tube-1', OTHER_SETUP).expose();
    const { status, noted } = await talk([
      'read',
      ...['read=FETCH temperature', ''],
      '1',
      'mistyped',
      wrong,
      '',
      '1',
      qr,
      '',
    ]);
    expect(status).toBe(0);
    for (const word of ['"read": not "scope=METHOD[,METHOD] path"', '[setup_code_invalid]', '[setup_code_refused]'])
      expect(noted).toContain(word);
    expect(noted).not.toContain(code);
  });

  test('ends after five wrong codes', async () => {
    const wrong = setupCodeText('tube-1', OTHER_SETUP).expose();
    const { status, noted } = await talk(Array(5).fill(['1', wrong, '']).flat(), ...READ);
    expect(status).toBe(1);
    expect(noted).toContain('[pairing_attempts_spent]');
  });

  test('ends where nobody answers any more', async () => {
    const { status, noted } = await talk(['1'], ...READ);
    expect(status).toBe(1);
    expect(noted).toContain(
      'standard input ended before "Setup code on its label, typed or as QR text:" was answered, which --code does too',
    );
    expect(noted).toContain('[request_cancelled]');
    expect(await isOpen()).toBe(false);
  });

  test('looks again where a device goes away while its code is typed', async () => {
    let asked = 0;
    rig.onLook = () => {
      asked += 1;
      // Of the look of `pair` itself: the window has one as it opens, and the dialogue one before it asks.
      rig.links = asked === 4 ? [] : [rig.link];
    };
    const { noted, status } = await talk(['1', qr, '', '1', qr, ''], ...READ);
    expect(noted).toContain('[pairing_candidate_unknown]');
    expect(status).toBe(0);
  });

  test('ends where the device cannot be had', async () => {
    await rig.tube.pair(OTHER);
    rig.link.fate = () => ({ code: 0x84, payload: new Uint8Array(0) });
    const { status, noted } = await talk(['1', qr, ''], ...READ);
    expect(status).toBe(1);
    expect(noted).toContain('[device_not_pairable]');
  });
});

describe('latchkey pair with profiles', () => {
  const talk = (typed: readonly string[], ...args: readonly string[]) =>
    runLine(['pair', '--socket', socket, ...args], {}, typed);
  const labelled = (profile: string) => setupCodeText('tube-1', SETUP, profile).expose();
  const named = (name: string, scope: string, more: Partial<NamedProfile> = {}): NamedProfile => {
    const members = { scopes: [scope], permissions: { [scope]: [['temperature', 16]] }, wrap: 'encrypt0' };
    const profile = profileFromJson(members);
    return { name, members, profile, audience: 'coap://{id}', issuers: undefined, ...more };
  };

  beforeEach(() => rig.profiles.push(named('tube', 'read'), named('lamp', 'switch')));

  test('asks for label and name only where the label names the profile', async () => {
    const { status, printed, noted } = await talk(['1', labelled('tube'), 'Fridge']);
    expect([status, printed]).toEqual([0, 'Paired tube-1, for tokens with the audience coap://tube-1.']);
    expect(noted.split('\n').filter((line) => /[:?]$/.test(line))).toHaveLength(3);
    const device = rig.registry.get('tube-1');
    expect(device).toMatchObject({ name: 'Fridge', profileName: 'tube', paired: true });
    expect(device.profile).toMatchObject({ wrap: 'encrypt0', scopes: ['read'] });
  });

  test('takes the QR text in the place of a number', async () => {
    expect((await talk([labelled('lamp'), ''])).status).toBe(0);
    expect(rig.registry.get('tube-1').profile.scopes).toEqual(['switch']);
  });

  test('makes the id of the name where a typed code has none', async () => {
    const { noted } = await talk(['1', code, '', 'Kühlschrank 2 (Flur)'], '--profile', 'tube');
    expect(noted).toContain('Its id is kuhlschrank-2-flur.');
    expect(rig.registry.get('kuhlschrank-2-flur')).toMatchObject({ name: 'Kühlschrank 2 (Flur)', profileName: 'tube' });
  });

  test('has the audience that its profile says', async () => {
    rig.profiles.push(named('web', 'read', { audience: 'https://devices.example/{id}', issuers: 'any' }));
    await talk(['1', labelled('web'), '']);
    expect(rig.registry.get('tube-1')).toMatchObject({
      audience: 'https://devices.example/tube-1',
      issuers: undefined,
    });
  });

  test('asks for the profile where neither label nor option says it, until there is one', async () => {
    const { noted } = await talk(['1', qr, '7', 'kettle', '2', '']);
    expect(noted).toContain('  2  lamp: switch');
    expect(noted.split('There is no such profile.')).toHaveLength(3);
    expect(rig.registry.get('tube-1').profileName).toBe('lamp');
  });

  test('says that the label names an unknown one, and takes rows in the place of a profile', async () => {
    const { noted } = await talk(['1', labelled('kettle'), '0', 'read=FETCH temperature', '', '']);
    expect(noted).toContain('The label names the profile kettle, which the configuration of the hub does not have.');
    expect(rig.registry.get('tube-1')).toMatchObject({ profileName: undefined, profile: { wrap: 'mac0' } });
  });

  test('what options say goes before the profile, and that before the label', async () => {
    await talk(['1', labelled('lamp'), ''], '--profile', 'tube', '--max-token-bytes', '512');
    expect(rig.registry.get('tube-1').profile).toMatchObject({
      scopes: ['read'],
      maxTokenBytes: 512,
      wrap: 'encrypt0',
    });
  });

  test('with permissions on the command line the profile of the label does not count', async () => {
    await talk(['1', labelled('lamp'), ''], ...READ);
    expect(rig.registry.get('tube-1')).toMatchObject({ profileName: undefined, profile: { wrap: 'mac0' } });
  });

  test('a code with a profile needs nothing more on the command line', async () => {
    expect((await pair('--code', labelled('tube'))).status).toBe(0);
    expect(rig.registry.get('tube-1')).toMatchObject({ profileName: 'tube' });
  });

  test.each([
    ['that asks for the code', []],
    ['that only looks on', ['--json']],
  ])('an unknown profile is refused before the window opens by a command %s', async (_, args) => {
    const { noted, printed, status } = await talk([], '--profile', 'kettle', ...args);
    expect([status, printed]).toEqual([1, '']);
    expect(noted).toContain('profile_unknown');
    expect(noted).toContain('[[profiles]] has tube, lamp');
    expect(noted.split('\n')).toHaveLength(1);
    expect(rig.log.events()).not.toContain('pairing_window_open');
  });

  test.each([
    ['an option', ['--profile', 'kettle']],
    ['a label', ['--code', setupCodeText('tube-1', SETUP, 'kettle').expose()]],
  ])('an unknown profile of %s is refused before the window opens', async (_, args) => {
    expect(errorOf(await pair('--json', '--code', qr, ...args))).toBe('profile_unknown');
    expect(rig.log.events()).not.toContain('pairing_window_open');
  });
});

describe('a bad answer is asked for again:', () => {
  const talk = (typed: readonly string[], ...args: readonly string[]) =>
    runLine(['pair', '--socket', socket, ...READ, ...args], {}, typed);

  test('an id that is none, with one that is like it', async () => {
    const { noted, status } = await talk(['1', code, '', 'Tube 1', '', '']);
    expect(status).toBe(0);
    expect(noted).toContain('An id has 1 to 63 of a-z');
    expect(noted).toContain('Its id (a-z, 0-9, and . _ -) [tube-1]:');
    expect(rig.registry.find('tube-1')).toBeDefined();
  });

  test('an audience that is none', async () => {
    const { noted } = await talk(['1', qr, 'a'.repeat(256), 'coap://one']);
    expect(noted).toContain('--audience: 1 to 255 bytes');
    expect(rig.registry.get('tube-1').audience).toBe('coap://one');
  });

  test('an id and an audience that another device has', async () => {
    await rig.devices.addDevice({ id: 'lamp', audience: 'coap://x', line: 'desk', profile: { scopes: ['a'] } });
    const { noted, status } = await talk(['1', code, 'lamp', '', 'tube-2', 'coap://x', 'tube-2', '']);
    expect(status).toBe(0);
    for (const said of ['[device_exists]', '[audience_taken]']) expect(noted).toContain(said);
    expect(rig.registry.get('tube-2').audience).toBe('coap://tube-2');
  });

  test('a number that is not there, and words', async () => {
    const { noted, status } = await talk(['7', 'that one', '1', qr, '']);
    expect(status).toBe(0);
    for (const said of ['There is no 7.', 'That is no number of the list.']) expect(noted).toContain(said);
  });

  test('a label of a device that has another hub', async () => {
    rig.links = [rig.link, new FaultyLink('desk', new PairableDevice())];
    const other = setupCodeText('tube-9', SETUP).expose();
    const { noted, status } = await talk([other, '1', qr, '']);
    expect(status).toBe(0);
    expect(noted).toContain('None of them is called tube-9.');
    expect(noted).not.toContain(other);
  });

  test('what a device cannot do', async () => {
    const many = Array.from({ length: 33 }, (_, row) => `read=GET ${row}`);
    const line = ['pair', '--socket', socket];
    const { noted, status } = await runLine(line, {}, [...many, '', '1', qr, '', ...['read=GET x', '']]);
    expect(noted).toContain('[device_trust_invalid]');
    expect(status).toBe(0);
    expect(rig.registry.get('tube-1').profile.permissions).toEqual({ read: [['x', 1]] });
  });
});

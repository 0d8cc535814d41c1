import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openAdminSocket } from '../../drivers/http/admin.ts';
import type { HttpServer } from '../../drivers/http/server.ts';
import { systemRandom } from '../../drivers/system-time.ts';
import { setupCodeText } from '../../src/codec/setup-code.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
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
  showDevice: none,
  addDevice: none,
  deviceCredentials: none,
  removeDevice: none,
  renameDevice: none,
  identifyDevice: none,
  unpairDevice: none,
  deliveries: none,
  trust: none,
  rotateHubKey: none,
  audit: none,
  verifyAudit: none,
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

  test('says that it is not finished, with status 1', async () => {
    rig.link.fate = (request) => (request === 3 ? 'lost answer' : 'arrives');
    const result = await pair('--code', qr, '--json', ...READ);
    expect(result.status).toBe(1);
    expect(errorOf(result)).toBe('pairing_unfinished');
    expect(result.printed).toContain('"event":"unfinished"');
  });

  test.each<[string, readonly string[], string]>([
    ['a code that was mistyped', ['--code', '00041-06105-0R3GG-28A1C-60T3G-F7', ...READ], 'setup_code_invalid'],
    ['a wrong code', ['--code', WRONG_CODE.expose(), '--id', 'tube-1', ...READ], 'setup_code_refused'],
    ['a code without permissions', ['--code', qr], 'device_invalid'],
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
    for (const word of ['[usage]', '[setup_code_invalid]', '[setup_code_refused]']) expect(noted).toContain(word);
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
    expect(noted).toContain('[request_cancelled]');
    expect(await isOpen()).toBe(false);
  });

  test('ends where the device cannot be had', async () => {
    await rig.tube.pair(OTHER);
    rig.link.fate = () => ({ code: 0x84, payload: new Uint8Array(0) });
    const { status, noted } = await talk(['1', qr, ''], ...READ);
    expect(status).toBe(1);
    expect(noted).toContain('[device_not_pairable]');
  });
});

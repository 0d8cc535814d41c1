/** `latchkey pair` at the built hub, where nobody can show up: it says why, and does not wait in vain. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HubFolder } from '../fixtures/hub-process.ts';
import { TUBE_CODE } from '../fixtures/pairing-world.ts';

let folder: HubFolder;

beforeEach(() => {
  folder = new HubFolder();
});

afterEach(() => folder.remove());

/** A hub whose configuration has these places; the port of the line is one where nothing listens. */
const LINE = '[[lines]]\nname = "bench"\npath = "tcp://127.0.0.1:1"\n';
const start = (places: string) => {
  folder.configure(`[[issuers]]\nissuer = "https://as.example"\njwks_url = "https://as.example/keys"\n${places}`);
  return folder.start();
};

/** What it said while it waited, and what it ended with. */
async function pair(...args: readonly string[]): Promise<{ readonly said: readonly string[]; readonly code: string }> {
  const common = ['--config', folder.config, '--json', '--allow', 'read=FETCH temperature'];
  const { err, out } = await folder.command('pair', '--code', TUBE_CODE, ...common, ...args);
  const lines =
    out.trim() === ''
      ? []
      : out
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line));
  return { said: lines.map(({ code, event }) => code ?? event), code: JSON.parse(err.trim()).error.code };
}

describe('at a hub with one line and no radio', () => {
  beforeEach(() => start(LINE));

  test('a line that is not configured is refused at once', async () => {
    expect(await pair('--line', 'ward-9')).toEqual({ said: [], code: 'link_unconfigured' });
  });

  test('a radio device is refused at once', async () => {
    expect(await pair('--ble')).toEqual({ said: [], code: 'link_unconfigured' });
  });

  test('a line that is down is said at once, and again when the time is over', async () => {
    expect(await pair('--line', 'bench', '--for', '1s')).toEqual({ said: ['window', 'link_down'], code: 'link_down' });
  });

  test('an end of standard input is an error on a line of its own', async () => {
    const { err, status } = await folder.command('pair', '--config', folder.config);
    expect(status).toBe(1);
    expect(err.trim().split('\n').at(-1)).toMatch(/^latchkey: .*standard input ended before "Permission:".*--allow/);
  });

  test('a line that has a device is refused at once', async () => {
    const device = ['devices', 'add', 'tube-9', '--line', 'bench', '--audience', 'coap://tube-9'];
    const trust = ['--allow', 'read=FETCH temperature', '--trust', `${folder.path}/trust.json`];
    expect((await folder.command(...device, ...trust, '--config', folder.config)).status).toBe(0);
    expect(await pair('--line', 'bench')).toEqual({ said: [], code: 'pairing_place_taken' });
    expect(await pair()).toEqual({ said: [], code: 'pairing_place_taken' });
  });
});

test('at a hub with neither a line nor a radio it is refused at once', async () => {
  await start('');
  expect((await pair()).code).toBe('link_unconfigured');
});

test('at a hub whose radio is not there that is said at once, and again when the time is over', async () => {
  await start('[ble]\nadapter = "hci9"\n');
  const { code, said } = await pair('--ble', '--for', '1s');
  expect(code).toMatch(/^radio_(missing|unsupported)$/);
  expect(said).toEqual(['window', code]);
});

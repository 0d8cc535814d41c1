import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { runLine } from '../fixtures/fake-terminal.ts';

let folder: string;
let config: string;
let state: string;
let server: Server | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-devices-'));
  config = join(folder, 'latchkey.toml');
  state = join(folder, 'state');
  writeFileSync(
    config,
    `state_dir = "${state}"\n[[issuers]]\nissuer = "https://as.example"\n[[lines]]\nname = "bench"\npath = "tcp://127.0.0.1:1"\n`,
  );
});

afterEach(async () => {
  vi.restoreAllMocks();
  const open = server;
  server = undefined;
  if (open !== undefined) await new Promise((resolve) => open.close(resolve));
  rmSync(folder, { recursive: true });
});

async function listen(answer: RequestListener): Promise<void> {
  mkdirSync(state);
  const created = createServer(answer);
  server = created;
  await new Promise<void>((resolve) => created.listen(join(state, 'admin.sock'), resolve));
}

const devices = (...args: readonly string[]) => runLine(['devices', ...args, '--config', config]);
const codeIn = (noted: string) => JSON.parse(noted.split('\n').at(-1) ?? '{}').error.code as string;
const NEW = ['--audience', 'coap://tube-1', '--line', 'bench', '--allow', 'read=FETCH temperature'] as const;

describe('where no hub runs', () => {
  test('a device is registered in the state folder, and the note about that comes first', async () => {
    const trust = join(folder, 'trust.json');
    const added = await devices('add', 'tube-1', ...NEW, '--trust', trust);
    expect(added).toMatchObject({ status: 0, noted: `No hub is running: working on ${state} itself.` });
    expect((await devices('show', 'tube-1')).printed).toContain('coap://tube-1');
    expect((await devices('remove', 'tube-1')).status).toBe(0);
    expect((await devices('list')).printed).toContain('No device is registered.');
  });

  test('a socket that a killed hub left behind is none', async () => {
    mkdirSync(state);
    writeFileSync(join(state, 'admin.sock'), '');
    expect(await devices('list')).toMatchObject({ status: 0, noted: expect.stringContaining('No hub is running') });
  });

  test.each([
    ['list', []],
    ['show', ['tube-1']],
    ['remove', ['tube-1']],
  ])('%s makes no state folder', async (name, args) => {
    await devices(name, ...args);
    expect(existsSync(state)).toBe(false);
  });

  test('list says that there is no device, show and remove that there is no such device', async () => {
    expect((await devices('list')).printed).toContain('No device is registered.');
    expect((await devices('list', '--json')).printed).toBe('[]');
    expect(codeIn((await devices('show', 'tube-1', '--json')).noted)).toBe('device_unknown');
    expect(codeIn((await devices('remove', 'tube-1', '--json')).noted)).toBe('device_unknown');
  });

  test("somebody else's state folder is refused: the hub could not read what is written there", async () => {
    mkdirSync(state);
    vi.spyOn(process, 'geteuid').mockReturnValue((process.getuid?.() ?? 0) + 1);
    const trust = join(folder, 'trust.json');
    const added = await devices('add', 'tube-1', ...NEW, '--trust', trust, '--json');
    expect(codeIn(added.noted)).toBe('store_not_ours');
    expect(existsSync(trust)).toBe(false);
    expect(existsSync(join(state, 'db'))).toBe(false);
  });
});

describe('the state folder is left alone', () => {
  test('where a socket is asked for by name', async () => {
    const { noted } = await devices('list', '--json', '--socket', join(folder, 'nobody.sock'));
    expect(codeIn(noted)).toBe('admin_unreachable');
  });

  test('where something listens that does not answer as a hub', async () => {
    await listen((_, response) => void response.end('<html>'));
    const { noted } = await devices('list', '--json');
    expect(codeIn(noted)).toBe('admin_unreachable');
    expect(existsSync(join(state, 'db'))).toBe(false);
  });

  test('where the hub refuses', async () => {
    await listen((_, response) => void response.writeHead(404).end('{"code":"device_unknown"}'));
    const { noted } = await devices('show', 'tube-1', '--json');
    expect(codeIn(noted)).toBe('device_unknown');
    expect(existsSync(join(state, 'db'))).toBe(false);
  });
});

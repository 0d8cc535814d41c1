import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HubFolder, PROGRAM } from '../fixtures/hub-process.ts';

let folder: HubFolder;
beforeEach(() => {
  folder = new HubFolder();
});
afterEach(() => folder.remove());

function lines(output: readonly string[]): Record<string, unknown>[] {
  return output.map((line) => JSON.parse(line) as Record<string, unknown>);
}

const ISSUER = '[[issuers]]\nissuer = "https://as.example"\n';
const JWKS = `${ISSUER}jwks_file = "jwks.json"\n`;
const CA = `${ISSUER}ca_file = "ca.pem"\n`;
const TLS = '[http]\ntls_cert_file = "cert.pem"\ntls_key_file = "cert.pem"\n';

function written(name: string, content: string, settings: string): (folder: string) => string {
  return (path) => {
    writeFileSync(join(path, name), content);
    return settings;
  };
}

/** A folder that is not of the user who runs this: root gives one away, and others find one of root's. */
function folderOfAnother(path: string): string {
  if (process.geteuid?.() !== 0) return '/usr/share';
  const given = join(path, 'given-away');
  mkdirSync(given, { mode: 0o700 });
  chownSync(given, 4_711, 4_711);
  return given;
}

describe('latchkey run', () => {
  test('writes nothing but JSON lines, and says that it is ready and where', async () => {
    folder.configure('');
    const hub = await folder.start();
    expect(hub.address).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(lines(hub.output).map(({ event }) => event)).toContain('ready');
    expect(await hub.stop()).toBe(0);
    expect(lines(hub.output).at(-1)).toMatchObject({ event: 'stopped' });
  });

  test('without an issuer says so and what to do', async () => {
    folder.configure('');
    const hub = await folder.start();
    const { level, message } = await hub.event('no_issuer');
    expect(level).toBe('warn');
    expect(message).toContain(`Add a table [[issuers]] with issuer = "https://…" to ${folder.config}`);
  });

  test.each(['SIGTERM', 'SIGINT'] as const)('ends with status 0 on %s, with clients connected', async (signal) => {
    folder.configure('');
    const hub = await folder.start();
    const idle = request(hub.address, { headers: { connection: 'keep-alive' } });
    const closed = new Promise((resolve) => idle.once('close', resolve));
    idle.on('error', () => idle.destroy());
    idle.flushHeaders();
    expect(await hub.stop(signal)).toBe(0);
    idle.destroy();
    await closed;
  });

  test('tells systemd when it is ready and when it stops', async () => {
    const bin = join(folder.path, 'bin');
    const told = join(folder.path, 'told');
    mkdirSync(bin);
    writeFileSync(join(bin, 'systemd-notify'), `#!/bin/sh\necho "$@" >> "${told}"\n`);
    chmodSync(join(bin, 'systemd-notify'), 0o755);
    folder.configure('');
    const hub = await folder.start({ PATH: `${bin}:/usr/bin:/bin`, NOTIFY_SOCKET: '/run/nowhere' });
    expect(await hub.stop()).toBe(0);
    expect(readFileSync(told, 'utf8')).toBe('READY=1\nSTOPPING=1\n');
  });

  test('works where systemd cannot be told', async () => {
    folder.configure('');
    const hub = await folder.start({ PATH: '/nowhere', NOTIFY_SOCKET: '/run/nowhere' });
    expect(await hub.event('notify_failed')).toMatchObject({ level: 'warn' });
    expect(await hub.stop()).toBe(0);
  });
});

test('a state folder in which others may write is closed to them', async () => {
  folder.configure('');
  const state = join(folder.path, 'state');
  mkdirSync(state);
  chmodSync(state, 0o777);
  const hub = await folder.start();
  expect(await hub.event('state_folder_closed')).toMatchObject({ level: 'warn', folder: state });
  expect(statSync(state).mode & 0o777).toBe(0o755);
});

describe('a start that fails', () => {
  const LINE = '[[lines]]\nname = "bench"\npath = "tcp://127.0.0.1:1"\n';

  const start = async () => {
    const { status, out, err } = await folder.command('run', '--config', folder.config);
    return { status, err, logged: lines(out.trimEnd().split('\n')), out };
  };

  test('for an unknown key ends with status 78', async () => {
    writeFileSync(folder.config, '[http]\nlistn = 1\n');
    const { status, err } = await folder.command('run', '--config', folder.config);
    expect(status).toBe(78);
    expect(err).toContain(`${folder.config}:2:1: there is no "listn" in http; did you mean "listen"?`);
    expect(err).toContain('[config_unknown_key]');
  });

  test('for a state folder in use ends with status 1, and names folder and process', async () => {
    folder.configure('');
    const { pid } = await folder.start();
    const { status, err } = await start();
    expect(status).toBe(1);
    expect(err).toContain(`The state folder is in use: ${join(folder.path, 'state')} by process ${pid}.`);
    expect(err).toContain('[store_locked]');
    // The hub that runs is asked, and has nothing to say of the other one.
    expect((await folder.command('status', '-c', folder.config)).status).toBe(0);
  });

  test('for a state folder of another user ends with status 78, and leaves it alone', async () => {
    const state = folderOfAnother(folder.path);
    folder.configure('');
    folder.reconfigure((toml) => toml.replace(join(folder.path, 'state'), state));
    const before = readdirSync(state);
    const { status, err } = await start();
    expect(status).toBe(78);
    expect(err).toContain(`${state}. `);
    expect(err).toContain('[store_not_ours]');
    expect(readdirSync(state)).toEqual(before);
    const asked = await folder.command('status', '-c', folder.config);
    expect(asked.err).toContain(`${state} belongs to another user`);
  });

  test('for a state folder that is open to all, such as /tmp, ends with status 78', async () => {
    folder.configure('');
    const state = join(folder.path, 'state');
    mkdirSync(state);
    chmodSync(state, 0o1777);
    const { status, err } = await start();
    expect(status).toBe(78);
    expect(err).toContain('[store_open_to_others]');
    expect(statSync(state).mode & 0o7777).toBe(0o1777);
  });

  test('is told by `latchkey status`, until a start is a good one', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as AddressInfo;
    folder.configure('');
    folder.reconfigure((toml) => toml.replace('127.0.0.1:0', `127.0.0.1:${port}`));
    expect((await start()).status).toBe(1);
    await new Promise((resolve) => other.close(resolve));
    const failed = await folder.command('status', '-c', folder.config);
    expect(failed.status).toBe(1);
    expect(failed.err).toMatch(
      /^latchkey: Nothing can listen there: 127\.0\.0\.1:\d+ \(EADDRINUSE\)\. The hub is not running: its start failed at \d{4}-\d\d-\d\dT[\d:.]+Z\. /,
    );
    expect(failed.err).toContain('[address_unavailable]');
    expect(failed.err).not.toContain('latchkey run');
    folder.reconfigure((toml) => toml.replace(`127.0.0.1:${port}`, '127.0.0.1:0'));
    expect(await (await folder.start()).stop()).toBe(0);
    expect((await folder.command('status', '-c', folder.config)).err).not.toContain('failed');
  });

  test('for a taken port touches no line and closes its admin socket', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as AddressInfo;
    const state = join(folder.path, 'state');
    writeFileSync(folder.config, `state_dir = "${state}"\n${LINE}[http]\nlisten = "127.0.0.1:${port}"\n`);
    const { status, logged, out } = await start();
    await new Promise((resolve) => other.close(resolve));
    expect(status).toBe(1);
    expect(logged.at(-1)).toMatchObject({ event: 'failed', code: 'address_unavailable' });
    expect(out).not.toContain('bench');
    expect(existsSync(join(state, 'admin.sock'))).toBe(false);
  });

  test.each<[string, (file: string) => string, string, string]>([
    ['a jwks_file that is not there', () => JWKS, 'file_unreadable', 'jwks_file of https://as.example'],
    [
      'a jwks_file that is no JSON',
      written('jwks.json', 'keys', JWKS),
      'jwks_invalid',
      'jwks_file of https://as.example',
    ],
    [
      'a jwks_file without keys',
      written('jwks.json', '{"keys":[]}', JWKS),
      'jwks_invalid',
      'jwks_file of https://as.example',
    ],
    [
      'a jwks_file that is a folder',
      () => JWKS.replace('jwks.json', '.'),
      'config_invalid',
      'jwks_file of https://as.example',
    ],
    [
      'a ca_file that is no certificate',
      written('ca.pem', 'certificate', CA),
      'config_invalid',
      'ca_file of https://as.example',
    ],
    ['a tls_cert_file that is none', written('cert.pem', 'x', TLS), 'config_invalid', 'http.tls_cert_file'],
  ])('for %s names setting and file, and logs no stack', async (_, prepare, code, setting) => {
    folder.configure('');
    const settings = prepare(folder.path);
    writeFileSync(folder.config, `state_dir = "state"\n${settings}`);
    const { status, err, logged, out } = await start();
    expect(status).toBe(78);
    expect(err).toContain(`[${code}]`);
    expect(err).toContain(setting);
    expect(err).toContain(folder.path);
    expect(logged.at(-1)).toMatchObject({ event: 'failed', code, detail: expect.stringContaining(setting) });
    expect(out).not.toContain('stack');
  });

  test('does not last: a SIGTERM ends a hub that is still starting', async () => {
    folder.configure('');
    const child = spawn(process.execPath, [PROGRAM, 'run', '--config', folder.config], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    child.stdout.once('data', () => child.kill('SIGTERM'));
    expect(await once(child, 'exit')).toEqual([0, null]);
  });
});

import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HubFolder } from '../fixtures/hub-process.ts';

let folder: HubFolder;
beforeEach(() => {
  folder = new HubFolder();
});
afterEach(() => folder.remove());

function lines(output: readonly string[]): Record<string, unknown>[] {
  return output.map((line) => JSON.parse(line) as Record<string, unknown>);
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

describe('latchkey run ends with status 1 and says why', () => {
  test('where the configuration has an unknown key', async () => {
    writeFileSync(folder.config, '[http]\nlistn = 1\n');
    const { status, err } = await folder.command('run', '--config', folder.config);
    expect(status).toBe(1);
    expect(err).toContain(`${folder.config}:2:1: there is no "listn" in http; did you mean "listen"?`);
    expect(err).toContain('[config_unknown_key]');
  });

  test('where the state folder is in use', async () => {
    folder.configure('');
    await folder.start();
    const { status, err } = await folder.command('run', '--config', folder.config);
    expect(status).toBe(1);
    expect(err).toContain('[store_locked]');
  });
});

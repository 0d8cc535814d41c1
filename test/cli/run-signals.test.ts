/** The signals of a running hub, and how it ends on a machine with a fault. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  openSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { HubStatus } from '../../src/ports/admin.ts';
import { HubFolder, type HubProcess, PROGRAM } from '../fixtures/hub-process.ts';
import { StaticIssuer } from '../fixtures/static-issuer.ts';

const FAULTS = fileURLToPath(new URL('../fixtures/odd-machine.cjs', import.meta.url));
const withFault = (fault: Readonly<Record<string, string>>) => ({ NODE_OPTIONS: `--require ${FAULTS}`, ...fault });
const tlsFile = (name: string) => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url));

let folder: HubFolder;
beforeEach(() => {
  folder = new HubFolder();
});
afterEach(() => folder.remove());

const inFolder = (name: string) => join(folder.path, name);

/** Every line of this event so far. */
function events(hub: HubProcess, name: string): readonly Record<string, unknown>[] {
  return hub.output
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ event }) => event === name);
}

/** Sends SIGHUP and answers with what came of it. */
async function reload(hub: HubProcess, outcome: 'reloaded' | 'reload_refused' = 'reloaded') {
  const before = events(hub, outcome).length;
  process.kill(hub.pid, 'SIGHUP');
  await vi.waitFor(() => expect(events(hub, outcome).length).toBe(before + 1), { timeout: 10_000 });
  return events(hub, outcome).at(-1);
}

async function status(): Promise<HubStatus> {
  return JSON.parse((await folder.command('status', '--json', '-c', folder.config)).out) as HubStatus;
}

/** Conditions of the configuration, with what is said of them. By the socket where the configuration cannot be read. */
async function ofConfiguration(socket?: string): Promise<ReadonlyMap<string, string | undefined>> {
  const where = socket === undefined ? ['-c', folder.config] : ['--socket', socket];
  const { conditions } = JSON.parse((await folder.command('status', '--json', ...where)).out) as HubStatus;
  const found = conditions.filter(({ subject }) => subject === 'configuration');
  return new Map(found.map(({ code, detail }) => [code, detail]));
}

const LINE = (name: string) =>
  `[[lines]]\nname = "${name}"\npath = "tcp://127.0.0.1:${name.length + Number(name.at(-1))}"\n`;
const ISSUER = '[[issuers]]\nissuer = "https://static.example/realms/ward"\njwks_file = "jwks.json"\n';

describe('SIGHUP', () => {
  test('ends nothing, and with nothing new changes nothing', async () => {
    folder.configure('');
    const hub = await folder.start();
    expect(await reload(hub)).toMatchObject({ changed: [], needs_restart: [] });
    expect(await hub.stop()).toBe(0);
  });

  test('takes over another certificate', async () => {
    copyFileSync(tlsFile('server.pem'), inFolder('cert.pem'));
    copyFileSync(tlsFile('server-key.pem'), inFolder('key.pem'));
    folder.configure('');
    folder.reconfigure((toml) =>
      toml.replace('[http]', '[http]\ntls_cert_file = "cert.pem"\ntls_key_file = "key.pem"'),
    );
    const hub = await folder.start();
    const { port } = new URL(hub.address);
    const shown = async () => {
      const socket = connect({ port: Number(port), host: '127.0.0.1', rejectUnauthorized: false });
      await once(socket, 'secureConnect');
      const { fingerprint256 } = socket.getPeerCertificate();
      socket.destroy();
      return fingerprint256;
    };
    const before = await shown();
    // Another certificate of the same key, as a renewal makes one.
    copyFileSync(tlsFile('elsewhere.pem'), inFolder('cert.pem'));
    expect(await reload(hub)).toMatchObject({ changed: ['http.tls_cert_file'], needs_restart: [] });
    expect(await shown()).not.toBe(before);
  });

  test('takes over another key set, lines and the level of the log', async () => {
    new StaticIssuer().writeJwks(inFolder('jwks.json'));
    folder.configure(ISSUER + LINE('ward-1') + LINE('ward-2'));
    const hub = await folder.start();
    new StaticIssuer().writeJwks(inFolder('jwks.json'));
    folder.configure(`${ISSUER + LINE('ward-2') + LINE('ward-3')}[log]\nlevel = "debug"\n`);
    expect(await reload(hub)).toMatchObject({
      changed: ['jwks_file of https://static.example/realms/ward', 'line ward-1', 'line ward-3', 'log.level'],
      needs_restart: [],
    });
    expect((await status()).lines.map(({ name }) => name)).toEqual(['ward-2', 'ward-3']);
    const add = (line: string) =>
      folder.command(
        ...['devices', 'add', `on-${line}`, '-c', folder.config, '--audience', `coap://${line}`, '--line', line],
        ...['--allow', 'read=GET x', '--trust', inFolder(`${line}.json`)],
      );
    expect((await add('ward-3')).status).toBe(0);
    expect((await add('ward-1')).status).toBe(1);
    await fetch(`${hub.address}/jwks`);
    await vi.waitFor(() => expect(hub.output.join('\n')).toContain('"level":"debug"'), { timeout: 5_000 });
  });

  test('takes over profiles, and devices keep what they were registered with', async () => {
    new StaticIssuer().writeJwks(inFolder('jwks.json'));
    const profiles = (allow: string) => `[[profiles]]\nname = "tube"\nallow = ["${allow}"]\n`;
    folder.configure(ISSUER + LINE('ward-1') + LINE('ward-2') + profiles('read=GET x'));
    const hub = await folder.start();
    const run = async (...args: readonly string[]) => {
      const { err, out } = await folder.command('devices', ...args, '-c', folder.config, '--json');
      return JSON.parse(out === '' ? err : out);
    };
    const add = (line: string) =>
      run('add', `on-${line}`, '--profile', 'tube', '--line', line, '--trust', inFolder(`${line}.json`));
    expect(await add('ward-1')).toMatchObject({ audience: 'coap://on-ward-1', profile: { scopes: ['read'] } });
    folder.configure(ISSUER + LINE('ward-1') + LINE('ward-2') + profiles('write=PUT x'));
    expect(await reload(hub)).toMatchObject({ changed: ['profile tube'], needs_restart: [] });
    expect(await add('ward-2')).toMatchObject({ profile_name: 'tube', profile: { scopes: ['write'] } });
    expect(await run('show', 'on-ward-1')).toMatchObject({ profile_differs: true, profile: { scopes: ['read'] } });
    expect(await run('show', 'on-ward-2')).not.toHaveProperty('profile_differs');
    expect(await run('profiles')).toMatchObject([{ name: 'tube', devices: 2, differing: 1 }]);
    folder.configure(ISSUER + LINE('ward-1') + LINE('ward-2') + profiles('write=PUT x').replace('tube', 'lamp'));
    await reload(hub);
    expect(await run('show', 'on-ward-2')).toMatchObject({ profile_differs: true });
    expect(await add('ward-3')).toMatchObject({ error: { code: 'profile_unknown' } });
  });

  test('takes the keys of another key set, and no longer those of the old one', async () => {
    const [first, second] = [new StaticIssuer(), new StaticIssuer()];
    first.writeJwks(inFolder('jwks.json'));
    folder.configure(ISSUER + LINE('ward-1'));
    const added = await folder.command(
      ...['devices', 'add', 'tube-1', '-c', folder.config, '--audience', 'coap://tube-1', '--line', 'ward-1'],
      ...['--allow', 'read=GET x', '--trust', inFolder('tube-1.json')],
    );
    expect(added.status).toBe(0);
    const hub = await folder.start();
    const say = async (issuer: StaticIssuer) => {
      const authorization = `Bearer ${issuer.sign({ aud: 'coap://tube-1', scope: 'read' })}`;
      const answer = await fetch(`${hub.address}/devices/tube-1/authz-info`, {
        method: 'POST',
        headers: { authorization },
      });
      return ((await answer.json()) as { code: unknown }).code;
    };
    expect(await say(first)).toBe('confirmation_missing');
    expect(await say(second)).toBe('jwt_signature_invalid');
    second.writeJwks(inFolder('jwks.json'));
    await reload(hub);
    expect(await say(first)).toBe('jwt_signature_invalid');
    expect(await say(second)).toBe('confirmation_missing');
  });

  test('names what needs a restart', async () => {
    copyFileSync(tlsFile('ca.pem'), inFolder('ca.pem'));
    const issuer = '[[issuers]]\nissuer = "https://as.example"\nca_file = "ca.pem"\n';
    folder.configure(issuer);
    const hub = await folder.start();
    copyFileSync(tlsFile('other-ca.pem'), inFolder('ca.pem'));
    folder.configure(`${issuer}leeway = "7s"\n[[issuers]]\nissuer = "https://new.example"\n[delivery]\nwait = "7s"\n`);
    const { level, needs_restart: settings, message } = (await reload(hub)) ?? {};
    expect(level).toBe('warn');
    expect(settings).toEqual([
      'delivery.wait',
      'issuers."https://as.example".leeway',
      'issuers."https://new.example"',
      'ca_file of https://as.example',
    ]);
    expect(message).toContain('A restart is needed for: delivery.wait, ');
    expect((await ofConfiguration()).get('restart_needed')).toMatch(/^delivery\.wait, /);
    // A reload that is refused says nothing of what the one before found.
    writeFileSync(folder.config, 'what?');
    await reload(hub, 'reload_refused');
    expect([...(await ofConfiguration(inFolder('state/admin.sock'))).keys()]).toEqual([
      'reload_refused',
      'restart_needed',
    ]);
    copyFileSync(tlsFile('ca.pem'), inFolder('ca.pem'));
    folder.configure(issuer);
    expect(await reload(hub)).toMatchObject({ level: 'info', needs_restart: [] });
    expect([...(await ofConfiguration()).keys()]).toEqual([]);
  });

  test.each([
    ['that is no TOML', () => writeFileSync(folder.config, 'what?'), 'config_syntax'],
    ['that has an unknown key', () => writeFileSync(folder.config, '[http]\nlistn = 1\n'), 'config_unknown_key'],
    ['whose key set is damaged', () => writeFileSync(inFolder('jwks.json'), '{"keys":[]}'), 'jwks_invalid'],
  ])('refuses a configuration %s whole, and the old one stays', async (_name, spoil, code) => {
    new StaticIssuer().writeJwks(inFolder('jwks.json'));
    folder.configure(ISSUER + LINE('ward-1'));
    const hub = await folder.start();
    folder.configure(ISSUER + LINE('ward-2'));
    spoil();
    expect(await reload(hub, 'reload_refused')).toMatchObject({ level: 'error', code });
    expect((await ofConfiguration(inFolder('state/admin.sock'))).get('reload_refused')).toContain(`${code}: `);
    const { lines, issuers } = JSON.parse(
      (await folder.command('status', '--json', '--socket', inFolder('state/admin.sock'))).out,
    ) as HubStatus;
    expect(lines.map(({ name }) => name)).toEqual(['ward-1']);
    expect(issuers[0]?.keys).toHaveLength(1);
    expect(await hub.stop()).toBe(0);
  });
});

describe('other signals', () => {
  test('SIGUSR1 opens no debugger, and SIGUSR2 does nothing', async () => {
    folder.configure('');
    const hub = await folder.start();
    process.kill(hub.pid, 'SIGUSR1');
    process.kill(hub.pid, 'SIGUSR2');
    // It has no issuer, so no keys; but it answers.
    expect((await fetch(`${hub.address}/jwks`)).status).toBe(404);
    // Node says "Debugger listening on ws://…" on standard error before it takes the first connection.
    expect(await hub.stop()).toBe(0);
    expect(hub.output.join('\n')).not.toMatch(/debugger|inspector/i);
  });

  test('SIGQUIT drains and ends', async () => {
    folder.configure('');
    const hub = await folder.start();
    expect(await hub.stop('SIGQUIT')).toBe(0);
    expect(events(hub, 'stopped')).toHaveLength(1);
  });
});

describe('the end of a hub', () => {
  test('does not wait for a reader of the log that has stalled', async () => {
    folder.configure('');
    const fifo = inFolder('log');
    execFileSync('mkfifo', [fifo]);
    // Both ends are here, so nothing is ever read and it never breaks. It is full before the hub starts.
    const full = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
    expect(() => {
      for (;;) writeSync(full, Buffer.alloc(4_096));
    }).toThrow('EAGAIN');
    const blocking = openSync(fifo, constants.O_WRONLY);
    const hub = spawn(process.execPath, [PROGRAM, 'run', '-c', folder.config], {
      stdio: ['ignore', blocking, 'ignore'],
      env: { PATH: process.env.PATH, HOME: folder.path },
    });
    const ended = once(hub, 'exit');
    try {
      await vi.waitFor(async () => expect((await folder.command('status', '-c', folder.config)).status).toBe(0), {
        timeout: 10_000,
        interval: 200,
      });
      hub.kill('SIGTERM');
      expect(await ended).toEqual([null, 'SIGTERM']);
    } finally {
      hub.kill('SIGKILL');
      closeSync(full);
      closeSync(blocking);
    }
    // The store was closed well.
    expect((await folder.command('audit', 'verify', '-c', folder.config)).status).toBe(0);
  });

  test('waits for a slow disk, says so, and is a good one', async () => {
    folder.configure('');
    const hub = await folder.start(withFault({ SLOW_CLOSE: '5500' }));
    expect(await hub.stop()).toBe(0);
    expect(events(hub, 'stop_slow')).toHaveLength(1);
    expect(events(hub, 'stopped')).toHaveLength(1);
  });

  test('does not wait for ever for a disk that hangs', async () => {
    folder.configure('');
    const hub = await folder.start(withFault({ SLOW_CLOSE: 'never' }));
    expect(await hub.stop()).toBe('SIGTERM');
    expect(events(hub, 'failed')).toHaveLength(1);
  });

  test('comes at once with the second signal', async () => {
    folder.configure('');
    const hub = await folder.start(withFault({ SLOW_CLOSE: 'never' }));
    const ended = hub.stop();
    await hub.event('stopping');
    process.kill(hub.pid, 'SIGTERM');
    expect(await ended).toBe('SIGTERM');
    expect(events(hub, 'stop_slow')).toHaveLength(0);
  });

  test('says how many verdicts go where the store takes nothing any more, and is no good one', async () => {
    new StaticIssuer().writeJwks(inFolder('jwks.json'));
    folder.configure(ISSUER + LINE('ward-1'));
    const failing = inFolder('failing');
    const hub = await folder.start(withFault({ FAIL_FILE: failing }));
    writeFileSync(failing, '');
    await fetch(`${hub.address}/devices/tube-1/authz-info`, {
      method: 'POST',
      headers: { authorization: `Bearer ${new StaticIssuer().sign({ aud: 'x' })}` },
    });
    await hub.event('audit_failing');
    expect(await hub.stop()).toBe(1);
    expect(events(hub, 'audit_lost')).toMatchObject([{ lost: 1 }]);
  });
});

test('a Node that is too old is told in one sentence', async () => {
  const older = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '18.20.8' } });`;
  const child = spawn(process.execPath, [
    '--import',
    `data:text/javascript,${encodeURIComponent(older)}`,
    PROGRAM,
    'run',
  ]);
  const told: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => told.push(chunk));
  expect(await once(child, 'close')).toEqual([78, null]);
  expect(Buffer.concat(told).toString()).toBe(
    'latchkey: Node.js is too old: this is 18.20.8, and Latchkey needs 20.19 or newer.\n',
  );
  const { engines } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  expect(engines.node).toBe('>=20.19');
  expect(existsSync(PROGRAM)).toBe(true);
});

/** What npm installs: what is in the package, that it is whole without the clone, and that it runs. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstatSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { VERSION } from '../../src/core/version.ts';
import { InstalledPackage } from '../fixtures/installed-package.ts';

const TARBALL = `latchkey-${VERSION}.tgz`;

let installed: InstalledPackage;
beforeAll(async () => {
  installed = await InstalledPackage.make();
});
afterAll(() => installed?.remove());

/** Runs a script of node as a module of the installed package would: it finds what was installed with it, and nothing else. */
function inside(script: string): string {
  const all = `import { createRequire } from 'node:module'; const require = createRequire('${installed.path}/');\n${script}`;
  return execFileSync(process.execPath, ['--input-type=module', '--eval', all], {
    cwd: installed.path,
    encoding: 'utf8',
    env: { PATH: process.env.PATH ?? '' },
  });
}

describe('the tarball', () => {
  const files = () =>
    execFileSync('tar', ['--list', '--gzip', '--file', join(installed.clone, TARBALL)], { encoding: 'utf8' })
      .trimEnd()
      .split('\n')
      .map((path) => path.replace(/^package\//, ''));

  test('has all that the documentation and the unit name', () => {
    expect(files()).toEqual(
      expect.arrayContaining([
        'package.json',
        'npm-shrinkwrap.json',
        'LICENSE',
        'README.md',
        'dist/bin/latchkey.js',
        'dist/bin/radio.js',
        'dist/children/mqtt-broker.js',
        'dist/src/client/index.js',
        'dist/src/client/index.d.ts',
        'config/latchkey.toml',
        'config/latchkey.schema.json',
        'config/mosquitto/acl',
        'config/mosquitto/latchkey.conf',
        'docs/operations.md',
        'docs/example-client.mjs',
        'docs/example-token.mjs',
        'systemd/latchkey.service',
        'systemd/latchkey.sysusers',
        'systemd/latchkey.tmpfiles',
        'systemd/latchkey-radio.conf',
      ]),
    );
  });

  test('has nothing else: no sources, tests, benches, maps or what lay about', () => {
    const expected = [
      /^(package\.json|npm-shrinkwrap\.json|LICENSE|README\.md)$/,
      /^dist\/(bin|children|chunks)\/[\w-]+\.js(\.LEGAL\.txt)?$/,
      /^dist\/run\/(compile\.js|(hub|mqtt|undici)\.cjs(\.LEGAL\.txt)?|hub\.cjs\.v[\d.]+-\w+)$/,
      /^dist\/src\/[\w/-]+\.(js|d\.ts)$/,
      /^config\/(latchkey\.(toml|schema\.json)|mosquitto\/(acl|latchkey\.conf))$/,
      /^systemd\/latchkey(-radio)?\.(service|sysusers|tmpfiles|conf)$/,
      /^docs\/[\w-]+\.(md|mjs)$/,
    ];
    expect(files().filter((path) => !expected.some((each) => each.test(path)))).toEqual([]);
  });

  test('is all that the list leaves behind in the clone, but for the build', () => {
    const left = readdirSync(installed.clone).filter((name) => name.endsWith('.tgz') || name === 'npm-shrinkwrap.json');
    expect(left).toEqual([TARBALL]);
  });
});

type Packages = Readonly<Record<string, { readonly version: string; readonly dev?: boolean }>>;

function lockOf(path: string): Packages {
  return (JSON.parse(readFileSync(path, 'utf8')) as { readonly packages: Packages }).packages;
}

function versionOf(folder: string): { readonly version: string } {
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { readonly version: string };
  return { version };
}

describe('the installed package', () => {
  test('is itself where it was installed: no link leads out of it', () => {
    const outside: string[] = [];
    const look = (folder: string) => {
      for (const entry of readdirSync(folder, { withFileTypes: true })) {
        const path = join(folder, entry.name);
        if (entry.isSymbolicLink() && !realpathSync(path).startsWith(`${realpathSync(installed.prefix)}/`))
          outside.push(path);
        if (entry.isDirectory()) look(path);
      }
    };
    look(installed.prefix);
    expect(outside).toEqual([]);
    expect(lstatSync(installed.path).isDirectory()).toBe(true);
  });

  test('has every package in the version that package-lock.json pins, and none that only developers need', () => {
    // Npm's own record of what it has put there.
    const record = lockOf(join(installed.path, 'node_modules/.package-lock.json'));
    const versions = Object.entries(record).map(([place, { version }]) => ({ place, version }));
    expect(versions.length).toBeGreaterThan(50);
    const lock = lockOf(join(installed.clone, 'package-lock.json'));
    const pinned = versions.map(({ place }) => ({ place, version: lock[place]?.version }));
    expect(versions).toEqual(pinned);
    expect(versions.filter(({ place }) => lock[place]?.dev === true)).toEqual([]);
    // What lies there is what was recorded.
    for (const { place, version } of versions)
      expect({ place, ...versionOf(join(installed.path, place)) }).toEqual({ place, version });
  });

  test('loads the add-ons that open serial ports and Bluetooth adapters, though no install script ran', () => {
    const said = inside(`
      const { SerialPort } = require('serialport');
      const error = await new Promise((resolve) => new SerialPort({ path: '/dev/none', baudRate: 115200 }, resolve));
      const Socket = require('@stoprocent/bluetooth-hci-socket');
      const { withBindings } = require('@abandonware/noble');
      console.log(JSON.stringify([error.message, typeof new Socket().isDevUp, typeof withBindings]));
    `);
    expect(JSON.parse(said)).toEqual([expect.stringContaining('No such file or directory'), 'function', 'function']);
  });

  test('lets a client import latchkey/client', () => {
    expect(inside("console.log(Object.keys(await import('latchkey/client')).length > 0)")).toBe('true\n');
  });
});

describe('the installed command', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'latchkey-installed-run-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test('says its version', () => {
    expect(execFileSync(installed.program, ['--version'], { encoding: 'utf8' })).toBe(`${VERSION}\n`);
  });

  test('runs a hub that is ready, healthy, and ends with status 0 on SIGTERM', async () => {
    const config = join(folder, 'latchkey.toml');
    const own = `state_dir = "state"\n[http]\nlisten = "127.0.0.1:0"\n[ble]\nadapter = "hci9"\n`;
    writeFileSync(config, `${own}[mqtt]\nembedded = true\nembedded_listen = "127.0.0.1:0"\n`);
    const hub = spawn(installed.program, ['run', '--config', config], {
      cwd: folder,
      env: { PATH: process.env.PATH ?? '', HOME: folder },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(hub, 'exit');
    try {
      const seen = new Map<string, Record<string, unknown>>();
      // The broker and the radio are processes of their own, from files of the package.
      const awaited = ['ready', 'broker_listens', 'radio_closed'];
      for await (const line of createInterface({ input: hub.stdout })) {
        const event = JSON.parse(line) as Record<string, unknown>;
        seen.set(String(event.event), event);
        if (awaited.every((name) => seen.has(name))) break;
      }
      expect([...seen.keys()]).toEqual(expect.arrayContaining(awaited));
      hub.stdout.resume();
      expect(seen.get('radio_closed')).toMatchObject({ code: expect.stringMatching(/^radio_(missing|unsupported)$/) });
      // It has no issuer, so no keys; but it answers.
      expect((await fetch(`${seen.get('ready')?.address}/jwks`)).status).toBe(404);
      const status = execFileSync(installed.program, ['status', '--json', '--config', config], { encoding: 'utf8' });
      expect(JSON.parse(status)).toMatchObject({ broker: { up: true } });
      hub.kill('SIGTERM');
      expect(await exited).toEqual([0, null]);
    } finally {
      hub.kill('SIGKILL');
    }
  });
});

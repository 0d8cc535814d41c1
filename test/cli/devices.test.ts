import { X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readCredentialsFile } from '../../src/codec/credentials-file.ts';
import { base64url, sha256 } from '../../src/core/bytes.ts';
import { runLine } from '../fixtures/fake-terminal.ts';

const PEM = readFileSync(new URL('../fixtures/tls/client.pem', import.meta.url), 'utf8');
const AUDIENCE = 'https://ekg-1.ward.example';

let folder: string;
let config: string;
let out: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-test-'));
  config = join(folder, 'latchkey.toml');
  out = join(folder, 'ekg-1.json');
  writeFileSync(
    config,
    `state_dir = "${join(folder, 'state')}"\n[[lines]]\nname = "bench"\npath = "tcp://127.0.0.1:1"\n[[issuers]]\nissuer = "https://as.example"\n`,
  );
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const devices = (command: string, ...args: readonly string[]) =>
  runLine(['devices', command, ...args, '--config', config], { 'cert.pem': PEM, 'no-cert.pem': 'canary' });
const add = (...args: readonly string[]) => devices('add', 'ekg-1', '--audience', AUDIENCE, ...args);
const json = (text: string) => JSON.parse(text) as Record<string, unknown>;

describe('latchkey devices add', () => {
  it('registers a connected device, on no line and without a trust file', async () => {
    const added = await add();
    expect([added.status, added.printed]).toEqual([
      0,
      `Registered ekg-1, a connected device. \`latchkey devices credentials ekg-1 --out ekg-1.json -c ${config}\` writes what it needs.`,
    ]);
    expect(json((await devices('show', 'ekg-1', '--json')).printed)).not.toHaveProperty('line');
    expect((await devices('list')).printed).toMatch(/^ekg-1 +connected +- +0 +https:/m);
    expect((await devices('show', 'ekg-1')).printed).toContain('asks the hub itself');
  });

  it('prints a next step that can be run as it stands', async () => {
    const [, next = ''] = /`latchkey ([^`]+)`/.exec((await add()).printed) ?? [];
    const args = next.replace('ekg-1.json', out).split(' ');
    expect(await runLine(args)).toMatchObject({ status: 0, printed: expect.stringContaining(`is in ${out}`) });
  });

  it('registers the certificate that a device shows, by its thumbprint', async () => {
    const added = await add('--certificate', 'cert.pem', '--json');
    const thumbprint = base64url(sha256(new X509Certificate(PEM).raw));
    expect(json(added.printed)).toMatchObject({ id: 'ekg-1', certificate: thumbprint });
    expect((await devices('show', 'ekg-1')).printed).toContain(thumbprint);
  });

  it('refuses a certificate that is none, and does not print it', async () => {
    const added = await add('--certificate', 'no-cert.pem');
    expect(added.status).toBe(1);
    expect(added.noted).toContain('[certificate_invalid]');
    expect(added.noted).not.toContain('canary');
  });

  it('refuses a certificate that another device has', async () => {
    await add('--certificate', 'cert.pem');
    const second = await devices('add', 'ekg-2', '--audience', 'https://ekg-2', '--certificate', 'cert.pem');
    expect(second.noted).toContain('[device_exists]');
  });

  it.each([
    ['a trust file', ['--trust', 'trust.json']],
    ['permissions', ['--allow', 'read=FETCH temperature']],
  ])('refuses %s for a device on no line', async (_, args) => {
    const added = await add(...args);
    expect([added.status, added.noted.includes('[usage]')]).toEqual([2, true]);
  });

  it('refuses a device on a line without a trust file', async () => {
    const added = await add('--line', 'bench', '--allow', 'read=FETCH temperature');
    expect([added.status, added.noted.includes('[usage]')]).toEqual([2, true]);
  });

  it('refuses a device on a line without permissions', async () => {
    const added = await add('--line', 'bench', '--trust', out);
    expect([added.status, added.noted.includes('[device_invalid]')]).toEqual([1, true]);
  });

  it('takes tokens that are bound to no key for a connected device where that was asked for', async () => {
    const added = await add('--bearer', '--json');
    expect(json(added.printed)).toMatchObject({ profile: { bearer: true } });
  });

  it('leaves proofs to a connected device where that was asked for', async () => {
    const added = await add('--checks-proofs', '--json');
    expect(json(added.printed)).toMatchObject({ profile: { checksProofs: true, bearer: false } });
    const { printed } = await devices('show', 'ekg-1');
    expect(printed).toMatch(/^ +checksProofs +true$/m);
  });

  it('binds tokens to their first presenter where that was asked for', async () => {
    const line = ['--line', 'bench', '--allow', 'read=FETCH temperature', '--trust', out];
    const added = await add(...line, '--bind', 'first-presenter', '--json');
    expect(json(added.printed)).toMatchObject({ profile: { bearer: false, bind: 'first-presenter' } });
  });

  it.each([
    [
      'bearer tokens for an offline device',
      ['--line', 'bench', '--allow', 'read=FETCH x', '--trust', 'x', '--bearer'],
      2,
      'usage',
    ],
    [
      'a check of proofs for an offline device',
      ['--line', 'bench', '--allow', 'read=FETCH x', '--trust', 'x', '--checks-proofs'],
      2,
      '--checks-proofs is for connected devices',
    ],
    ['both for a connected one', ['--bearer', '--bind', 'first-presenter'], 1, '--bind: not beside bearer'],
    ['another way to bind', ['--bind', 'last'], 1, '--bind: one of issuer, token, first-presenter'],
  ])('refuses %s', async (_, options, status, words) => {
    const added = await add(...options);
    expect(added.status).toBe(status);
    expect(added.noted).toContain(words);
  });

  it('leaves no trust file behind for a device that was refused', async () => {
    const added = await add('--line', 'elsewhere', '--allow', 'read=FETCH temperature', '--trust', out);
    expect(added.noted).toContain('[device_invalid]');
    expect(existsSync(out)).toBe(false);
  });

  it('writes the trust file of a device on a line for its owner alone', async () => {
    expect((await add('--line', 'bench', '--allow', 'read=FETCH temperature', '--trust', out)).status).toBe(0);
    expect(statSync(out).mode & 0o777).toBe(0o600);
    expect(json(readFileSync(out, 'utf8'))).toMatchObject({ device: 'ekg-1' });
  });
});

describe('latchkey devices credentials', () => {
  it('writes what the device needs for its owner alone, as often as it is asked', async () => {
    await add();
    const written = await devices('credentials', 'ekg-1', '--out', out);
    expect([written.status, written.printed]).toEqual([
      0,
      `What ekg-1 needs is in ${out}: it holds secrets, hand it over and delete it.`,
    ]);
    expect(statSync(out).mode & 0o777).toBe(0o600);
    const text = readFileSync(out, 'utf8');
    expect(readCredentialsFile(text)).toMatchObject({ device: 'ekg-1', audience: AUDIENCE });
    expect(`${(await devices('credentials', 'ekg-1', '--out', '-')).printed}\n`).toBe(text);
  });

  it('prints no secret where it writes a file', async () => {
    await add();
    const written = await devices('credentials', 'ekg-1', '--out', out);
    const secret = readCredentialsFile(readFileSync(out, 'utf8')).httpSecret.expose();
    expect(written.printed + written.noted).not.toContain(secret);
  });

  it('refuses to write over a file', async () => {
    await add();
    writeFileSync(out, 'mine');
    expect((await devices('credentials', 'ekg-1', '--out', out)).noted).toContain('[file_exists]');
    expect(readFileSync(out, 'utf8')).toBe('mine');
  });

  it('refuses a device that is not registered, and leaves no file behind', async () => {
    expect((await devices('credentials', 'ekg-9', '--out', out)).noted).toContain('[device_unknown]');
    expect(existsSync(out)).toBe(false);
  });
});

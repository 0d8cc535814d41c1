/** What README and docs/operations.md have a newcomer type, typed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { freePort } from '../fixtures/free-port.ts';
import { PROGRAM } from '../fixtures/hub-process.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-readme-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The first script under a heading that begins with these words, without them: they hold on this machine already. */
function script(page: string, heading: string, done: string): string {
  const [, section = ''] = readFileSync(join(root, page), 'utf8').split(`## ${heading}\n`);
  const scripts = [...section.matchAll(/```sh\n([\s\S]*?)^```$/gm)].map(([, lines = '']) => lines);
  const walk = scripts.find((lines) => lines.startsWith(done)) ?? '';
  expect(walk).toContain(done);
  return walk
    .replace(done, '')
    .replaceAll(/npx latchkey|node dist\/bin\/latchkey\.js/g, `"${process.execPath}" "${PROGRAM}"`);
}

/** Types it, and ends what it left running. */
async function type(shell: string): Promise<string> {
  const child = spawn('bash', ['-c', `trap 'kill $(jobs -p); wait' EXIT\n${shell}`], { cwd: root });
  const out: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => out.push(chunk));
  await once(child, 'close');
  return Buffer.concat(out).toString();
}

test('the hub of "Start a hub of your own" delivers a token', async () => {
  const walk = script('README.md', 'Start a hub of your own', 'npm ci && npm run build && mkdir try')
    .replaceAll(/\btry(?=[/ ])/g, folder)
    .replaceAll('4161', String(await freePort()))
    .replaceAll('127.0.0.1:8430', `127.0.0.1:${await freePort()}`);
  const listen = /http:\/\/(127\.0\.0\.1:\d+)\/devices/.exec(walk)?.[1] ?? '';
  // The port of the hub is its default one in the README, and a free one here.
  const said = await type(walk.replace('state_dir = "state"', `state_dir = "state"\n[http]\nlisten = "${listen}"`));
  expect(said).toContain('"state":"delivered"');
  expect(said).toContain('"receipt":true');
});

test('the simulated device of "Pairing devices" is paired, blinks and is unpaired', async () => {
  const walk = script('docs/operations.md', 'Pairing devices', 'mkdir try-pair')
    .replaceAll('try-pair', folder)
    .replaceAll('4162', String(await freePort()))
    .replaceAll('127.0.0.1:8432', '127.0.0.1:0');
  const said = await type(walk);
  for (const words of [
    'Paired tube-1, for tokens with the audience coap://tube-1.',
    'tube-1 shows itself now.',
    '1 device trusts an older key until reached',
    'Unpaired tube-1. Reset it by hand before it is paired again.',
    'blinking: this is the device',
  ])
    expect(said).toContain(words);
});

test('"A connected device of your own" and its client come to a key', async () => {
  const broker = String(await freePort());
  const walk = script('docs/operations.md', 'A connected device of your own', 'mkdir try-ekg')
    .replaceAll('try-ekg', folder)
    .replaceAll('8431', String(await freePort()))
    .replaceAll('127.0.0.1:1883', `127.0.0.1:${broker}`)
    .replaceAll('127.0.0.1:8433', '127.0.0.1:0')
    .replace(/^embedded = true.*$/m, `embedded = true\nembedded_listen = "127.0.0.1:${broker}"`);
  const said = await type(walk);
  expect(said).toContain('{"beatsPerMinute":72}');
  expect(said).toMatch(/relay +ekg-1 +active +dpop/);
});

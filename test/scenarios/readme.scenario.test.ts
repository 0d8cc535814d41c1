/** What the README has a newcomer type, typed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { PROGRAM } from '../fixtures/hub-process.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'latchkey-readme-'));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function freePort(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? String(address.port) : '';
}

test('the hub of "Start a hub of your own" delivers a token', async () => {
  const [, section = ''] = readFileSync(join(root, 'README.md'), 'utf8').split('## Start a hub of your own');
  const [, walk = ''] = /```sh\n([^`]+)```/.exec(section) ?? [];
  const script = walk
    .replace('npm ci && npm run build && mkdir try', '')
    .replaceAll('npx latchkey', `"${process.execPath}" "${PROGRAM}"`)
    .replaceAll(/\btry(?=[/ ])/g, folder)
    .replaceAll('4161', await freePort())
    .replaceAll('127.0.0.1:8430', `127.0.0.1:${await freePort()}`);
  const listen = /http:\/\/(127\.0\.0\.1:\d+)\/devices/.exec(script)?.[1] ?? '';
  // The port of the hub is its default one in the README, and a free one here.
  const shell = script.replace('state_dir = "state"', `state_dir = "state"\n[http]\nlisten = "${listen}"`);
  const child = spawn('bash', ['-c', `trap 'kill $(jobs -p)' EXIT\n${shell}`], { cwd: root });
  const out: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => out.push(chunk));
  await once(child, 'close');
  const said = Buffer.concat(out).toString();
  expect(said).toContain('"state":"delivered"');
  expect(said).toContain('"receipt":true');
});

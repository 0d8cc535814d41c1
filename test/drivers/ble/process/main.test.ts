/** The built process of the radio, where its hub is killed. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, expect, it, vi } from 'vitest';
import { isRunning } from '../../../fixtures/is-running.ts';
import { RADIO_PROGRAM } from '../../../fixtures/radio-program.ts';

const PARENT = fileURLToPath(new URL('../../../fixtures/children/radio-parent.ts', import.meta.url));

const cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const step of cleanUp.splice(0).reverse()) step();
});

it.each([
  ['lives', ''],
  ['hangs', 'for (;;);'],
])('that %s does not outlive its hub', async (_, then) => {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-radio-'));
  cleanUp.push(() => rmSync(folder, { recursive: true, force: true }));
  const program = join(folder, 'program.mjs');
  const note = join(folder, 'pid');
  writeFileSync(
    program,
    `import { writeFileSync } from 'node:fs';
     await import(${JSON.stringify(pathToFileURL(RADIO_PROGRAM).href)});
     setTimeout(() => { writeFileSync(${JSON.stringify(note)}, process.pid + '\\n'); ${then} }, 200);`,
  );
  const hub = fork(PARENT, [program]);
  cleanUp.push(() => hub.kill('SIGKILL'));
  expect(await once(hub, 'message')).toEqual(['ready', undefined]);
  await vi.waitFor(() => expect(readFileSync(note, 'utf8')).toMatch(/^\d+\n$/), 5_000);
  const pid = Number(readFileSync(note, 'utf8'));
  cleanUp.push(() => isRunning(pid) && process.kill(pid, 'SIGKILL'));
  expect(readFileSync(`/proc/${pid}/cmdline`, 'latin1')).toMatch(/^latchkey radio\0/);
  expect(isRunning(pid)).toBe(true);
  hub.kill('SIGKILL');
  await vi.waitFor(() => expect(isRunning(pid)).toBe(false), { timeout: 5_000 });
});

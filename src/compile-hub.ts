/**
 * Part of the build: runs the hub once until it is ready, and keeps what V8 compiled for that beside its script. Node runs
 * this as it was built (`dist/run/compile.js`).
 */
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { compiledFile, hubScript } from './cli/compiled-hub.ts';

const [config] = process.argv.slice(2);
if (config === undefined) await watchHub();
else await runHub(config);

/** In a process of its own, since the hub writes its log to standard output, which says when it is ready. */
async function watchHub(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-build-'));
  try {
    const file = join(folder, 'latchkey.toml');
    const settings = `state_dir = ${JSON.stringify(join(folder, 'state'))}\n[http]\nlisten = "127.0.0.1:0"\n`;
    writeFileSync(file, settings);
    const child = spawn(process.execPath, [fileURLToPath(import.meta.url), file], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
    for await (const line of createInterface({ input: child.stdout }))
      if (line.includes('"event":"ready"')) child.kill('SIGTERM');
    const status = await ended;
    if (status !== 0) throw new Error(`the hub that was to be compiled ended with ${status}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function runHub(config: string): Promise<void> {
  const file = fileURLToPath(new URL('hub.cjs', import.meta.url));
  const script = hubScript(file);
  process.exitCode = await script.load().runProcess(['run', '--config', config]);
  if (process.exitCode !== 0) return;
  writeFileSync(compiledFile(file), script.compiled());
  // The hub has set a umask for secrets, and this is for the user that the hub will be.
  chmodSync(compiledFile(file), 0o644);
}

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isCoded } from '../../src/core/errors.ts';
import { DurableReplayWindow } from '../../src/pop/durable-replay-window.ts';
import { openStore } from '../../src/store/open-store.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-kill-'));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  await build({
    entryPoints: [fileURLToPath(new URL('../fixtures/proof-user.ts', import.meta.url))],
    outfile: join(folder, 'proof-user.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['classic-level'],
    logLevel: 'error',
  });
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Kills the process once it has told of so many proofs, and answers with all that it told of. */
async function killAfter(child: ChildProcess & { readonly stdout: NodeJS.ReadableStream }, proofs: number) {
  const used: string[] = [];
  const exited = once(child, 'exit');
  for await (const line of createInterface({ input: child.stdout })) {
    used.push(line);
    if (used.length === proofs) child.kill('SIGKILL');
  }
  const [, signal] = await exited;
  return { used, signal };
}

test('no proof is taken twice after the process was killed in the middle of a burst', async () => {
  const state = join(folder, 'state');
  for (const proofs of [1, 200, 1_500]) {
    const started = spawn(process.execPath, [join(folder, 'proof-user.mjs'), `${state}-${proofs}`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const { used, signal } = await killAfter(started, proofs);
    expect(signal).toBe('SIGKILL');
    expect(used.length).toBeGreaterThanOrEqual(proofs);
    const store = await openStore(`${state}-${proofs}`);
    const window = await DurableReplayWindow.open({ store, bootId: 'this boot', monotonic: 0, window: 60 });
    const codes = new Set<string>();
    for (const identifier of used) codes.add(await codeOf(window.use(identifier, 0)));
    expect([...codes]).toEqual(['proof_replayed']);
    expect(await codeOf(window.use('never used', 0))).toBe('none');
    await store.close();
  }
});

async function codeOf(use: Promise<void>): Promise<string> {
  try {
    await use;
    return 'none';
  } catch (error) {
    return isCoded(error) ? error.code : `uncoded: ${String(error)}`;
  }
}

/** In a process of its own, with a limit that it reaches. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { expect, test } from 'vitest';

test('a process notices that it may open no more files, and that it may again', async () => {
  const entry = fileURLToPath(new URL('../../drivers/descriptors.ts', import.meta.url));
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    platform: 'node',
    format: 'cjs',
    write: false,
  });
  const script = `${outputFiles[0]?.text ?? ''}
    const { openSync, closeSync } = process.getBuiltinModule('node:fs');
    const found = [areDescriptorsExhausted()];
    const open = [];
    try { for (;;) open.push(openSync('/dev/null')); } catch (error) { found.push(error.code, areDescriptorsExhausted()); }
    for (const each of open) closeSync(each);
    found.push(areDescriptorsExhausted());
    console.log(JSON.stringify(found));`;
  const out = execFileSync('bash', ['-c', 'ulimit -n 128; exec "$0" -e "$1"', process.execPath, script]).toString();
  expect(JSON.parse(out)).toEqual([false, 'EMFILE', true, false]);
});

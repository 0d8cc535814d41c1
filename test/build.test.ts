import { execFileSync } from 'node:child_process';
import {
  accessSync,
  constants,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { compiledFile, hubScript } from '../src/cli/compiled-hub.ts';
import { VERSION } from '../src/core/version.ts';

/** `npm test` and test/run build first: what is tested here is what users get. */
const root = fileURLToPath(new URL('..', import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly bin: { readonly latchkey: string };
  readonly exports: { readonly './client': { readonly types: string } };
};

describe('the built package', () => {
  test('has a program that runs by itself', () => {
    const program = join(root, manifest.bin.latchkey);
    accessSync(program, constants.X_OK);
    expect(execFileSync(program, ['--version'], { encoding: 'utf8' })).toBe(`${VERSION}\n`);
  });

  test('has the hub compiled, for this version of node and for every user of the machine', () => {
    const file = join(root, 'dist/run/hub.cjs');
    const compiled = compiledFile(file);
    expect(statSync(compiled).mode & 0o777).toBe(0o644);
    // In a process without the flags of the test runner: V8 refuses what was compiled under other flags.
    const script = `const { readFileSync } = require('node:fs');
      const wrapped = '(function(exports,require,module,scriptUrl){' + readFileSync(process.argv[1], 'latin1') + '\\n})';
      const script = new (require('node:vm').Script)(wrapped, { cachedData: readFileSync(process.argv[2]) });
      console.log(script.cachedDataRejected);`;
    expect(execFileSync(process.execPath, ['-e', script, file, compiled], { encoding: 'utf8' })).toBe('false\n');
  });

  test('runs a hub that was compiled for another version from its source', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'latchkey-test-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, 'hub.cjs');
    copyFileSync(join(root, 'dist/run/hub.cjs'), file);
    writeFileSync(compiledFile(file), 'compiled by something else');
    const script = hubScript(file);
    expect(script.isCompiled).toBe(false);
    expect(await script.load().runProcess(['run', '--help'])).toBe(0);
  });

  test('lets others import latchkey/client', () => {
    const script = "import('latchkey/client').then((client) => console.log(Object.keys(client).length > 0))";
    expect(execFileSync(process.execPath, ['-e', script], { cwd: root, encoding: 'utf8' })).toBe('true\n');
  });

  test('has types for latchkey/client', () => {
    expect(existsSync(join(root, manifest.exports['./client'].types))).toBe(true);
  });

  test('has types that need no types of its dependencies, which want a newer TypeScript than it does', () => {
    const seen = new Set<string>();
    const foreign = new Set<string>();
    const read = (file: string) => {
      if (seen.has(file)) return;
      seen.add(file);
      for (const [, from = ''] of readFileSync(file, 'utf8').matchAll(/(?:from |import\()['"]([^'"]+)['"]/g)) {
        if (from.startsWith('.')) read(join(dirname(file), from.replace(/\.[jt]s$/, '.d.ts')));
        else foreign.add(from);
      }
    };
    read(join(root, manifest.exports['./client'].types));
    expect(seen.size).toBeGreaterThan(20);
    expect([...foreign].filter((name) => !name.startsWith('node:'))).toEqual([]);
  });
});

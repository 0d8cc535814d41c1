import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
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

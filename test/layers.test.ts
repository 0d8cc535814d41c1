import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

/** What each layer must not look at: one import upward or sideways for each rule of docs/architecture.md. */
const FORBIDDEN: readonly (readonly [layer: string, target: string])[] = [
  ['src/core', 'src/ports'],
  ['src/core', 'src/codec'],
  ['src/ports', 'src/codec'],
  ['src/codec', 'src/trust'],
  ['src/codec', 'src/ports'],
  ['src/trust', 'src/token'],
  ['src/trust', 'src/pop'],
  ['src/trust', 'src/devices'],
  ['src/trust', 'src/flows'],
  ['src/token', 'src/trust'],
  ['src/token', 'src/pop'],
  ['src/token', 'src/devices'],
  ['src/pop', 'src/trust'],
  ['src/pop', 'src/token'],
  ['src/pop', 'src/devices'],
  ['src/devices', 'src/trust'],
  ['src/devices', 'src/token'],
  ['src/devices', 'src/pop'],
  ['src/devices', 'src/flows'],
  ['src/store', 'src/codec'],
  ['src/store', 'src/flows'],
  ['src/observe', 'src/store'],
  ['src/observe', 'src/flows'],
  ['src/flows', 'drivers'],
  ['src/flows', 'src/config'],
  ['src/flows', 'src/cli'],
  ['src/config', 'src/codec'],
  ['src/config', 'src/flows'],
  ['src/client', 'src/flows'],
  ['src/client', 'src/ports'],
  ['src/sim', 'src/trust'],
  ['src/sim', 'src/token'],
  ['src/sim', 'src/pop'],
  ['drivers', 'src/flows'],
  ['drivers', 'src/trust'],
  ['drivers', 'src/config'],
  ['src/cli', 'drivers'],
];

/** Layers that decide and so must not reach the world. */
const PURE = [
  'src/core',
  'src/ports',
  'src/codec',
  'src/trust',
  'src/token',
  'src/pop',
  'src/devices',
  'src/flows',
  'src/sim',
];

let folder = '';

/** `biome check` over one planted file, in a folder of its own with the project's own rules. */
function check(file: string, text: string): Promise<string> {
  const path = join(folder, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return run([
    'check',
    '--error-on-warnings',
    '--formatter-enabled=false',
    '--assist-enabled=false',
    '--colors=off',
    file,
  ]);
}

function run(args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const biome = join(root, 'node_modules/.bin/biome');
    execFile(biome, args, { cwd: folder }, (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== 'number') reject(error);
      else resolve(`status ${error?.code ?? 0}\n${stdout}${stderr}`);
    });
  });
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-layers-'));
  copyFileSync(join(root, '.biome.json'), join(folder, '.biome.json'));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe.concurrent('an import that looks upward fails the check', () => {
  test.each(FORBIDDEN)('%s -> %s', async (layer, target) => {
    const file = `${layer}/planted-${target.replace('/', '-')}.ts`;
    const path = `${'../'.repeat(layer.split('/').length)}${target}/target.ts`;
    const output = await check(file, `import { something } from '${path}';\nexport const used = something;\n`);
    expect(output).toMatch(/^status 1$/m);
    expect(output).toContain('noRestrictedImports');
    expect(output).toContain(`${layer} may import only`);
  });

  test('even one of a type only', async () => {
    const text = "import type { Something } from '../flows/target.ts';\nexport type Used = Something;\n";
    expect(await check('src/devices/planted-type.ts', text)).toContain('src/devices may import only');
  });

  test('even one that is put off', async () => {
    const text = "export const load = () => import('../flows/target.ts');\n";
    expect(await check('src/devices/planted-dynamic.ts', text)).toContain('src/devices may import only');
  });

  test('even one that only passes on', async () => {
    const text = "export { something } from '../flows/target.ts';\n";
    expect(await check('src/devices/planted-export.ts', text)).toContain('src/devices may import only');
  });
});

describe.concurrent('an import that does I/O fails the check', () => {
  test.each(PURE)('in %s', async (layer) => {
    const text = "import { readFileSync } from 'node:fs';\nexport const used = readFileSync;\n";
    expect(await check(`${layer}/planted-io.ts`, text)).toContain('decides and does no I/O');
  });
});

test('two files that import each other fail the check, types included', async () => {
  await check('src/core/planted-a.ts', "import type { B } from './planted-b.ts';\nexport type A = B | string;\n");
  await check('src/core/planted-b.ts', "import type { A } from './planted-a.ts';\nexport type B = A | number;\n");
  expect(await run(['check', '--colors=off', 'src/core'])).toContain('noImportCycles');
});

test('an import that looks downward passes', async () => {
  const text = "import { something } from '../core/target.ts';\n\nexport const used = something;\n";
  expect(await check('src/codec/planted-good.ts', text)).toMatch(/^status 0$/m);
});

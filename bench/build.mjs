/**
 * Builds dist/: the command line, the client SDK and the bench as bundles, and the SDK's type declarations.
 *
 * The command line is bundled because it has to start fast on a small machine: one file a command instead of some
 * hundred to look up and read (bench/start-up.ts holds the figure). What a command does not import, it does not load.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);
const { dependencies, optionalDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));

/** Packages with compiled add-ons, which are found by their place on disk, and the demo's server. */
const NEVER_BUNDLED = ['classic-level', 'serialport', ...Object.keys(optionalDependencies)];

const common = {
  outdir: 'dist',
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20.19',
  legalComments: 'linked',
  logLevel: 'warning',
};

rmSync('dist', { recursive: true, force: true });
await Promise.all([
  build({
    ...common,
    entryPoints: { 'bin/latchkey': 'src/main.ts', 'bench/main': 'bench/main.ts' },
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    minifySyntax: true,
    external: NEVER_BUNDLED,
    // CommonJS packages inside an ES module bundle ask for `require`.
    banner: {
      js: "import { createRequire as latchkeyRequire } from 'node:module';\nconst require = latchkeyRequire(import.meta.url);",
    },
  }),
  build({
    ...common,
    entryPoints: { 'src/client/index': 'src/client/index.ts' },
    // A library leaves its packages to whoever installs it.
    external: Object.keys({ ...dependencies, ...optionalDependencies }),
  }),
]);

const binary = 'dist/bin/latchkey.js';
writeFileSync(binary, `#!/usr/bin/env node\n${readFileSync(binary, 'utf8')}`);
chmodSync(binary, 0o755);

const compiler = createRequire(import.meta.url)
  .resolve('typescript/package.json')
  .replace(/package\.json$/, 'bin/tsc');
const types = spawnSync(
  process.execPath,
  [compiler, '--emitDeclarationOnly', '--declaration', '--project', 'tsconfig.json'],
  { stdio: 'inherit' },
);
if (types.status !== 0 || !existsSync('dist/src/client/index.d.ts')) process.exit(types.status || 1);

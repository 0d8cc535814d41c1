/**
 * `latchkey run` as one script, together with the code that V8 made of it when it was built. To compile the source anew
 * takes two fifths of a start: Node 20 keeps no compiled code of modules, only of scripts (`vm.Script`, `cachedData`).
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Script } from 'node:vm';

/** Packages that are bundled in files of their own beside the script, since most hubs need them later or never. */
const BUNDLED_APART: ReadonlySet<string> = new Set(['undici', 'mqtt']);

interface CompiledHub {
  runProcess(args: readonly string[]): Promise<number>;
}

export interface HubScript {
  /** Whether V8 took the code that was made before. */
  readonly isCompiled: boolean;
  load(): CompiledHub;
  /** For the file: what V8 has compiled until now, functions that have run included, behind its digest. */
  compiled(): Uint8Array;
}

/**
 * The code is for one version of V8 on one kind of processor. V8 checks its own version, and not the processor.
 * @param file of the script
 */
export function compiledFile(file: string): string {
  return `${file}.${process.version}-${process.arch}`;
}

/**
 * Reads the script. Without compiled code, or with code of another version, V8 compiles the source: the start is slower.
 * @throws system errors where there is no script
 */
export function hubScript(file: string): HubScript {
  // ASCII, as esbuild writes it: one byte a character in memory too.
  const bytes = readFileSync(file);
  const source = bytes.toString('latin1');
  const cachedData = readCompiled(compiledFile(file), bytes);
  const script = new Script(`(function(exports,require,module,scriptUrl){${source}\n})`, {
    filename: file,
    ...(cachedData === undefined ? {} : { cachedData }),
  });
  // The script keeps its `require` for as long as the hub runs, and with it all that a function made here refers to: not the bytes.
  const require = requireBeside(file);
  return {
    isCompiled: cachedData !== undefined && script.cachedDataRejected === false,
    load: () => {
      const module = { exports: {} };
      const evaluate = script.runInThisContext() as (...parts: unknown[]) => void;
      evaluate(module.exports, require, module, pathToFileURL(file).href);
      return module.exports as CompiledHub;
    },
    compiled: () => {
      const data = script.createCachedData();
      return Buffer.concat([digestOf(readFileSync(file), data), data]);
    },
  };
}

function requireBeside(file: string): (id: string) => unknown {
  const required = createRequire(file);
  return (id) => required(BUNDLED_APART.has(id) ? join(dirname(file), `${id}.cjs`) : id);
}

/** Undefined where it was not built: the sources are run. */
export function findHubScript(place: URL): HubScript | undefined {
  const file = fileURLToPath(place);
  return existsSync(file) ? hubScript(file) : undefined;
}

/**
 * Undefined for code that is not as it was written, or of another source. V8 compares lengths alone: one wrong byte ends the process
 * without a word, or does something else than the source says.
 */
function readCompiled(file: string, source: Uint8Array): Buffer | undefined {
  let read: Buffer;
  try {
    read = readFileSync(file);
  } catch {
    // Built for another version, or not compiled: the source alone will do.
    return undefined;
  }
  const data = read.subarray(DIGEST_BYTES);
  return digestOf(source, data).equals(read.subarray(0, DIGEST_BYTES)) ? data : undefined;
}

const DIGEST_BYTES = 32;

function digestOf(source: Uint8Array, data: Uint8Array): Buffer {
  return createHash('sha256').update(source).update(data).digest();
}

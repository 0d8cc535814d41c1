/** Inputs that are kept: each line of `corpus/NAME.txt` is one, in base64. Lines that begin with `#` say what they were. */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('./corpus/', import.meta.url));
const FOUND = fileURLToPath(new URL('./found/', import.meta.url));

export function keptInputs(name: string): readonly Buffer[] {
  const file = `${FOLDER}${name}.txt`;
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => Buffer.from(line, 'base64'));
}

/** Writes down the inputs of a batch after which something no longer held. @returns the file */
export function keepFound(name: string, what: string, inputs: readonly Uint8Array[]): string {
  mkdirSync(FOUND, { recursive: true });
  const file = `${FOUND}${name}.txt`;
  const lines = inputs.map((input) => Buffer.from(input).toString('base64'));
  appendFileSync(file, `# ${what.replaceAll(/\s+/g, ' ').slice(0, 200)}\n${lines.join('\n')}\n`);
  return file;
}

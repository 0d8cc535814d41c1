import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A call of a log whose fields are written out there, and the first of them. */
const CALL = /[lL]og(?:\.(?:debug|info|warn|error)|\[[^\]]+\])\(\s*\{\s*([.\w]*)/g;

test('every line of the log says by its event what it is about', () => {
  const nameless = ['src', 'drivers']
    .flatMap((folder) => readdirSync(join(root, folder), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .flatMap((entry) => {
      const calls = [...readFileSync(join(entry.parentPath, entry.name), 'utf8').matchAll(CALL)];
      return calls
        .filter(([, first]) => first !== 'event' && first !== '...fields')
        .map(([call]) => [entry.name, call]);
    });
  expect(nameless).toEqual([]);
});

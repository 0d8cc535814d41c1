import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { runLine } from './fixtures/fake-terminal.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const pages = ['README.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)];
const text = (page: string) => readFileSync(join(root, page), 'utf8');

/** Links to files of this repository, and the headings that they point at. */
function links(page: string): readonly (readonly [file: string, heading: string | undefined])[] {
  return [...text(page).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)].map((match) => [
    join(dirname(page), match[1] === '' || match[1] === undefined ? (page.split('/').at(-1) ?? '') : match[1]),
    match[2],
  ]);
}

/** As GitHub makes them from headings. */
function anchors(page: string): readonly string[] {
  return [...text(page).matchAll(/^#+ (.+)$/gm)].map((match) =>
    (match[1] ?? '')
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** `latchkey …` as a command line: in code spans and in code blocks. */
function commandLines(page: string): readonly string[] {
  const spans = [...text(page).matchAll(/`latchkey ([a-z][^`\n]*)`/g)].map((match) => match[1] ?? '');
  const lines = [...text(page).matchAll(/^(?:\$ |node dist\/bin\/)?latchkey(?:\.js)? ([a-z][^\n#]*)/gm)];
  return [...spans, ...lines.map((match) => match[1] ?? '')];
}

describe.each(pages)('%s', (page) => {
  test('links to files and headings that exist', () => {
    const broken = links(page).filter(
      ([file, heading]) => !existsSync(join(root, file)) || (heading !== undefined && !anchors(file).includes(heading)),
    );
    expect(broken).toEqual([]);
  });

  test('names commands that exist', async () => {
    for (const line of commandLines(page)) {
      // `devices add|list` stands for both.
      const [first = '', second = ''] = line.trim().split(/\s+/);
      const isGroup = ['devices', 'sim', 'token'].includes(first);
      for (const name of isGroup && /^[a-z]/.test(second) ? second.split('|') : ['']) {
        const { status } = await runLine([first, ...(name === '' ? [] : [name]), '--help']);
        expect({ line, status }).toEqual({ line, status: 0 });
      }
    }
  });
});

describe('README.md', () => {
  test('begins with the two commands that a newcomer needs', () => {
    const [first, second] = [...text('README.md').matchAll(/^(?:\$ )?((?:npm|\.\/)[^#\n]*?)\s*(?:#.*)?$/gm)];
    expect([first?.[1], second?.[1]]).toEqual(['npm ci && npm run demo', './test/run']);
  });

  test('runs npm scripts that exist', () => {
    const { scripts } = JSON.parse(text('package.json')) as { scripts: Record<string, string> };
    const asked = pages.flatMap((page) =>
      [...text(page).matchAll(/\bnpm run ([a-z][a-z:]*)/g)].map((match) => match[1] ?? ''),
    );
    expect(asked.filter((name) => scripts[name] === undefined)).toEqual([]);
  });
});

import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { runLine } from './fixtures/fake-terminal.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const pages = [
  'README.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];
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
      const isGroup = ['devices', 'issuers', 'sim', 'token'].includes(first);
      for (const name of isGroup && /^[a-z]/.test(second) ? second.split('|') : ['']) {
        const { status } = await runLine([first, ...(name === '' ? [] : [name]), '--help']);
        expect({ line, status }).toEqual({ line, status: 0 });
      }
    }
  });
});

/** Files outside docs/ that send their readers there. */
const sources = ['src', 'drivers', 'test', 'bench', 'systemd', 'config']
  .flatMap((folder) => readdirSync(join(root, folder), { recursive: true, withFileTypes: true }))
  .filter((entry) => entry.isFile() && /\.(ts|toml|json|service|sysusers|tmpfiles)$/.test(entry.name))
  .map((entry) => relative(root, join(entry.parentPath, entry.name)))
  .filter((name) => !name.startsWith('test/vectors/') && name !== 'test/docs.test.ts');

/** `docs/x.md, "Heading"` as it is written in comments, messages and pages, a line end aside. */
function references(file: string): readonly (readonly [page: string, heading: string | undefined])[] {
  const flat = text(file).replaceAll(/\s*\n\s*(?:\*|\/\/|#)?\s*/g, ' ');
  return [...flat.matchAll(/docs\/([a-z-]+\.md)(?:, (?:\\?"([^"\\]+)|([A-Z]\w*)))?/g)].map((match) => [
    `docs/${match[1]}`,
    match[2] ?? match[3],
  ]);
}

function headings(page: string): readonly string[] {
  return [...text(page).matchAll(/^#+ (?:\d+\. )?(.+)$/gm)].map((match) => match[1] ?? '');
}

test('what comments, messages and pages name in docs/ exists', () => {
  const broken = [...pages, ...sources, '.biome.json', 'test/run'].flatMap((file) =>
    references(file)
      .filter(([page, heading]) => {
        if (!existsSync(join(root, page))) return true;
        return heading !== undefined && !headings(page).includes(heading);
      })
      .map((reference) => [file, ...reference]),
  );
  expect(broken).toEqual([]);
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

test('what the pages have a newcomer make in the clone is ignored by git: it holds keys', () => {
  const folders = pages.flatMap((page) => [...text(page).matchAll(/\bmkdir (\S+)$/gm)].map(([, name = '']) => name));
  expect(folders).toEqual(expect.arrayContaining(['try', 'try-pair', 'try-ekg']));
  const clone = mkdtempSync(join(tmpdir(), 'latchkey-ignored-'));
  try {
    execFileSync('git', ['init', '--quiet', clone]);
    copyFileSync(join(root, '.gitignore'), join(clone, '.gitignore'));
    for (const folder of folders) {
      mkdirSync(join(clone, folder));
      writeFileSync(join(clone, folder, 'trust.json'), '{}');
    }
    writeFileSync(join(clone, 'latchkey-0.1.0.tgz'), '');
    const status = ['-C', clone, 'status', '--porcelain', '--untracked-files=all'];
    expect(execFileSync('git', status, { encoding: 'utf8' })).toBe('?? .gitignore\n');
  } finally {
    rmSync(clone, { recursive: true });
  }
});

test('docs/protocol.md has every request of the admin socket', () => {
  const [, section = ''] = /^## 11\. Admin socket\n([\s\S]*?)^## /m.exec(text('docs/protocol.md')) ?? [];
  const written = [...section.matchAll(/`(GET|POST|DELETE) (\/[a-z/{}-]*)/g)].map(
    ([, method, path]) => `${method} ${path}`,
  );
  const routes = text('drivers/http/admin.ts') + text('drivers/http/pairing-routes.ts');
  const served = [...routes.matchAll(/method: '(\w+)',\s+path: (?:'([^']+)'|PATH|`\$\{PATH\}([^`]+)`)/g)].map(
    ([, method, path, below = '']) => `${method} ${path?.replace(':id', '{id}') ?? `/pairing${below}`}`,
  );
  expect(written.sort()).toEqual(served.sort());
});

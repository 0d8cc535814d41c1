/**
 * Plain words, checked by `npm run check`: words that say too little do not stand in documentation, settings, messages and comments, and
 * no sentence of docs/ is longer than 30 words. Prints file, line, what is wrong and what to write.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const LONGEST_SENTENCE = 30;

const A_PARTY = 'name the party: the hub, the device, the client, the peer, the attacker, the operator';

/** What is not written, and what is written in its place. */
const WORDS = [
  [/\b(?:who(?:m|se)?ever|nobody|somebody|anybody|everybody)\b/i, A_PARTY],
  [/\bone who\b/i, A_PARTY],
  [/\bvouch(?:es|ed|ing)?\b/i, 'authenticate, verify or confirm'],
  [/\bsets? aside\b/i, 'quarantine'],
  [/\bgo(?:es)? by\b|\bgone by\b/i, 'use, follow or depend on'],
  [/\bbe told\b/i, 'learn, or be notified'],
  [/\bits word\b/i, 'its answer'],
  [/\bspoken here\b/i, 'supported'],
  [/\bwhat goes before\b/i, 'what precedes'],
  // Not in the names of files and functions.
  [/(?<![/.#-])\bjudge(?:s|d)?\b(?![-.(])|\bjudging\b/i, 'verify, check or decide'],
];

/** Folders whose comments are checked. Those of the others are to follow. Messages are checked in all. */
const COMMENTS = [
  'src/cli',
  'src/client',
  'src/config',
  'src/core',
  'src/hub',
  'src/observe',
  'src/sim',
  'src/store',
  'src/token',
  'drivers/as',
  'drivers/demo',
  'drivers/http',
  'drivers/mqtt',
  'drivers/serial',
];

function findWords(text, at) {
  return WORDS.flatMap(([pattern, instead]) => {
    const [found] = pattern.exec(text) ?? [];
    return found === undefined ? [] : [`${at}: "${found}": ${instead}`];
  });
}

/** Without code, line by line as before. */
function proseOf(markdown) {
  return markdown
    .replaceAll(/^ *```[\s\S]*?^ *```/gm, (block) => block.replaceAll(/[^\n]/g, ''))
    .replaceAll(/`[^`]*`/g, (code) => `X${code.replaceAll(/[^\n]/g, '')}`)
    .replaceAll(/\]\([^)]*\)/g, ']');
}

function longSentences(prose, file) {
  const found = [];
  // A paragraph, an item of a list or a row of a table.
  for (const { 0: block, index } of prose.matchAll(/[^\n]+(?:\n(?! *(?:[-*#|>] ?|\d+\. ))[^\n]+)*/g)) {
    const isRow = block.trimStart().startsWith('|');
    let line = prose.slice(0, index).split('\n').length;
    // An arrow joins the steps of a path through the code.
    for (const part of block.split(isRow ? /(\|)/ : /((?<=[.!?][*)"]{0,3})\s+|\s→\s)/)) {
      const words = part.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word));
      if (words.length > LONGEST_SENTENCE) {
        const sentences = isRow ? part.split(/(?<=[.!?][*)"]{0,3})\s+/) : [part];
        for (const sentence of sentences) {
          const { length } = sentence.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word));
          if (length > LONGEST_SENTENCE)
            found.push(`${file}:${line}: a sentence of ${length} words: ${LONGEST_SENTENCE} at most, make it two`);
        }
      }
      line += part.split('\n').length - 1;
    }
  }
  return found;
}

export function checkPage(markdown, file) {
  const prose = proseOf(markdown);
  const words = prose.split('\n').flatMap((line, index) => findWords(line, `${file}:${index + 1}`));
  return [...words, ...longSentences(prose, file)];
}

/** @param hasComments whether comments are checked, beside texts of more than one word */
export function checkCode(code, file, hasComments) {
  return code.split('\n').flatMap((line, index) => {
    const at = `${file}:${index + 1}`;
    const [, comment] = /^\s*(?:\/\*\*?|\*|\/\/)(.*)$/.exec(line) ?? [];
    if (comment !== undefined) return hasComments ? findWords(comment.replaceAll(/`[^`]*`/g, 'X'), at) : [];
    const [statement = '', trailing = ''] = line.split(/(?<=[;,{(\])}]) \/\/ /);
    const texts = [...statement.matchAll(/'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]*`/g)].map(([text]) => text);
    const prose = texts.filter((text) => /\w \w/.test(text)).map((text) => text.replaceAll(/\$\{[^}]*\}/g, 'X'));
    return [...prose, ...(hasComments ? [trailing] : [])].flatMap((text) => findWords(text, at));
  });
}

export function checkSettings(text, file) {
  return text.split('\n').flatMap((line, index) => findWords(line, `${file}:${index + 1}`));
}

function filesIn(folder, pattern) {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && pattern.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

function main() {
  const read = (file) => readFileSync(join(root, file), 'utf8');
  const found = [
    ...['README.md', ...filesIn('docs', /\.md$/)].flatMap((file) => checkPage(read(file), file)),
    ...[...filesIn('src', /\.ts$/), ...filesIn('drivers', /\.ts$/)].flatMap((file) => {
      const hasComments = COMMENTS.some((folder) => file.startsWith(`${folder}/`)) || /^[^/]+\/[^/]+$/.test(file);
      return checkCode(read(file), file, hasComments);
    }),
    ...[...filesIn('config', /\.toml$/), ...filesIn('systemd', /\./)].flatMap((file) =>
      checkSettings(read(file), file),
    ),
  ];
  for (const line of found) process.stdout.write(`${line}\n`);
  if (found.length > 0) process.exitCode = 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();

/** What `npm run check` finds in prose, with the line and what to write. */
import { describe, expect, test } from 'vitest';
import { checkCode, checkPage, checkSettings } from './plain-words.mjs';

const LONG = `${'word '.repeat(31).trim()}.`;

describe('a page', () => {
  test.each([
    ['Whoever asks gets it.', 'Whoever'],
    ['The AS vouches for it.', 'vouches'],
    ['The record is set aside.', 'set aside'],
    ['The device goes by the old keys.', 'goes by'],
    ['The hub judges it.', 'judges'],
  ])('says too little: %s', (text, word) => {
    expect(checkPage(`# Title\n\n${text}\n`, 'x.md')).toEqual([expect.stringContaining(`x.md:3: "${word}": `)]);
  });

  test('has a sentence that is too long, over line ends, in a list and in a table', () => {
    const [half, other] = [LONG.slice(0, 80).trim(), LONG.slice(80).trim()];
    const page = `Short.\n${half}\n${other}\n\n- ${LONG}\n- Short.\n\n| a | b |\n| - | - |\n| c | ${LONG} |\n`;
    expect(checkPage(page, 'x.md').map((line) => line.split(' ')[0])).toEqual(['x.md:2:', 'x.md:5:', 'x.md:10:']);
  });

  test('is plain: short sentences, and code that has its own words', () => {
    const page = `One. ${'word '.repeat(30)}. \`nobody\` is a user.\n\n\`\`\`sh\nsudo -u nobody ${LONG}\n\`\`\`\n\n- [x](src/judge-proof.md)\n`;
    expect(checkPage(page, 'x.md')).toEqual([]);
  });
});

describe('code', () => {
  test.each([
    ['// Nobody reads it.', true],
    [' * Nobody reads it.', true],
    ["const x = 'nobody reads it';", true],
    ['const x = 1; // nobody reads it', true],
    ["const NOBODY = 'nobody';", false],
    ['// `judge` of pop/judge-proof.ts', false],
    ['const verdict = judge(token);', false],
  ])('%s', (line, isFound) => {
    expect(checkCode(`\n${line}`, 'x.ts', true)).toHaveLength(isFound ? 1 : 0);
  });

  test('of a folder whose comments are not checked has its messages checked', () => {
    expect(checkCode("// nobody\nlog.warn('nobody reads it');", 'x.ts', false)).toEqual([
      expect.stringContaining('x.ts:2: "nobody": '),
    ]);
  });
});

test('settings have their comments checked', () => {
  expect(checkSettings('# whoever is on the way\nx = 1', 'x.toml')).toEqual([expect.stringContaining('x.toml:1: ')]);
});

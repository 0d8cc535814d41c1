import { expect, test } from 'vitest';
import { printable, printableText } from '../../src/core/printable.ts';

test.each([
  ['letters', 'grün блакитний 名', 'grün блакитний 名'],
  ['ASCII', 'plain ~ "text" \\', 'plain ~ "text" \\'],
  ['whole characters beyond the first plane', '🔑', '🔑'],
])('keeps %s', (_name, text, expected) => {
  expect(printable(text)).toBe(expected);
});

test.each([
  ['an escape sequence', '\u001b[31m', '\\u001b[31m'],
  ['an escape sequence in one character (C1)', '\u009b2J', '\\u009b2J'],
  ['a carriage return', 'a\rb', 'a\\u000db'],
  ['a line end', 'kid\nNothing is wrong.', 'kid\\u000aNothing is wrong.'],
  ['a line end of C1', 'a\u0085b', 'a\\u0085b'],
  ['a mark that turns the direction', 'a\u202eb\u2066c', 'a\\u202eb\\u2066c'],
  ['a zero width space and a byte order mark', '\u200b\ufeff', '\\u200b\\ufeff'],
  ['a tag character', '\u{e0041}', '\\udb40\\udc41'],
  ['line and paragraph separators', '\u2028\u2029', '\\u2028\\u2029'],
  ['half a character', 'a\ud800b', 'a\\ud800b'],
])('escapes %s', (_name, text, expected) => {
  expect(printable(text)).toBe(expected);
});

test('a whole text keeps its line ends, and nothing else', () => {
  expect(printableText('grün\nb\u2028c\rd\u001b[31m')).toBe('grün\nb\\u2028c\\u000dd\\u001b[31m');
});

test('leaves JSON as JSON, with the same meaning', () => {
  const value = { 'a\u202e': ['\u009b2J', '\u{e0041}', 'plain'] };
  const text = printableText(JSON.stringify(value, null, 2));
  expect(text).not.toMatch(/[\p{Cf}\u0080-\u009f]/u);
  expect(JSON.parse(text)).toEqual(value);
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseStrictJson, parseStrictJsonObject } from '../../src/codec/strict-json.ts';
import { utf8 } from '../../src/core/bytes.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { HOSTILE_JSON } from '../fixtures/hostile-text.ts';

describe('accepts', () => {
  test('what JSON.parse does, with the same answer', () => {
    const text = '{"a":[1,-0.5e3,true,null,"\\u00e9\\n",{"b":{}}],"":"empty name"}';
    expect(parseStrictJson(text)).toEqual(JSON.parse(text));
    expect(parseStrictJson(utf8(text))).toEqual(JSON.parse(text));
  });

  test('one name at several places', () => {
    expect(parseStrictJson('{"a":{"a":1},"b":[{"a":2},{"a":3}]}')).toEqual({ a: { a: 1 }, b: [{ a: 2 }, { a: 3 }] });
  });

  test('strings full of what has a meaning outside of strings', () => {
    const text = JSON.stringify({ a: '{"a":1,"a":2}', b: '\\', c: '"', d: '\\"', '{}[],:"\\': '::,,' });
    expect(parseStrictJson(text)).toEqual(JSON.parse(text));
  });

  test('an escaped surrogate pair', () => {
    expect(parseStrictJson('"\\ud83d\\ude00"')).toBe('😀');
  });

  test('depth up to the limit', () => {
    expect(codeOf(() => parseStrictJson('['.repeat(16) + ']'.repeat(16)))).toBe('none');
  });

  test('names that objects have by themselves', () => {
    const parsed = parseStrictJsonObject('{"constructor":1,"toString":2,"hasOwnProperty":3}');
    expect(Object.keys(parsed)).toEqual(['constructor', 'toString', 'hasOwnProperty']);
  });
});

describe('refuses', () => {
  test.each([
    ['a member twice', '{"a":1,"a":1}'],
    ['a member twice, once escaped', '{"a":1,"\\u0061":1}'],
    ['a member twice in an inner object', '[{"x":{"a":1,"b":2,"a":3}}]'],
    ['a name twice that is empty', '{"":1,"":2}'],
    ['a name twice that is a number', '{"1":1,"1":2}'],
    ['a member __proto__', '{"__proto__":1}'],
    ['a member __proto__, escaped', '{"\\u005f_proto__":{}}'],
    ['a member __proto__ inside', '{"a":[{"__proto__":null}]}'],
    ['half a surrogate pair in a value', '"\\ud800"'],
    ['half a surrogate pair in a name', '{"\\udc00":1}'],
    ['a surrogate pair the wrong way round', '"\\ude00\\ud83d"'],
    ['half a surrogate pair, not escaped', '"\ud800"'],
    ['a number past the largest', '1e309'],
    ['a number past the smallest', '[-1e999]'],
    ['17 levels', '['.repeat(17) + ']'.repeat(17)],
    ['1,100 elements', `[${'0,'.repeat(1_100)}0]`],
    ['a byte order mark', '\ufeff{}'],
    ['nothing', ''],
    ['a comment', '{}//'],
    ['a comma too many', '[1,]'],
    ['single quotes', "{'a':1}"],
    ['NaN', 'NaN'],
    ['a zero in front', '01'],
    ['a control character in a string', '"\n"'],
    ['two texts', '{}{}'],
  ])('%s', (_name, text) => {
    expect(codeOf(() => parseStrictJson(text))).toBe('json_invalid');
  });

  test.each([
    ['a byte that begins nothing', [0x22, 0xff, 0x22]],
    ['a longer form than needed', [0x22, 0xc0, 0xaf, 0x22]],
    ['a surrogate as UTF-8', [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ['a character cut short', [0x22, 0xe2, 0x82, 0x22]],
    ['UTF-16', [0x7b, 0x00, 0x7d, 0x00]],
    ['a byte order mark in front', [0xef, 0xbb, 0xbf, 0x7b, 0x7d]],
  ])('bytes: %s', (_name, bytes) => {
    expect(codeOf(() => parseStrictJson(new Uint8Array(bytes)))).toBe('json_invalid');
  });

  test('what is no object, where one is asked for', () => {
    for (const text of ['[]', 'null', '"a"', '1'])
      expect(codeOf(() => parseStrictJsonObject(text))).toBe('json_invalid');
  });

  test('with the code that the caller names', () => {
    expect(codeOf(() => parseStrictJson('{', { code: 'jwks_invalid' }))).toBe('jwks_invalid');
  });

  test.each(HOSTILE_JSON)('$name, or reads it as JSON.parse does', ({ text }) => {
    const code = codeOf(() => parseStrictJson(text));
    expect(['none', 'json_invalid']).toContain(code);
    if (code === 'none') expect(parseStrictJson(text)).toEqual(JSON.parse(text));
  });
});

test('a refusal quotes nothing of the text', () => {
  expect(() => parseStrictJson('{"token":"s3cret"')).toThrow(/^json_invalid: not JSON$/);
});

test('nothing reaches the prototype of objects', () => {
  codeOf(() => parseStrictJson('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}'));
  expect('polluted' in {}).toBe(false);
});

describe('for all texts', () => {
  test('what JSON.stringify writes comes back', () => {
    const values = fc.jsonValue({ maxDepth: 8 }).filter((value) => !JSON.stringify(value).includes('__proto__'));
    fc.assert(
      fc.property(values, (value) => {
        const text = JSON.stringify(value);
        expect(parseStrictJson(text, { maxItems: 10_000 })).toEqual(JSON.parse(text));
      }),
    );
  });

  test('a member doubled anywhere is refused', () => {
    const names = fc.string().filter((name) => name !== '__proto__');
    const objects = fc.uniqueArray(names, { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(objects, fc.nat(), (unique, at) => {
        const members = [...unique, unique[at % unique.length] ?? ''].map((name) => `${JSON.stringify(name)}:0`);
        expect(codeOf(() => parseStrictJson(`[{"x":{${members.join(', ')}}}]`))).toBe('json_invalid');
        expect(codeOf(() => parseStrictJson(`[{"x":{${members.slice(0, -1).join(', ')}}}]`))).toBe('none');
      }),
    );
  });

  test('any bytes are refused with the code, or read as JSON.parse reads them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        expect(['none', 'json_invalid']).toContain(codeOf(() => parseStrictJson(bytes)));
      }),
    );
  });
});

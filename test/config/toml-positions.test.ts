import fc from 'fast-check';
import { parse, stringify } from 'smol-toml';
import { describe, expect, test } from 'vitest';
import { TomlPositions } from '../../src/config/toml-positions.ts';

const DOCUMENT = `top = 1
"quoted key" = 'a # no comment'
dotted.name = """
[not.a.table]
x = "y" \\""" still inside"""
[table] # comment
list = [ 1, [2,
  3], { inner = 4, "other" = { deep = 5 } },
]
[[tables]]
a = 1
[tables.sub]
b = '''it's'''''
[[tables]]
a = 2
  [[tables.nested]]
  c = 1979-05-27T07:32:00Z
`;

describe('the position of a key', () => {
  const positions = new TomlPositions(DOCUMENT);

  test('is only looked for in a document that smol-toml accepts', () => {
    expect(parse(DOCUMENT)).toHaveProperty(['tables', 1, 'nested', 0, 'c']);
  });

  test.each([
    [['top'], { line: 1, column: 1 }],
    [['quoted key'], { line: 2, column: 1 }],
    [['dotted'], { line: 3, column: 1 }],
    [['dotted', 'name'], { line: 3, column: 1 }],
    [['table'], { line: 6, column: 1 }],
    [['table', 'list'], { line: 7, column: 1 }],
    [['table', 'list', 2, 'inner'], { line: 8, column: 9 }],
    [['table', 'list', 2, 'other', 'deep'], { line: 8, column: 32 }],
    [['tables'], { line: 10, column: 1 }],
    [['tables', 0, 'a'], { line: 11, column: 1 }],
    [['tables', 0, 'sub', 'b'], { line: 13, column: 1 }],
    [['tables', 1], { line: 14, column: 1 }],
    [['tables', 1, 'a'], { line: 15, column: 1 }],
    [['tables', 1, 'nested', 0, 'c'], { line: 17, column: 3 }],
  ])('%j is known', (path, expected) => {
    expect(positions.find(path)).toEqual(expected);
  });

  test('that stands nowhere is that of its table', () => {
    expect(positions.find(['tables', 1, 'missing'])).toEqual({ line: 14, column: 1 });
  });

  test('of nothing known is undefined', () => {
    expect(positions.find(['x'])).toBeUndefined();
  });
});

describe('every key of every document', () => {
  const name = fc.string({ minLength: 1, maxLength: 8 });
  const leaf = fc.oneof(fc.integer({ min: -9, max: 9 }), fc.string({ maxLength: 12 }), fc.boolean());
  const { table } = fc.letrec((tie) => ({
    table: fc.dictionary(
      name,
      fc.oneof(
        { maxDepth: 3 },
        leaf,
        fc.array(leaf, { maxLength: 3 }),
        tie('table'),
        fc.array(tie('table'), { maxLength: 3 }),
      ),
      { maxKeys: 4 },
    ),
  }));

  function paths(value: unknown, path: (string | number)[] = []): (string | number)[][] {
    if (typeof value !== 'object' || value === null) return [path];
    return Object.entries(value).flatMap(([key, item]) =>
      paths(item, [...path, Array.isArray(value) ? Number(key) : key]),
    );
  }

  test('is found on a line that exists', () => {
    fc.assert(
      fc.property(table, (document) => {
        const text = stringify(document as Record<string, unknown>);
        const positions = new TomlPositions(text);
        const lines = text.split('\n').length;
        for (const path of paths(document)) {
          if (path.length === 0) continue;
          const position = positions.find(path);
          expect(position?.line).toBeGreaterThan(0);
          expect(position?.line).toBeLessThanOrEqual(lines);
        }
      }),
      { numRuns: 200 },
    );
  });
});

import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { CATALOGUE, type ErrorCode, type ErrorEntry } from '../src/core/error-catalogue.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const entries = Object.entries(CATALOGUE) as [ErrorCode, ErrorEntry][];

/** docs/errors.md, in the order of the codes. `npm run generate` writes it. */
function reference(): string {
  const sections = [...entries]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([code, { title, cause, fix, status, coap }]) =>
        `## ${code}\n\n${title}.\n\n- Likely cause: ${cause}\n- What to do: ${fix}\n- HTTP ${status}, CoAP ${coap}\n`,
    );
  return [
    '# Errors\n',
    'Every error that Latchkey reports has one of these codes: in the `code` of problem details (RFC 9457), in the log, and',
    'behind the message of a command. Codes stay; words may change. A peer on a device link sees the CoAP code only.',
    'A running hub serves each section at `/errors/` and the code, where `type` of a problem points.\n',
    ...sections,
  ].join('\n');
}

/** The text of all sources except the catalogue itself. */
function sources(): string {
  const files = ['src', 'drivers'].flatMap((folder) =>
    readdirSync(`${root}/${folder}`, { recursive: true, encoding: 'utf8' }).map((file) => `${root}/${folder}/${file}`),
  );
  return files
    .filter((file) => file.endsWith('.ts') && !file.endsWith('error-catalogue.ts'))
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n');
}

test('docs/errors.md is the catalogue', async () => {
  await expect(reference()).toMatchFileSnapshot('../docs/errors.md');
});

describe('every code', () => {
  const text = sources();

  test.each(entries.map(([code]) => code))('%s is reported somewhere', (code) => {
    expect(text.includes(`'${code}'`)).toBe(true);
  });

  test.each(entries)('%s helps: all its texts are sentences', (_, { title, cause, fix }) => {
    expect(title).toMatch(/^[A-Z].*[^.]$/);
    expect(cause).toMatch(/^\S.{8,}[.)]$/);
    expect(fix).toMatch(/^\S.{8,}[.)]$/);
  });

  test.each(entries)('%s has statuses that exist', (_, { status, coap }) => {
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(600);
    expect(coap).toMatch(/^[45]\.\d\d$/);
    // Both say whose fault it is; a device is never told of a fault of the hub as its own.
    if (status < 500 && status !== 410) expect(coap[0]).toBe('4');
  });
});

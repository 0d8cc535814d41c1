import { expect, test } from 'vitest';
import { nearest } from '../../src/config/nearest.ts';

const KNOWN = ['listen', 'public_url', 'behind_proxy', 'tls_key_file', 'tls_cert_file'];

test.each([
  ['listn', 'listen'],
  ['lsiten', 'listen'],
  ['LISTEN', 'listen'],
  ['public-url', 'public_url'],
  ['tls_keyfile', 'tls_key_file'],
])('%s is near to %s', (written, meant) => {
  expect(nearest(written, KNOWN)).toBe(meant);
});

test('a word that is near to none has no nearest', () => {
  expect(nearest('colour', KNOWN)).toBeUndefined();
});

test('a word of a megabyte is judged by its beginning', () => {
  expect(nearest('x'.repeat(1_000_000), KNOWN)).toBeUndefined();
});

import { expect, test } from 'vitest';
import { ProofKeys } from '../../src/pop/proof-keys.ts';
import { makeClient } from './proof-rig.ts';

const client = makeClient();

test('a header is read once, and another one anew', () => {
  const keys = new ProofKeys();
  let reads = 0;
  const read = () => {
    reads += 1;
    return keys.find(client.publicJwk);
  };
  const first = keys.ofHeader('a header', read);
  expect(keys.ofHeader('a header', read)).toBe(first);
  expect(reads).toBe(1);
  keys.ofHeader('another header', read);
  expect(reads).toBe(2);
});

test('a header that is refused is judged again, and so is one that is too long to keep', () => {
  const keys = new ProofKeys();
  const refuse = () => {
    throw new Error('refused');
  };
  expect(() => keys.ofHeader('a header', refuse)).toThrow('refused');
  expect(keys.ofHeader('a header', () => keys.find(client.publicJwk)).thumbprint).toBe(client.thumbprint);
  const long = 'x'.repeat(513);
  keys.ofHeader(long, () => keys.find(client.publicJwk));
  expect(() => keys.ofHeader(long, refuse)).toThrow('refused');
});

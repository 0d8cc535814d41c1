import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeCbor } from '../../src/codec/cbor.ts';
import { fromUtf8 } from '../../src/core/bytes.ts';
import { isCoded } from '../../src/core/errors.ts';
import { encodeScope, narrowScope } from '../../src/token/scope.ts';
import { codeOf } from '../fixtures/code-of.ts';

test('keeps what the device knows, in the order of the issuer, each once', () => {
  expect(narrowScope(['write', 'openid', 'read', 'write'], ['read', 'write', 'reset'])).toEqual(['write', 'read']);
});

test('refuses a token of whose scopes the device knows none', () => {
  expect(codeOf(() => narrowScope(['openid'], ['read']))).toBe('scope_empty');
});

test('refuses a token without scope', () => {
  expect(codeOf(() => narrowScope([], ['read']))).toBe('scope_empty');
});

test('never leaves a scope that the token lacks or the device does not know', () => {
  const names = fc.array(fc.constantFrom<string>('a', 'b', 'c', 'd', '__proto__', 'constructor'));
  fc.assert(
    fc.property(names, names, (scope, known) => {
      try {
        const narrowed = narrowScope(scope, known);
        expect(narrowed.every((name) => scope.includes(name) && known.includes(name))).toBe(true);
        expect(new Set(narrowed).size).toBe(narrowed.length);
      } catch (error) {
        if (!isCoded(error, 'scope_empty')) throw error;
        expect(scope.some((name) => known.includes(name))).toBe(false);
      }
    }),
  );
});

const none = { permissions: {} };

test('writes text with single spaces', () => {
  expect(encodeScope(['read', 'write'], { scopeForm: 'text', ...none })).toBe('read write');
});

test('writes the same as bytes', () => {
  const scope = encodeScope(['read', 'write'], { scopeForm: 'bytes', ...none });
  expect(scope).toBeInstanceOf(Uint8Array);
  expect(fromUtf8(scope as Uint8Array)).toBe('read write');
});

test('writes AIF with what several scopes permit on one path put together', () => {
  const permissions = {
    read: [
      ['temperature', 1],
      ['log', 1],
    ],
    write: [['temperature', 4]],
  } as const;
  const scope = encodeScope(['read', 'write'], { scopeForm: 'aif', permissions });
  expect(decodeCbor(scope as Uint8Array)).toEqual([
    ['temperature', 5],
    ['log', 1],
  ]);
});

test('refuses AIF for scopes that permit nothing', () => {
  expect(codeOf(() => encodeScope(['read'], { scopeForm: 'aif', ...none }))).toBe('scope_empty');
});

test('finds no permissions in what every object inherits', () => {
  expect(codeOf(() => encodeScope(['constructor'], { scopeForm: 'aif', ...none }))).toBe('scope_empty');
});

import { expect, test } from 'vitest';
import { codeOfFailure } from '../../../drivers/as/failures.ts';

const failure = (code: string) => Object.assign(new Error('connect'), { code });

test.each(['EMFILE', 'ENFILE'])('a hub without descriptors (%s) does not blame the authorization server', (code) => {
  expect(codeOfFailure(new TypeError('fetch failed', { cause: failure(code) }))).toBe('descriptors_exhausted');
});

test('a server that refuses connections is unreachable', () => {
  expect(codeOfFailure(failure('ECONNREFUSED'))).toBe('as_unreachable');
});

import { describe, expect, test } from 'vitest';
import { encodeCbor } from '../../src/codec/cbor.ts';
import { makeConciseProblem, readConciseProblem } from '../../src/codec/concise-problem.ts';
import { hex, utf8 } from '../../src/core/bytes.ts';
import { LatchkeyError } from '../../src/core/errors.ts';

const URI = 'urn:latchkey:error';

test('a problem has the CoAP code, our code and the id of the request (RFC 9290)', () => {
  const problem = makeConciseProblem(new LatchkeyError('as_unreachable', 'canary'), 'r-1');
  // {-4: 163, "urn:latchkey:error": {"id": "r-1", "code": "as_unreachable"}}
  expect(hex(problem)).toBe(
    `a22318a372${hex(utf8(URI))}a2626964${'63'}${hex(utf8('r-1'))}64${hex(utf8('code'))}6e${hex(utf8('as_unreachable'))}`,
  );
  expect(readConciseProblem(problem)).toBe('as_unreachable');
});

describe('no code is read', () => {
  test.each([
    ['from what is no CBOR', utf8('nothing')],
    ['from what is no map', encodeCbor([1])],
    ['from a problem of somebody else', encodeCbor(new Map([[-4, 163]]))],
    ['where our entry is no map', encodeCbor(new Map([[URI, 1]]))],
    ['where the code is no text', encodeCbor(new Map([[URI, new Map([['code', 1]])]]))],
    ['where the code is not in the catalogue', encodeCbor(new Map([[URI, new Map([['code', 'toString']])]]))],
  ])('%s', (_, bytes) => {
    expect(readConciseProblem(bytes)).toBeUndefined();
  });
});

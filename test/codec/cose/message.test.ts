import { createSecretKey, generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type CborKey,
  type CborMap,
  type CborValue,
  cborTag,
  decodeCbor,
  encodeCbor,
} from '../../../src/codec/cbor.ts';
import { kindOf } from '../../../src/codec/cose/algorithm.ts';
import { readCose, toBeProtected } from '../../../src/codec/cose/message.ts';
import { COSE_ALGORITHM } from '../../../src/codec/iana.ts';
import { EMPTY, hex, utf8 } from '../../../src/core/bytes.ts';
import { WRAP_ALGORITHMS, type WrapAlgorithm } from '../../../src/core/device-profile.ts';
import { isCoded } from '../../../src/core/errors.ts';
import { codeOf } from '../../fixtures/code-of.ts';
import { KEY, VERIFYING_KEY, withoutKeyId } from '../../fixtures/cose-keys.ts';
import { items, make, makeAnyway, open } from './messages.ts';

const PAYLOAD = utf8('The payload of a test');
const TAG = { sign1: 18, mac0: 17, encrypt0: 16 } as const;
const LENGTH = { sign1: 4, mac0: 4, encrypt0: 3 } as const;

const STRANGER_ES256 = {
  ...VERIFYING_KEY.ES256,
  key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey,
};
const STRANGER_ED25519 = { ...VERIFYING_KEY.EdDSA, key: generateKeyPairSync('ed25519').publicKey };

/** Another key for the same algorithm. */
function strangersKey(algorithm: WrapAlgorithm) {
  const key = VERIFYING_KEY[algorithm];
  if (algorithm === 'ES256') return STRANGER_ES256;
  if (algorithm === 'EdDSA') return STRANGER_ED25519;
  return { ...key, key: createSecretKey(new Uint8Array(kindOf(algorithm) === 'mac0' ? 32 : 16).fill(9)) };
}

for (const algorithm of WRAP_ALGORITHMS) {
  const kind = kindOf(algorithm);
  const key = VERIFYING_KEY[algorithm];
  const alg = COSE_ALGORITHM[algorithm];
  const bare = encodeCbor(new Map([[1, alg]]));
  const header = (...entries: readonly (readonly [CborKey, CborValue])[]): CborMap => new Map([[1, alg], ...entries]);
  const attempt = (bytes: Uint8Array) => codeOf(() => open(algorithm, bytes, { key }));

  describe(`COSE with ${algorithm}`, () => {
    it('opens what was made, with its headers', () => {
      const bytes = make(algorithm, PAYLOAD, {
        protectedHeader: new Map([[3, 60]]),
        unprotectedHeader: new Map([[-70000, 'anything']]),
        externalAad: utf8('context'),
      });
      const opened = open(algorithm, bytes, { key, externalAad: utf8('context') });
      expect(opened.payload).toEqual(PAYLOAD);
      expect(opened.protectedHeader).toEqual(header([3, 60]));
      expect(opened.unprotectedHeader.get(4)).toEqual(KEY[algorithm].keyId);
      expect(opened.unprotectedHeader.get(-70000)).toBe('anything');
    });

    it('round-trips any payload and any external_aad', () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 600 }), fc.uint8Array({ maxLength: 300 }), (payload, externalAad) => {
          const bytes = make(algorithm, payload, { externalAad });
          expect(open(algorithm, bytes, { key, externalAad }).payload).toEqual(payload);
        }),
        { numRuns: 30 },
      );
    });

    it('is deterministic CBOR', () => {
      const bytes = make(algorithm, PAYLOAD, { unprotectedHeader: new Map([[-70000, 1]]) });
      expect(encodeCbor(decodeCbor(bytes))).toEqual(bytes);
    });

    it('carries kid and alg where they belong, and reads as its kind without a key', () => {
      const read = readCose(make(algorithm, PAYLOAD));
      expect(read.kind).toBe(kind);
      expect(read.protectedHeader).toEqual(header());
      expect(read.unprotectedHeader.get(4)).toEqual(KEY[algorithm].keyId);
    });

    it('leaves kid out for a key that has none', () => {
      expect(readCose(make(algorithm, PAYLOAD, { key: withoutKeyId(KEY[algorithm]) })).unprotectedHeader.has(4)).toBe(
        false,
      );
    });

    it('opens without its tag, since the caller says the kind', () => {
      expect(open(algorithm, make(algorithm, PAYLOAD, { tagged: false }), { key }).payload).toEqual(PAYLOAD);
    });

    it('finds the key by kid', () => {
      const asked: (Uint8Array | undefined)[] = [];
      const find = (keyId: Uint8Array | undefined) => {
        asked.push(keyId);
        return key;
      };
      expect(open(algorithm, make(algorithm, PAYLOAD), { key: find }).payload).toEqual(PAYLOAD);
      expect(asked).toEqual([KEY[algorithm].keyId]);
    });

    it('accepts a crit that names headers which are understood', () => {
      const bytes = makeAnyway(algorithm, encodeCbor(header([2, [1, 3]], [3, 60])), new Map());
      expect(open(algorithm, bytes, { key }).protectedHeader.get(3)).toBe(60);
    });
  });

  describe(`COSE with ${algorithm} refuses`, () => {
    it('a kid that names no key', () => {
      expect(codeOf(() => open(algorithm, make(algorithm, PAYLOAD), { key: () => undefined }))).toBe(
        'cose_key_unknown',
      );
    });

    it('a message by another key', () => {
      const stranger = strangersKey(algorithm);
      expect(codeOf(() => open(algorithm, make(algorithm, PAYLOAD), { key: stranger }))).toBe(
        'cose_verification_failed',
      );
    });

    it('another external_aad', () => {
      const bytes = make(algorithm, PAYLOAD, { externalAad: utf8('one') });
      expect(codeOf(() => open(algorithm, bytes, { key, externalAad: utf8('two') }))).toBe('cose_verification_failed');
      expect(attempt(bytes)).toBe('cose_verification_failed');
    });

    for (const other of WRAP_ALGORITHMS.filter((name) => name !== algorithm)) {
      it(`a key for ${other}`, () => {
        const bytes = make(algorithm, PAYLOAD);
        expect(codeOf(() => open(algorithm, bytes, { key: VERIFYING_KEY[other] }))).toBe('cose_algorithm_refused');
      });
    }

    for (const [other, tag] of Object.entries(TAG).filter(([name]) => name !== kind)) {
      it(`the tag of ${other}`, () => {
        expect(attempt(encodeCbor(cborTag(tag, items(make(algorithm, PAYLOAD)).array)))).toBe('cose_invalid');
      });
    }

    it('the CWT tag and a tag inside its tag', () => {
      const { tag, array } = items(make(algorithm, PAYLOAD));
      expect(attempt(encodeCbor(cborTag(61, cborTag(tag, array))))).toBe('cose_invalid');
      expect(attempt(encodeCbor(cborTag(tag, cborTag(tag, array))))).toBe('cose_invalid');
    });

    it('a tag that COSE does not have', () => {
      const bytes = make(algorithm, PAYLOAD, { tagged: false });
      expect(attempt(Uint8Array.of(0xd8, 98, ...bytes))).toBe('cbor_invalid');
    });

    for (const length of [0, 1, 2, 3, 4, 5].filter((count) => count !== LENGTH[kind])) {
      it(`an array of ${length}`, () => {
        const { tag, array } = items(make(algorithm, PAYLOAD));
        const other = [...array, EMPTY, EMPTY, EMPTY].slice(0, length);
        expect(attempt(encodeCbor(cborTag(tag, other)))).toBe('cose_invalid');
      });
    }

    for (const [position, part] of ['protected header', 'unprotected header', 'content', 'proof']
      .slice(0, LENGTH[kind])
      .entries()) {
      for (const [name, value] of [
        ['null', null],
        ['text', 'a'],
        ['an integer', 0],
        ['an array', []],
      ] as const) {
        it(`${name} as ${part}`, () => {
          const { tag, array } = items(make(algorithm, PAYLOAD));
          expect(attempt(encodeCbor(cborTag(tag, array.with(position, value))))).toBe('cose_invalid');
        });
      }
    }

    it('something that is no array', () => {
      expect(attempt(encodeCbor(cborTag(TAG[kind], new Map())))).toBe('cose_invalid');
      expect(attempt(encodeCbor(0))).toBe('cose_invalid');
    });

    it('a protected header that is no map', () => {
      expect(attempt(makeAnyway(algorithm, encodeCbor([1, alg]), new Map()))).toBe('cose_invalid');
    });

    it('a protected header that is not CBOR', () => {
      expect(attempt(makeAnyway(algorithm, Uint8Array.of(0xff), new Map()))).toBe('cbor_invalid');
    });

    it('a protected header with bytes after its map', () => {
      expect(attempt(makeAnyway(algorithm, Uint8Array.of(...bare, 0), new Map()))).toBe('cbor_invalid');
    });

    it('a protected header with a label twice', () => {
      const twice = Uint8Array.of(0xa2, ...bare.subarray(1), ...bare.subarray(1));
      expect(attempt(makeAnyway(algorithm, twice, new Map()))).toBe('cbor_invalid');
    });

    it('alg in the unprotected header only', () => {
      expect(attempt(makeAnyway(algorithm, EMPTY, header()))).toBe('cose_algorithm_refused');
      expect(attempt(makeAnyway(algorithm, encodeCbor(new Map()), header()))).toBe('cose_algorithm_refused');
    });

    it('no alg at all', () => {
      expect(attempt(makeAnyway(algorithm, EMPTY, new Map()))).toBe('cose_algorithm_refused');
    });

    it('an unknown alg', () => {
      expect(attempt(makeAnyway(algorithm, encodeCbor(new Map([[1, -65535]])), new Map()))).toBe(
        'cose_algorithm_refused',
      );
    });

    it('an alg that is no label', () => {
      expect(attempt(makeAnyway(algorithm, encodeCbor(new Map<number, CborValue>([[1, [alg]]])), new Map()))).toBe(
        'cose_algorithm_refused',
      );
    });

    it('the name of the alg in place of its number', () => {
      expect(attempt(makeAnyway(algorithm, encodeCbor(new Map([[1, algorithm]])), new Map()))).toBe(
        'cose_algorithm_refused',
      );
    });

    it('a label in both headers', () => {
      const bytes = makeAnyway(algorithm, encodeCbor(header([3, 60])), new Map([[3, 60]]));
      expect(attempt(bytes)).toBe('cose_invalid');
    });

    it('alg in both headers', () => {
      expect(attempt(makeAnyway(algorithm, bare, header()))).toBe('cose_invalid');
    });

    it('a crit that names an unknown label', () => {
      const bytes = makeAnyway(algorithm, encodeCbor(header([2, [-70000]], [-70000, 1])), new Map());
      expect(attempt(bytes)).toBe('cose_critical_unknown');
    });

    it('a crit that names an unknown text label', () => {
      expect(attempt(makeAnyway(algorithm, encodeCbor(header([2, ['b64']], ['b64', false])), new Map()))).toBe(
        'cose_critical_unknown',
      );
    });

    it('an empty crit', () => {
      expect(attempt(makeAnyway(algorithm, encodeCbor(header([2, []])), new Map()))).toBe('cose_invalid');
    });

    it('a crit that is no array', () => {
      expect(attempt(makeAnyway(algorithm, encodeCbor(header([2, 1])), new Map()))).toBe('cose_invalid');
    });

    it('a crit with something that is no label', () => {
      expect(attempt(makeAnyway(algorithm, encodeCbor(header([2, [null]])), new Map()))).toBe('cose_invalid');
    });

    it('a crit that names a label which is not protected', () => {
      expect(attempt(makeAnyway(algorithm, encodeCbor(header([2, [3]])), new Map([[3, 60]])))).toBe('cose_invalid');
    });

    it('a crit in the unprotected header', () => {
      expect(attempt(makeAnyway(algorithm, bare, new Map([[2, [1]]])))).toBe('cose_invalid');
    });

    it('a kid that is no byte string', () => {
      expect(attempt(makeAnyway(algorithm, bare, new Map([[4, 'kid']])))).toBe('cose_invalid');
    });

    it('a content type below zero', () => {
      expect(attempt(makeAnyway(algorithm, encodeCbor(header([3, -1])), new Map()))).toBe('cose_invalid');
    });

    it('a Partial IV', () => {
      expect(attempt(makeAnyway(algorithm, bare, new Map([[6, Uint8Array.of(1)]])))).toBe('cose_invalid');
    });

    it('every single bit that is changed, outside the unprotected header', () => {
      // Anonymous, so that all but the nonce of an Encrypt0 is protected: the kid of the others is a hint by design.
      const bytes = make(algorithm, PAYLOAD, { key: withoutKeyId(KEY[algorithm]) });
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const flipped = Uint8Array.from(bytes);
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(attempt(flipped), `bit ${bit}`).toMatch(/^(cose|cbor)_/);
      }
    });

    it('every message that is cut short', () => {
      const bytes = make(algorithm, PAYLOAD);
      for (let length = 0; length < bytes.length; length++) {
        expect(attempt(bytes.subarray(0, length)), `${length} bytes`).toBe('cbor_invalid');
      }
    });

    it('to be made with a key of another kind', () => {
      const other = WRAP_ALGORITHMS.find((name) => kindOf(name) !== kind) ?? algorithm;
      expect(codeOf(() => make(algorithm, PAYLOAD, { key: KEY[other] }))).toBe('cose_algorithm_refused');
    });

    it('random bytes, always with a code', () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
          try {
            open(algorithm, bytes, { key });
          } catch (error) {
            expect(isCoded(error)).toBe(true);
            return;
          }
          expect.unreachable('random bytes opened');
        }),
      );
    });
  });
}

describe('readCose refuses', () => {
  it('a message without a tag: nothing says its kind', () => {
    expect(codeOf(() => readCose(make('ES256', PAYLOAD, { tagged: false })))).toBe('cose_invalid');
  });
});

describe('the structures that are signed, MACed or authenticated', () => {
  it('equal the ones of the general encoder, at every length of a head', () => {
    const context = { sign1: 'Signature1', mac0: 'MAC0', encrypt0: 'Encrypt0' } as const;
    for (const length of [0, 23, 24, 255, 256, 65_535, 65_536]) {
      const bytes = new Uint8Array(length).fill(7);
      for (const kind of ['sign1', 'mac0'] as const) {
        const expected = encodeCbor([context[kind], bytes, bytes, bytes]);
        expect(hex(toBeProtected(kind, bytes, bytes, bytes)) === hex(expected)).toBe(true);
      }
      expect(hex(toBeProtected('encrypt0', bytes, bytes)) === hex(encodeCbor(['Encrypt0', bytes, bytes]))).toBe(true);
    }
  });
});

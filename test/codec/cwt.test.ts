import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cborTag, decodeCbor, encodeCbor } from '../../src/codec/cbor.ts';
import { makeEncrypt0 } from '../../src/codec/cose/encrypt0.ts';
import { coseKeyFromJwk } from '../../src/codec/cose/key.ts';
import { makeMac0 } from '../../src/codec/cose/mac0.ts';
import { makeSign1 } from '../../src/codec/cose/sign1.ts';
import { type CwtClaims, encodeClaims, type MakeCwtOptions, makeCwt, openCwt } from '../../src/codec/cwt.ts';
import { hex, utf8 } from '../../src/core/bytes.ts';
import { WRAPS, type Wrap, type WrapAlgorithm } from '../../src/core/device-profile.ts';
import { isCoded } from '../../src/core/errors.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { KEY, publicJwk, testNonce, VERIFYING_KEY, withoutKeyId } from '../fixtures/cose-keys.ts';

const CLAIMS: CwtClaims = {
  audience: 'tube-1',
  expiresAt: 1_700_003_600,
  issuedAt: 1_700_000_000,
  cwtId: Uint8Array.of(1, 2, 3, 4),
  scope: 'read',
  confirmation: { method: 'COSE_Key', key: coseKeyFromJwk(publicJwk('ES256')) },
};
const KEYS = Object.values(VERIFYING_KEY);

interface Wrapping {
  readonly wrap: Wrap;
  readonly authentication?: WrapAlgorithm;
  readonly encryption?: WrapAlgorithm;
}

const SIGNATURES = ['ES256', 'EdDSA'] as const;
const MACS = ['HMAC 256/64', 'HMAC 256/256'] as const;
const CIPHERS = ['AES-CCM-16-64-128', 'A128GCM'] as const;

/** Every wrap with every algorithm that it can have. */
const WRAPPINGS: readonly Wrapping[] = [
  ...SIGNATURES.map((authentication): Wrapping => ({ wrap: 'sign1', authentication })),
  ...MACS.map((authentication): Wrapping => ({ wrap: 'mac0', authentication })),
  ...CIPHERS.map((encryption): Wrapping => ({ wrap: 'encrypt0', encryption })),
  ...SIGNATURES.flatMap((authentication) =>
    CIPHERS.map((encryption): Wrapping => ({ wrap: 'sign1+encrypt0', authentication, encryption })),
  ),
  ...MACS.flatMap((authentication) =>
    CIPHERS.map((encryption): Wrapping => ({ wrap: 'mac0+encrypt0', authentication, encryption })),
  ),
];

function options({ wrap, authentication, encryption }: Wrapping, cwtTag = false): MakeCwtOptions {
  return {
    wrap,
    keys: {
      ...(authentication === undefined ? {} : { authentication: KEY[authentication] }),
      ...(encryption === undefined ? {} : { encryption: KEY[encryption] }),
    },
    cwtTag,
    nonce: () => testNonce(encryption ?? 'A128GCM'),
  };
}

/** The same keys without a kid: then every byte of the token is protected. */
function anonymous(wrapping: Wrapping): MakeCwtOptions {
  const { keys, ...rest } = options(wrapping);
  return {
    ...rest,
    keys: Object.fromEntries(Object.entries(keys).map(([name, key]) => [name, withoutKeyId(key)])),
  };
}

for (const wrapping of WRAPPINGS) {
  const { wrap } = wrapping;
  const algorithms = [wrapping.authentication, wrapping.encryption].filter((name) => name !== undefined);

  describe(`a CWT as ${wrap} with ${algorithms.join(' in ')}`, () => {
    for (const cwtTag of [false, true]) {
      it(`round-trips ${cwtTag ? 'with' : 'without'} tag 61`, () => {
        const cwt = makeCwt(CLAIMS, options(wrapping, cwtTag));
        expect(hex(cwt).startsWith('d83d')).toBe(cwtTag);
        const opened = openCwt(cwt, { keys: KEYS, expected: wrap });
        expect(opened.claims).toMatchObject(CLAIMS);
        expect(opened.wrap).toBe(wrap);
        expect(opened.kids).toEqual(algorithms.toReversed().map((name) => KEY[name].keyId));
      });
    }

    it('opens with keys that have no kid', () => {
      const cwt = makeCwt(CLAIMS, anonymous(wrapping));
      expect(openCwt(cwt, { keys: KEYS.map(withoutKeyId) }).claims).toMatchObject(CLAIMS);
    });

    it('is refused with every single bit changed', () => {
      const cwt = makeCwt(CLAIMS, anonymous(wrapping));
      for (let bit = 0; bit < cwt.length * 8; bit++) {
        const flipped = Uint8Array.from(cwt);
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(
          codeOf(() => openCwt(flipped, { keys: KEYS, expected: wrap })),
          `bit ${bit}`,
        ).toMatch(/^(cose|cbor|cwt)_/);
      }
    });

    it('is refused with a byte of its kid changed: the kid is not protected, and then names no key', () => {
      const cwt = makeCwt(CLAIMS, options(wrapping));
      const kid = KEY[algorithms.at(-1) ?? 'ES256'].keyId ?? new Uint8Array(0);
      const at = Buffer.from(cwt).indexOf(kid);
      const flipped = Uint8Array.from(cwt);
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      expect(codeOf(() => openCwt(flipped, { keys: KEYS, expected: wrap }))).toBe('cose_key_unknown');
    });

    it('is refused at every length but its own', () => {
      const cwt = makeCwt(CLAIMS, options(wrapping));
      for (let length = 0; length < cwt.length; length++) {
        const code = codeOf(() => openCwt(cwt.subarray(0, length), { keys: KEYS, expected: wrap }));
        expect(code, `${length} bytes`).toBe('cbor_invalid');
      }
      expect(codeOf(() => openCwt(Uint8Array.of(...cwt, 0), { keys: KEYS }))).toBe('cbor_invalid');
    });

    it('is refused without its keys', () => {
      const cwt = makeCwt(CLAIMS, options(wrapping));
      expect(codeOf(() => openCwt(cwt, { keys: [] }))).toBe('cose_key_unknown');
      for (const missing of algorithms) {
        const others = KEYS.filter(({ algorithm }) => algorithm !== missing);
        expect(codeOf(() => openCwt(cwt, { keys: others }))).toBe('cose_key_unknown');
      }
    });

    for (const expected of WRAPS.filter((other) => other !== wrap)) {
      it(`is refused where ${expected} is expected`, () => {
        expect(codeOf(() => openCwt(makeCwt(CLAIMS, options(wrapping)), { keys: KEYS, expected }))).toBe('cwt_invalid');
      });
    }
  });
}

describe('a CWT is refused', () => {
  const payload = encodeClaims(CLAIMS);
  const sign1 = makeSign1({ payload, key: KEY.ES256 });
  const encrypt = (plaintext: Uint8Array) => makeEncrypt0({ plaintext, key: KEY.A128GCM, nonce: testNonce('A128GCM') });
  const attempt = (bytes: Uint8Array) => codeOf(() => openCwt(bytes, { keys: KEYS }));

  it('without a COSE tag', () => {
    expect(attempt(makeSign1({ payload, key: KEY.ES256, tagged: false }))).toBe('cose_invalid');
  });

  it('with bare claims', () => {
    expect(attempt(payload)).toBe('cose_invalid');
    expect(attempt(encodeCbor(cborTag(61, decodeCbor(payload))))).toBe('cose_invalid');
  });

  it('with tag 61 twice', () => {
    expect(attempt(Uint8Array.of(0xd8, 61, 0xd8, 61, ...sign1))).toBe('cose_invalid');
  });

  it('with tag 61 inside a COSE tag', () => {
    expect(attempt(Uint8Array.of(0xd2, 0xd8, 61, ...sign1.subarray(1)))).toBe('cose_invalid');
  });

  it('encrypted twice', () => {
    expect(attempt(encrypt(encrypt(payload)))).toBe('cwt_invalid');
  });

  it('with three layers', () => {
    expect(attempt(encrypt(encrypt(sign1)))).toBe('cwt_invalid');
  });

  it('encrypted with tag 61 inside', () => {
    expect(attempt(encrypt(Uint8Array.of(0xd8, 61, ...sign1)))).toBe('cose_invalid');
  });

  it('with a signature over an encryption', () => {
    expect(attempt(makeSign1({ payload: encrypt(payload), key: KEY.ES256 }))).toBe('cwt_invalid');
  });

  it('with a signature over a signature', () => {
    expect(attempt(makeSign1({ payload: sign1, key: KEY.ES256 }))).toBe('cwt_invalid');
  });

  it('with a MAC over a signature', () => {
    expect(attempt(makeMac0({ payload: sign1, key: KEY['HMAC 256/64'] }))).toBe('cwt_invalid');
  });

  it('with claims that are no map', () => {
    expect(attempt(makeSign1({ payload: encodeCbor([]), key: KEY.ES256 }))).toBe('cwt_invalid');
  });

  it('with claims that are not CBOR', () => {
    expect(attempt(makeSign1({ payload: utf8('{"exp":1}'), key: KEY.ES256 }))).toBe('cbor_invalid');
  });

  it('by a key whose kid belongs to another algorithm', () => {
    const cwt = makeSign1({ payload, key: { ...KEY.ES256, keyId: KEY.EdDSA.keyId } });
    expect(attempt(cwt)).toBe('cose_algorithm_refused');
  });

  it('under the kid of another key of the same algorithm', () => {
    const stranger = { ...KEY['HMAC 256/64'], key: KEY.A128GCM.key };
    expect(codeOf(() => openCwt(makeMac0({ payload, key: stranger }), { keys: KEYS }))).toBe(
      'cose_verification_failed',
    );
  });

  it('to be made without the keys of its wrap', () => {
    for (const wrap of WRAPS) {
      expect(codeOf(() => makeCwt(CLAIMS, { ...options({ wrap }), keys: {} }))).toBe('profile_invalid');
    }
  });

  it('to be made with a MAC key as sign1', () => {
    const made = () => makeCwt(CLAIMS, options({ wrap: 'sign1', authentication: 'HMAC 256/64' }));
    expect(codeOf(made)).toBe('profile_invalid');
  });

  it('to be encrypted with a nonce of another size', () => {
    const made = () =>
      makeCwt(CLAIMS, { ...options({ wrap: 'encrypt0', encryption: 'A128GCM' }), nonce: () => new Uint8Array(13) });
    expect(codeOf(made)).toBe('cose_invalid');
  });

  it('as random bytes, always with a code', () => {
    const start = fc.constantFrom(
      [],
      [0xd2],
      [0xd1, 0x84],
      [0xd0, 0x83],
      [0xd8, 0x3d, 0xd2, 0x84, 0x43, 0xa1, 0x01, 0x26],
    );
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 80 }), (head, bytes) => {
        try {
          openCwt(Uint8Array.of(...head, ...bytes), { keys: KEYS });
        } catch (error) {
          expect(isCoded(error)).toBe(true);
          return;
        }
        expect.unreachable('random bytes opened');
      }),
      { numRuns: 500 },
    );
  });
});

describe('among several keys', () => {
  it('the second of two without a kid is found', () => {
    const other = { ...KEY['HMAC 256/64'], keyId: undefined, key: KEY.A128GCM.key };
    const cwt = makeCwt(CLAIMS, anonymous({ wrap: 'mac0', authentication: 'HMAC 256/64' }));
    expect(openCwt(cwt, { keys: [other, KEY['HMAC 256/64']] }).wrap).toBe('mac0');
  });

  it('the inner layer says the same with and without the outer one', () => {
    const inner = makeCwt(CLAIMS, options({ wrap: 'mac0', authentication: 'HMAC 256/64' }));
    const outer = makeCwt(
      CLAIMS,
      options({ wrap: 'mac0+encrypt0', authentication: 'HMAC 256/64', encryption: 'A128GCM' }),
    );
    expect(openCwt(inner, { keys: KEYS }).claims).toEqual(openCwt(outer, { keys: KEYS }).claims);
  });
});

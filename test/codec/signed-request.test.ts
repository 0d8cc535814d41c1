import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeCbor } from '../../src/codec/cbor.ts';
import { makeEncrypt0 } from '../../src/codec/cose/encrypt0.ts';
import { makeMac0, openMac0 } from '../../src/codec/cose/mac0.ts';
import { makeSign1, openSign1 } from '../../src/codec/cose/sign1.ts';
import {
  makeAnswer,
  makeReceipt,
  makeSignedRequest,
  openAnswer,
  openReceipt,
  openSignedRequest,
  readReceiptQuery,
  readSignedRequest,
  receiptQuery,
  tokenHash,
} from '../../src/codec/signed-request.ts';
import { hex, sha256, utf8 } from '../../src/core/bytes.ts';
import { isCoded } from '../../src/core/errors.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { KEY, testNonce, VERIFYING_KEY } from '../fixtures/cose-keys.ts';

const NONCE = new Uint8Array(16).fill(7);
const CLIENT_NONCE = new Uint8Array(8).fill(9);
const HASH = tokenHash(utf8('a token'));
const PAYLOAD = encodeCbor(new Map([[0, 'C']]));
const TARGET = { audience: 'tube-1', method: 5, path: ['temperature', 'now'] } as const;
const ANSWER_KEY = KEY['HMAC 256/64'];

describe('a token hash', () => {
  it('is the first 8 bytes of SHA-256', () => {
    expect(hex(tokenHash(utf8('abc')))).toBe('ba7816bf8f01cfea');
  });
});

for (const algorithm of ['ES256', 'EdDSA', 'HMAC 256/64', 'HMAC 256/256'] as const) {
  const request = {
    ...TARGET,
    key: KEY[algorithm],
    payload: PAYLOAD,
    nonce: NONCE,
    clientNonce: CLIENT_NONCE,
    tokenHash: HASH,
  };
  const judge = { ...TARGET, key: VERIFYING_KEY[algorithm] };

  describe(`a request signed with ${algorithm}`, () => {
    it('opens for its resource, with its content format', () => {
      const bytes = makeSignedRequest({ ...request, contentFormat: 60 });
      expect(openSignedRequest(bytes, judge)).toEqual({ payload: PAYLOAD, contentFormat: 60 });
    });

    it('opens without payload and content format', () => {
      const bytes = makeSignedRequest({ ...request, payload: new Uint8Array(0) });
      expect(openSignedRequest(bytes, judge)).toEqual({ payload: new Uint8Array(0), contentFormat: undefined });
    });

    it('says its token and its challenge', () => {
      const kind = algorithm.startsWith('HMAC') ? 'mac0' : 'sign1';
      expect(readSignedRequest(makeSignedRequest(request))).toEqual({ kind, tokenHash: HASH, nonce: NONCE });
    });

    it('is a COSE message over the external_aad of docs/protocol.md', () => {
      const externalAad = encodeCbor(['latchkey-pop-1', NONCE, HASH, 'tube-1', 5, '/temperature/now']);
      const open = algorithm.startsWith('HMAC') ? openMac0 : openSign1;
      expect(open(makeSignedRequest(request), { key: VERIFYING_KEY[algorithm], externalAad }).payload).toEqual(PAYLOAD);
    });

    it('is refused with every single bit changed', () => {
      const bytes = makeSignedRequest({ ...request, contentFormat: 60 });
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const flipped = Uint8Array.from(bytes);
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(
          codeOf(() => openSignedRequest(flipped, judge)),
          `bit ${bit}`,
        ).toMatch(/^(cose|cbor)_/);
      }
    });

    for (const [name, change] of [
      ['for another device', { audience: 'tube-2' }],
      ['for another method', { method: 1 }],
      ['for another path', { path: ['temperature'] }],
      ['for a longer path', { path: ['temperature', 'now', ''] }],
      ['for no path', { path: [] }],
    ] as const) {
      it(`is refused ${name}`, () => {
        const bytes = makeSignedRequest(request);
        expect(codeOf(() => openSignedRequest(bytes, { ...judge, ...change }))).toBe('cose_verification_failed');
      });
    }

    it('is refused under keys of other algorithms', () => {
      const bytes = makeSignedRequest(request);
      for (const key of Object.values(VERIFYING_KEY).filter((other) => other.algorithm !== algorithm)) {
        expect(codeOf(() => openSignedRequest(bytes, { ...judge, key }))).toMatch(/^cose_(algorithm_refused|invalid)$/);
      }
    });
  });
}

describe('a signed request is refused', () => {
  const request = {
    ...TARGET,
    key: KEY.ES256,
    payload: PAYLOAD,
    nonce: NONCE,
    clientNonce: CLIENT_NONCE,
    tokenHash: HASH,
  };
  const refusal = (unprotectedHeader: ReadonlyMap<number, Uint8Array>) =>
    codeOf(() => readSignedRequest(makeSign1({ payload: PAYLOAD, key: KEY.ES256, unprotectedHeader })));

  it('with a slash in a segment: two resources would share a path', () => {
    expect(codeOf(() => makeSignedRequest({ ...request, path: ['a/b'] }))).toBe('request_invalid');
    const bytes = makeSignedRequest({ ...request, path: ['a', 'b'] });
    expect(codeOf(() => openSignedRequest(bytes, { ...TARGET, path: ['a/b'], key: VERIFYING_KEY.ES256 }))).toBe(
      'request_invalid',
    );
  });

  it('with a nonce or hash of another size, when it is made', () => {
    expect(codeOf(() => makeSignedRequest({ ...request, nonce: new Uint8Array(15) }))).toBe('request_invalid');
    expect(codeOf(() => makeSignedRequest({ ...request, tokenHash: new Uint8Array(32) }))).toBe('request_invalid');
  });

  it('with an encryption key, when it is made', () => {
    expect(codeOf(() => makeSignedRequest({ ...request, key: KEY.A128GCM }))).toBe('cose_algorithm_refused');
  });

  it('without a token hash', () => {
    expect(refusal(new Map([[-65537, NONCE]]))).toBe('cose_invalid');
  });

  it('with a token hash of another size', () => {
    expect(
      refusal(
        new Map([
          [4, new Uint8Array(7)],
          [-65537, NONCE],
        ]),
      ),
    ).toBe('cose_invalid');
  });

  it('without a nonce', () => {
    expect(refusal(new Map([[4, HASH]]))).toBe('cose_invalid');
  });

  it('with a nonce of another size', () => {
    expect(
      refusal(
        new Map([
          [4, HASH],
          [-65537, new Uint8Array(17)],
        ]),
      ),
    ).toBe('cose_invalid');
  });

  it('as an Encrypt0', () => {
    const bytes = makeEncrypt0({ plaintext: PAYLOAD, key: KEY.A128GCM, nonce: testNonce('A128GCM') });
    expect(codeOf(() => readSignedRequest(bytes))).toBe('cose_invalid');
  });

  it('without a nonce of the client', () => {
    const externalAad = encodeCbor(['latchkey-pop-1', NONCE, HASH, 'tube-1', 5, '/temperature/now']);
    const unprotectedHeader = new Map([
      [4, HASH],
      [-65537, NONCE],
    ]);
    const bytes = makeSign1({ payload: PAYLOAD, key: KEY.ES256, externalAad, unprotectedHeader });
    expect(codeOf(() => openSignedRequest(bytes, { ...TARGET, key: VERIFYING_KEY.ES256 }))).toBe('cose_invalid');
  });

  it('with a content type as text', () => {
    const externalAad = encodeCbor(['latchkey-pop-1', NONCE, HASH, 'tube-1', 5, '/temperature/now']);
    const bytes = makeSign1({
      payload: PAYLOAD,
      key: KEY.ES256,
      externalAad,
      protectedHeader: new Map([[3, 'application/cbor']]),
      unprotectedHeader: new Map([
        [4, HASH],
        [-65537, NONCE],
      ]),
    });
    expect(codeOf(() => openSignedRequest(bytes, { ...TARGET, key: VERIFYING_KEY.ES256 }))).toBe('cose_invalid');
  });

  it('as random bytes, always with a code', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        for (const read of [
          readSignedRequest,
          (input: Uint8Array) => openSignedRequest(input, { ...TARGET, key: KEY.ES256 }),
        ]) {
          try {
            read(bytes);
          } catch (error) {
            expect(isCoded(error)).toBe(true);
            continue;
          }
          expect.unreachable('random bytes opened');
        }
      }),
    );
  });
});

describe('an answer', () => {
  const request = makeSignedRequest({
    ...TARGET,
    key: KEY.ES256,
    payload: PAYLOAD,
    nonce: NONCE,
    clientNonce: CLIENT_NONCE,
    tokenHash: HASH,
  });
  const context = { key: ANSWER_KEY, request, audience: 'tube-1', code: 0x45 } as const;
  const bytes = makeAnswer({ ...context, payload: PAYLOAD, contentFormat: 60 });

  it('opens for its request', () => {
    expect(openAnswer(bytes, context)).toEqual({ payload: PAYLOAD, contentFormat: 60 });
  });

  it('is a Mac0 over the external_aad of docs/protocol.md', () => {
    const externalAad = encodeCbor(['latchkey-answer-1', sha256(request), 'tube-1', 0x45]);
    expect(openMac0(bytes, { key: ANSWER_KEY, externalAad }).payload).toEqual(PAYLOAD);
  });

  it('does not fit the same request made once more: no answer of the past fits a request of now', () => {
    for (const algorithm of ['ES256', 'EdDSA', 'HMAC 256/64'] as const) {
      const make = (clientNonce: Uint8Array) =>
        makeSignedRequest({
          ...TARGET,
          key: KEY[algorithm],
          payload: PAYLOAD,
          nonce: NONCE,
          clientNonce,
          tokenHash: HASH,
        });
      const answer = makeAnswer({ ...context, request: make(CLIENT_NONCE), payload: PAYLOAD });
      const again = { ...context, request: make(new Uint8Array(8).fill(10)) };
      expect(codeOf(() => openAnswer(answer, again))).toBe('cose_verification_failed');
    }
  });

  for (const [name, change] of [
    ['to another request', { request: utf8('another') }],
    ['of another device', { audience: 'tube-2' }],
    ['with another code', { code: 0x84 }],
    ['under another key', { key: { ...ANSWER_KEY, key: KEY.A128GCM.key } }],
  ] as const) {
    it(`is refused ${name}`, () => {
      expect(codeOf(() => openAnswer(bytes, { ...context, ...change }))).toBe('cose_verification_failed');
    });
  }

  it('is not taken for a receipt, nor a receipt for an answer', () => {
    const receipt = { key: ANSWER_KEY, tokenHash: HASH, audience: 'tube-1', nonce: new Uint8Array(8) };
    expect(codeOf(() => openReceipt(bytes, receipt))).toBe('cose_verification_failed');
    expect(codeOf(() => openAnswer(makeReceipt(receipt), context))).toBe('cose_verification_failed');
  });
});

describe('a receipt', () => {
  const context = { key: ANSWER_KEY, tokenHash: HASH, audience: 'tube-1', nonce: new Uint8Array(8).fill(3) } as const;
  const externalAad = encodeCbor(['latchkey-receipt-1', context.nonce, HASH, 'tube-1']);

  it('opens for its token and attempt', () => {
    expect(codeOf(() => openReceipt(makeReceipt(context), context))).toBe('none');
  });

  it('has the token hash as its payload', () => {
    expect(openMac0(makeReceipt(context), { key: ANSWER_KEY, externalAad }).payload).toEqual(HASH);
  });

  for (const [name, change] of [
    ['for another token', { tokenHash: new Uint8Array(8) }],
    ['for another attempt', { nonce: new Uint8Array(8).fill(4) }],
    ['of another device', { audience: 'tube-2' }],
    ['under another key', { key: { ...ANSWER_KEY, key: KEY.A128GCM.key } }],
  ] as const) {
    it(`is refused ${name}`, () => {
      expect(codeOf(() => openReceipt(makeReceipt(context), { ...context, ...change }))).toBe(
        'cose_verification_failed',
      );
    });
  }

  it('with another payload under the right key is of the device, and cannot be used', () => {
    const bytes = makeMac0({ payload: new Uint8Array(8), key: ANSWER_KEY, externalAad });
    expect(codeOf(() => openReceipt(bytes, context))).toBe('device_answer_invalid');
  });
});

describe('the receipt of a refusal', () => {
  const taken = { key: ANSWER_KEY, tokenHash: HASH, audience: 'tube-1', nonce: new Uint8Array(8).fill(3) } as const;
  const refused = { ...taken, refusal: 0x81 };

  it('opens for its code', () => {
    expect(codeOf(() => openReceipt(makeReceipt(refused), refused))).toBe('none');
  });

  it('is not taken for one of another code, nor for that of a token that was taken, nor the other way round', () => {
    for (const context of [{ ...refused, refusal: 0x83 }, taken])
      expect(codeOf(() => openReceipt(makeReceipt(refused), context))).toBe('cose_verification_failed');
    expect(codeOf(() => openReceipt(makeReceipt(taken), refused))).toBe('cose_verification_failed');
  });
});

describe('the query that asks for a receipt', () => {
  it('comes back as the nonce that it was made of', () => {
    const nonce = new Uint8Array(8).fill(0xfe);
    expect(hex(readReceiptQuery([receiptQuery(nonce)]) ?? new Uint8Array(0))).toBe(hex(nonce));
  });

  for (const [name, query] of [
    ['nothing', []],
    ['a nonce of another size', ['n=AAAA']],
    ['no base64url', ['n=AAAAAAAAAA=']],
    ['another name', ['m=AAAAAAAAAAA']],
    ['a second query', ['n=AAAAAAAAAAA', 'x']],
  ] as const) {
    it(`is not read from ${name}`, () => {
      expect(readReceiptQuery(query)).toBeUndefined();
    });
  }
});

/** The three message kinds behind one face, so that each rule of RFC 9052 is asked of all of them. */
import {
  type CborMap,
  type CborValue,
  decodeCbor,
  encodeCbor,
  isCborArray,
  isCborTag,
} from '../../../src/codec/cbor.ts';
import { kindOf } from '../../../src/codec/cose/algorithm.ts';
import { makeEncrypt0, openEncrypt0 } from '../../../src/codec/cose/encrypt0.ts';
import { makeMac0, openMac0 } from '../../../src/codec/cose/mac0.ts';
import type { MakeOptions, OpenedCose, OpenOptions } from '../../../src/codec/cose/message.ts';
import { toBeProtected } from '../../../src/codec/cose/message.ts';
import { macBytes, seal, signBytes } from '../../../src/codec/cose/primitives.ts';
import { makeSign1, openSign1 } from '../../../src/codec/cose/sign1.ts';
import { EMPTY } from '../../../src/core/bytes.ts';
import type { WrapAlgorithm } from '../../../src/core/device-profile.ts';
import { KEY, testNonce } from '../../fixtures/cose-keys.ts';

export function make(algorithm: WrapAlgorithm, payload: Uint8Array, options: Partial<MakeOptions> = {}): Uint8Array {
  const key = options.key ?? KEY[algorithm];
  switch (kindOf(algorithm)) {
    case 'sign1':
      return makeSign1({ ...options, key, payload });
    case 'mac0':
      return makeMac0({ ...options, key, payload });
    case 'encrypt0':
      return makeEncrypt0({ ...options, key, plaintext: payload, nonce: testNonce(algorithm) });
  }
}

export function open(algorithm: WrapAlgorithm, bytes: Uint8Array, options: OpenOptions): OpenedCose {
  switch (kindOf(algorithm)) {
    case 'sign1':
      return openSign1(bytes, options);
    case 'mac0':
      return openMac0(bytes, options);
    case 'encrypt0':
      return openEncrypt0(bytes, options);
  }
}

/** The items of a message's array, to change one and put it together again. */
export function items(bytes: Uint8Array): { readonly tag: number; readonly array: readonly CborValue[] } {
  const value = decodeCbor(bytes);
  if (!isCborTag(value) || !isCborArray(value.value)) throw new Error('not a tagged message');
  return { tag: value.tag, array: value.value };
}

/**
 * A message with any headers at all, correctly protected: what an insider with the right key could make, so that only the
 * rule under test stands against it.
 */
export function makeAnyway(
  algorithm: WrapAlgorithm,
  protectedBytes: Uint8Array,
  unprotectedHeader: CborMap,
): Uint8Array {
  const kind = kindOf(algorithm);
  const { key } = KEY[algorithm];
  const payload = Uint8Array.of(1, 2, 3);
  switch (kind) {
    case 'sign1': {
      const signature = signBytes(algorithm as 'ES256', key, toBeProtected(kind, protectedBytes, EMPTY, payload));
      return encodeCbor([protectedBytes, unprotectedHeader, payload, signature]);
    }
    case 'mac0': {
      const mac = macBytes(algorithm as 'HMAC 256/64', key, toBeProtected(kind, protectedBytes, EMPTY, payload));
      return encodeCbor([protectedBytes, unprotectedHeader, payload, mac]);
    }
    case 'encrypt0': {
      const nonce = testNonce(algorithm);
      const additionalData = toBeProtected(kind, protectedBytes);
      const sealed = seal({ algorithm: algorithm as 'A128GCM', key, nonce, additionalData }, payload);
      return encodeCbor([
        protectedBytes,
        new Map<number | string, CborValue>([[5, nonce], ...unprotectedHeader]),
        sealed,
      ]);
    }
  }
}

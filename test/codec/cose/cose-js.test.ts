/**
 * cose-js, a COSE that nobody here wrote: it opens what is made here, and the other way round, for every algorithm that
 * both know (it has no EdDSA); and both refuse what is damaged.
 */
import cose from 'cose-js';
import { describe, expect, it } from 'vitest';
import { kindOf } from '../../../src/codec/cose/algorithm.ts';
import { type CwtClaims, encodeClaims, makeCwt, openCwt } from '../../../src/codec/cwt.ts';
import { concat, hex, utf8 } from '../../../src/core/bytes.ts';
import type { WrapAlgorithm } from '../../../src/core/device-profile.ts';
import { codeOf } from '../../fixtures/code-of.ts';
import { JWK, KEY, testNonce, VERIFYING_KEY } from '../../fixtures/cose-keys.ts';
import { make, open } from './messages.ts';

type Shared = Exclude<WrapAlgorithm, 'EdDSA'>;

/** How cose-js calls the algorithms. */
const NAMES: Readonly<Record<Shared, string>> = {
  ES256: 'ES256',
  'HMAC 256/64': 'SHA-256_64',
  'HMAC 256/256': 'HS256',
  'AES-CCM-16-64-128': 'AES-CCM-16-64-128',
  A128GCM: 'A128GCM',
};
const PAYLOAD = utf8('What both sides should read');
const EXTERNAL = utf8('external data');

function octets(text: string): Buffer {
  return Buffer.from(text, 'base64url');
}

function secret(algorithm: Shared): Buffer {
  const jwk = JWK[algorithm];
  return octets('k' in jwk ? jwk.k : '');
}

interface Case {
  readonly payload: Uint8Array;
  readonly externalAad?: Uint8Array;
  readonly tagged?: boolean;
}

const TAG = { sign1: 18, mac0: 17, encrypt0: 16 } as const;

async function makeThere(algorithm: Shared, { payload, externalAad, tagged = true }: Case): Promise<Uint8Array> {
  const headers = { p: { alg: NAMES[algorithm] }, u: { kid: JWK[algorithm].kid } };
  const content = Buffer.from(payload);
  const external = externalAad === undefined ? {} : { externalAAD: Buffer.from(externalAad) };
  const options = { excludetag: !tagged };
  switch (kindOf(algorithm)) {
    case 'sign1':
      return cose.sign.create(headers, content, { key: { d: octets(JWK.ES256.d) }, ...external }, options);
    case 'mac0':
      return cose.mac.create(headers, content, { key: secret(algorithm) }, external.externalAAD, options);
    case 'encrypt0':
      return cose.encrypt.create(headers, content, { key: secret(algorithm) }, { ...options, ...external });
  }
}

async function openThere(algorithm: Shared, bytes: Uint8Array, externalAad?: Uint8Array): Promise<Uint8Array> {
  const message = Buffer.from(bytes);
  const external = externalAad === undefined ? {} : { externalAAD: Buffer.from(externalAad) };
  const defaultType = TAG[kindOf(algorithm)];
  switch (kindOf(algorithm)) {
    case 'sign1': {
      const key = { x: octets(JWK.ES256.x), y: octets(JWK.ES256.y) };
      return cose.sign.verify(message, { key, ...external }, { defaultType });
    }
    case 'mac0':
      return cose.mac.read(message, secret(algorithm), external.externalAAD, { defaultType });
    case 'encrypt0':
      return cose.encrypt.read(message, secret(algorithm), { defaultType, ...external });
  }
}

function damaged(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[copy.length - 1] = (copy[copy.length - 1] ?? 0) ^ 1;
  return copy;
}

for (const algorithm of Object.keys(NAMES) as Shared[]) {
  describe(`cose-js and ${algorithm}`, () => {
    for (const [name, sample] of [
      ['tagged', { payload: PAYLOAD }],
      ['without a tag', { payload: PAYLOAD, tagged: false }],
      ['with external data', { payload: PAYLOAD, externalAad: EXTERNAL }],
      ['with a long payload', { payload: new Uint8Array(5_000).fill(0x61) }],
    ] satisfies readonly (readonly [string, Case])[]) {
      it(`opens what is made here, ${name}`, async () => {
        const { payload, ...options } = sample as Case;
        const bytes = make(algorithm, payload, options);
        expect(hex(await openThere(algorithm, bytes, options.externalAad))).toBe(hex(payload));
      });

      it(`makes what opens here, ${name}`, async () => {
        const { payload, externalAad } = sample as Case;
        const bytes = await makeThere(algorithm, sample);
        const options = externalAad === undefined ? {} : { externalAad };
        expect(hex(open(algorithm, bytes, { key: VERIFYING_KEY[algorithm], ...options }).payload)).toBe(hex(payload));
      });
    }

    it('refuses what is made here and then damaged', async () => {
      await expect(openThere(algorithm, damaged(make(algorithm, PAYLOAD)))).rejects.toThrow();
    });

    it('refuses other external data than was used here', async () => {
      const bytes = make(algorithm, PAYLOAD, { externalAad: EXTERNAL });
      await expect(openThere(algorithm, bytes, utf8('another'))).rejects.toThrow();
    });

    it('makes what is refused here once damaged', async () => {
      const bytes = damaged(await makeThere(algorithm, { payload: PAYLOAD }));
      expect(codeOf(() => open(algorithm, bytes, { key: VERIFYING_KEY[algorithm] }))).toBe('cose_verification_failed');
    });

    it('makes what is refused here under keys of other algorithms', async () => {
      const bytes = await makeThere(algorithm, { payload: PAYLOAD });
      for (const key of Object.values(VERIFYING_KEY).filter((other) => other.algorithm !== algorithm)) {
        expect(codeOf(() => open(algorithm, bytes, { key }))).toBe('cose_algorithm_refused');
      }
    });
  });
}

describe('cose-js and CWT', () => {
  const claims: CwtClaims = { audience: 'tube-1', expiresAt: 1_700_003_600, scope: 'read' };

  it('opens both layers of a nested one', async () => {
    const cwt = makeCwt(claims, {
      wrap: 'sign1+encrypt0',
      keys: { authentication: KEY.ES256, encryption: KEY['AES-CCM-16-64-128'] },
      cwtTag: false,
      nonce: () => testNonce('AES-CCM-16-64-128'),
    });
    const inner = await openThere('AES-CCM-16-64-128', cwt);
    expect(hex(await openThere('ES256', inner))).toBe(hex(encodeClaims(claims)));
  });

  it('makes a nested one that opens here', async () => {
    const inner = await makeThere('HMAC 256/64', { payload: encodeClaims(claims) });
    const cwt = await makeThere('A128GCM', { payload: inner });
    const opened = openCwt(concat(Uint8Array.of(0xd8, 61), cwt), {
      keys: Object.values(KEY),
      expected: 'mac0+encrypt0',
    });
    expect(opened.claims).toMatchObject(claims);
  });
});

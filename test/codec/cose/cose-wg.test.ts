/**
 * The COSE working group's examples (test/vectors/cose-wg). Every file there runs: it opens and is remade, or it is refused
 * with a code for the reason that stands here. A file that nothing here foresees fails.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { decodeCbor, isCborTag } from '../../../src/codec/cbor.ts';
import { type CoseKind, kindOf } from '../../../src/codec/cose/algorithm.ts';
import { makeEncrypt0 } from '../../../src/codec/cose/encrypt0.ts';
import { type CoseKey, importJwk } from '../../../src/codec/cose/key.ts';
import { makeMac0 } from '../../../src/codec/cose/mac0.ts';
import { parseMessage, toBeProtected } from '../../../src/codec/cose/message.ts';
import { makeSign1 } from '../../../src/codec/cose/sign1.ts';
import { base64url, fromHex, hex, utf8 } from '../../../src/core/bytes.ts';
import { WRAP_ALGORITHMS, type WrapAlgorithm } from '../../../src/core/device-profile.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { codeOf } from '../../fixtures/code-of.ts';
import { open } from './messages.ts';

interface Protection {
  readonly protected?: { readonly alg?: string };
  readonly unprotected?: { readonly alg?: string };
  readonly external?: string;
  readonly key?: JsonObject;
  readonly recipients?: readonly { readonly key: JsonObject }[];
}

interface Vector {
  readonly title: string;
  readonly fail?: boolean;
  readonly input: {
    readonly plaintext?: string;
    readonly plaintext_hex?: string;
    readonly sign0?: Protection;
    readonly mac0?: Protection;
    readonly encrypted?: Protection;
  };
  readonly intermediates?: { readonly ToBeSign_hex?: string; readonly ToMac_hex?: string; readonly AAD_hex?: string };
  readonly output: { readonly cbor: string };
}

const FOLDER = new URL('../../vectors/cose-wg/', import.meta.url);
/** How the examples call the algorithms. */
const NAMES: Readonly<Record<string, WrapAlgorithm>> = {
  ES256: 'ES256',
  EdDSA: 'EdDSA',
  HS256: 'HMAC 256/256',
  'HS256/64': 'HMAC 256/64',
  'AES-CCM-16-128/64': 'AES-CCM-16-64-128',
  A128GCM: 'A128GCM',
};
/** Refused although RFC 9052 would let a recipient take it. */
const UNPROTECTED_ALG =
  'alg is in the unprotected header, where RFC 9052 §3.1 allows it only if it cannot be authenticated';
const REFUSED: ReadonlyMap<string, string> = new Map([
  ['sign1-tests/sign-pass-01.json', UNPROTECTED_ALG],
  ['mac0-tests/mac-pass-01.json', UNPROTECTED_ALG],
  ['mac0-tests/mac-pass-02.json', UNPROTECTED_ALG],
  ['mac0-tests/mac-pass-03.json', UNPROTECTED_ALG],
  ['encrypted-tests/enc-pass-01.json', UNPROTECTED_ALG],
  ['encrypted-tests/enc-pass-03.json', UNPROTECTED_ALG],
  ['eddsa-examples/eddsa-sig-02.json', 'the curve is Ed448'],
]);

const files = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.json'))
  .map((name) => name.replaceAll('\\', '/'))
  .sort();
const counts = { opened: 0, refused: 0, unsupported: 0 };

function read(name: string): Vector {
  return JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8')) as Vector;
}

function kindAndProtection({ input }: Vector): readonly [CoseKind, Protection] | undefined {
  if (input.sign0 !== undefined) return ['sign1', input.sign0];
  if (input.mac0 !== undefined) return ['mac0', input.mac0];
  return input.encrypted === undefined ? undefined : ['encrypt0', input.encrypted];
}

function keyOf({ key, recipients }: Protection, algorithm: WrapAlgorithm): CoseKey {
  const source = key ?? recipients?.[0]?.key ?? {};
  const members = Object.entries(source)
    .filter(([name]) => name !== 'use')
    .map(([name, value]) =>
      name.endsWith('_hex') ? [name.slice(0, -4), base64url(fromHex(String(value)))] : [name, value],
    );
  return importJwk(Object.fromEntries(members) as JsonObject, algorithm);
}

/** Some key of each algorithm: for files whose own key could not even be imported. */
const ANY_KEYS = WRAP_ALGORITHMS.filter((name) => kindOf(name) !== 'sign1').map((algorithm) =>
  importJwk({ kty: 'oct', k: base64url(new Uint8Array(kindOf(algorithm) === 'mac0' ? 32 : 16)) }, algorithm),
);

describe('the examples of the COSE working group', () => {
  for (const name of files) {
    const vector = read(name);
    const found = kindAndProtection(vector);
    const bytes = fromHex(vector.output.cbor);

    if (found === undefined) {
      it(`${name} is refused: it has recipients or several signers`, () => {
        counts.unsupported++;
        for (const algorithm of WRAP_ALGORITHMS) {
          expect(codeOf(() => open(algorithm, bytes, { key: () => undefined }))).toBe('cbor_invalid');
        }
      });
      continue;
    }

    const [kind, protection] = found;
    const named = protection.protected?.alg ?? protection.unprotected?.alg ?? '';
    const algorithm = NAMES[named];
    if (algorithm === undefined) {
      it(`${name} is refused: ${named} is not spoken here`, () => {
        counts.unsupported++;
        for (const key of ANY_KEYS.filter((any) => kindOf(any.algorithm) === kind)) {
          expect(codeOf(() => open(key.algorithm, bytes, { key }))).toBe('cose_algorithm_refused');
        }
        if (kind === 'sign1') {
          const key = importJwk({
            kty: 'OKP',
            crv: 'Ed25519',
            x: base64url(fromHex('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a')),
          });
          expect(codeOf(() => open('EdDSA', bytes, { key }))).toBe('cose_algorithm_refused');
        }
      });
      continue;
    }

    const reason = REFUSED.get(name);
    if (vector.fail === true || reason !== undefined) {
      it(`${name} is refused${reason === undefined ? `: ${vector.title}` : `: ${reason}`}`, () => {
        counts.refused++;
        const attempt = codeOf(() => {
          const key = keyOf(protection, algorithm);
          return open(algorithm, bytes, { key, externalAad: fromHex(protection.external ?? '') });
        });
        expect(attempt).toMatch(/^(cbor|cose|jwk)_/);
        if (reason === UNPROTECTED_ALG) expect(attempt).toBe('cose_algorithm_refused');
      });
      continue;
    }

    it(`${name} opens and is remade`, () => {
      counts.opened++;
      const key = keyOf(protection, algorithm);
      const externalAad = fromHex(protection.external ?? '');
      const payload =
        vector.input.plaintext_hex === undefined
          ? utf8(vector.input.plaintext ?? '')
          : fromHex(vector.input.plaintext_hex);
      expect(hex(open(algorithm, bytes, { key, externalAad }).payload)).toBe(hex(payload));

      const message = parseMessage(bytes, kind);
      const structure =
        kind === 'encrypt0'
          ? toBeProtected(kind, message.protectedBytes, externalAad)
          : toBeProtected(kind, message.protectedBytes, externalAad, payload);
      const { ToBeSign_hex, ToMac_hex, AAD_hex } = vector.intermediates ?? {};
      expect(hex(structure)).toBe((ToBeSign_hex ?? ToMac_hex ?? AAD_hex ?? '').toLowerCase());

      const { protectedHeader, unprotectedHeader } = message;
      const options = {
        key: { ...key, keyId: undefined },
        externalAad,
        protectedHeader,
        unprotectedHeader,
        tagged: isCborTag(decodeCbor(bytes)),
      };
      const nonce = unprotectedHeader.get(5);
      if (kind === 'mac0') expect(hex(makeMac0({ ...options, payload }))).toBe(hex(bytes));
      else if (nonce instanceof Uint8Array) {
        expect(hex(makeEncrypt0({ ...options, plaintext: payload, nonce }))).toBe(hex(bytes));
      } else if (algorithm === 'EdDSA') expect(hex(makeSign1({ ...options, payload }))).toBe(hex(bytes));
      else expect(codeOf(() => open(algorithm, makeSign1({ ...options, payload }), { key, externalAad }))).toBe('none');
    });
  }

  afterAll(() => {
    const { opened, refused, unsupported } = counts;
    process.stdout.write(
      `cose-wg: ${opened + refused + unsupported} of ${files.length} files ran: ${opened} open, ${refused} refused as they ` +
        `should be, ${unsupported} of algorithms and structures that are not spoken here refused\n`,
    );
  });

  it('are all there, and none is listed that is not', () => {
    expect(files).toHaveLength(78);
    for (const name of REFUSED.keys()) expect(files).toContain(name);
  });
});

/** Every JWS and JWK of RFC 7520: those of our algorithms verify, all others are refused. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseCompact } from '../../src/codec/jws.ts';
import type { SignatureVerifier } from '../../src/codec/jws-signature.ts';
import { concat, utf8 } from '../../src/core/bytes.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { JWT_ALGORITHMS, jwtAlgorithm } from '../../src/core/jwt-algorithms.ts';
import { importVerificationKey } from '../../src/trust/verification-key.ts';
import { codeOf } from '../fixtures/code-of.ts';

const FOLDER = new URL('../vectors/jose-cookbook/', import.meta.url);

interface Signing {
  readonly 'sig-input': string;
  readonly sig: string;
}
interface Example {
  readonly title: string;
  readonly input: { readonly key: JsonObject | readonly JsonObject[] };
  readonly signing: Signing | readonly Signing[];
}

function read(path: string): unknown {
  return JSON.parse(readFileSync(new URL(path, FOLDER), 'utf8'));
}

/** One a signature: RFC 7520 §4.8 has three in one file. */
const signatures = [
  ...readdirSync(new URL('jws/', FOLDER)).map((name) => read(`jws/${name}`) as Example),
  (read('6.nesting_signatures_and_encryption.json') as { readonly sign: Example }).sign,
].flatMap(({ title = 'Nesting', input, signing }) => {
  const keys = [input.key].flat();
  return [signing].flat().map((one, index) => {
    return { name: `${title}, signature ${index + 1}`, jws: `${one['sig-input']}.${one.sig}`, jwk: keys[index] ?? {} };
  });
});

/** What must become of each, by the algorithm that its protected header names. */
const OUTCOME: Readonly<Record<string, string>> = {
  RS256: 'verifies',
  PS256: 'verifies',
  PS384: 'verifies',
  ES512: 'verifies',
  HS256: 'no algorithm of ours',
  'nothing, since all of the header is unprotected': 'jwt_malformed',
};

describe('RFC 7520 §4 and §6.1', () => {
  test.each(signatures)('$name', ({ jws, jwk }) => {
    const [protectedHeader = ''] = jws.split('.', 1);
    const algorithm =
      protectedHeader === ''
        ? 'nothing, since all of the header is unprotected'
        : (JSON.parse(Buffer.from(protectedHeader, 'base64url').toString()) as { alg: string }).alg;
    expect(outcomeOf(jws, jwk)).toBe(OUTCOME[algorithm]);
  });

  test('an altered example does not verify', () => {
    const ours = signatures.filter(({ jws, jwk }) => outcomeOf(jws, jwk) === 'verifies');
    expect(ours).toHaveLength(5);
    for (const { jws, jwk } of ours) {
      const { signature, signingInput } = parseCompact(jws);
      const verifier = verifierFor(jws, jwk);
      expect(verifier.verify(signingInput, signature)).toBe(true);
      expect(verifier.verify(concat(signingInput, utf8('A')), signature)).toBe(false);
      expect(verifier.verify(signingInput, signature.toReversed())).toBe(false);
    }
  });
});

function outcomeOf(jws: string, jwk: JsonObject): string {
  const form = codeOf(() => parseCompact(jws));
  if (form !== 'none') return form;
  const { header, signature, signingInput } = parseCompact(jws);
  if (jwtAlgorithm(header.algorithm) === undefined) return 'no algorithm of ours';
  return verifierFor(jws, jwk).verify(signingInput, signature) ? 'verifies' : 'does not verify';
}

/** The examples give private keys; an issuer publishes the public half. */
function verifierFor(jws: string, { kty, kid, crv, x, y, n, e, use }: JsonObject): SignatureVerifier {
  const key = importVerificationKey({ kty, kid, crv, x, y, n, e, use } as JsonObject, JWT_ALGORITHMS);
  const algorithm = jwtAlgorithm(parseCompact(jws).header.algorithm);
  const verifier = algorithm === undefined ? undefined : key.verifiers.get(algorithm);
  if (verifier === undefined) throw new Error('the key does not serve this algorithm');
  return verifier;
}

describe('RFC 7520 §3', () => {
  test.each([
    ['3_1.ec_public_key.json', 'none'],
    ['3_2.ec_private_key.json', 'jwk_invalid'],
    ['3_3.rsa_public_key.json', 'none'],
    ['3_4.rsa_private_key.json', 'jwk_invalid'],
    ['3_5.symmetric_key_mac_computation.json', 'jwk_invalid'],
    ['3_6.symmetric_key_encryption.json', 'jwk_invalid'],
  ])('%s as the key of an issuer: %s', (name, code) => {
    const jwk = read(`jwk/${name}`) as JsonObject;
    expect(codeOf(() => importVerificationKey(jwk, JWT_ALGORITHMS))).toBe(code);
  });

  test('every file is named above', () => {
    expect(readdirSync(new URL('jwk/', FOLDER))).toHaveLength(6);
    process.stdout.write(`RFC 7520: ${signatures.length} signatures, 6 keys\n`);
  });
});

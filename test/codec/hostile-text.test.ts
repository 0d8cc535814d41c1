import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { openJwe } from '../../src/codec/jwe.ts';
import { importJweKey } from '../../src/codec/jwe-key.ts';
import { parseCompact } from '../../src/codec/jws.ts';
import { parseStrictJsonObject } from '../../src/codec/strict-json.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { asyncCodeOf } from '../fixtures/async-code-of.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { HOSTILE_JSON, HOSTILE_JWE, HOSTILE_JWS } from '../fixtures/hostile-text.ts';

const hubKey = importJweKey(
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }) as JsonObject,
);

const named = (inputs: typeof HOSTILE_JSON) => inputs.map(({ name, text }) => [name, text] as const);

describe('JSON is refused:', () => {
  test.each(named(HOSTILE_JSON))('%s', (_name, text) => {
    expect(codeOf(() => parseStrictJsonObject(text, { code: 'jwt_malformed' }))).toBe('jwt_malformed');
  });
});

describe('a JWS is refused:', () => {
  test.each(named(HOSTILE_JWS))('%s', (_name, text) => {
    const code = codeOf(() => parseStrictJsonObject(parseCompact(text).payload, { code: 'jwt_malformed' }));
    expect(['jwt_malformed', 'jwt_too_large']).toContain(code);
  });
});

describe('a JWE is refused:', () => {
  test.each(named(HOSTILE_JWE))('%s', async (_name, text) => {
    expect(['jwe_invalid', 'jwe_decryption_failed']).toContain(await asyncCodeOf(openJwe(text, [hubKey])));
  });
});

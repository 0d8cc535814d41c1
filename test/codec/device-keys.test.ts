import { createHmac } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { type DeviceKeyUse, deriveDeviceKey } from '../../src/codec/device-keys.ts';
import { base64url, utf8 } from '../../src/core/bytes.ts';
import type { WrapAlgorithm } from '../../src/core/device-profile.ts';
import { Secret } from '../../src/core/secret.ts';
import { codeOf } from '../fixtures/code-of.ts';

const ROOT = new Secret(Uint8Array.from({ length: 16 }, (_, index) => index));
const USES: readonly DeviceKeyUse[] = [
  'token-mac',
  'token-encryption',
  'answer',
  'time',
  'trust-bundle',
  'introspect',
  'session',
  'http-secret',
];
const ALGORITHMS: readonly WrapAlgorithm[] = ['HMAC 256/64', 'HMAC 256/256', 'AES-CCM-16-64-128', 'A128GCM'];

/** HKDF-SHA-256 for one block, written out (RFC 5869 §2). */
function hkdf(secret: Uint8Array, info: string, length: number): Uint8Array {
  const key = createHmac('sha256', new Uint8Array(32)).update(secret).digest();
  return createHmac('sha256', key).update(info).update(Uint8Array.of(1)).digest().subarray(0, length);
}

describe('device keys', () => {
  it('come from HKDF-SHA-256 with an info for each use and algorithm', () => {
    const { jwk, key } = deriveDeviceKey(ROOT, 'token-mac', 'HMAC 256/64');
    expect(jwk.expose()).toEqual({
      kty: 'oct',
      kid: base64url(hkdf(ROOT.expose(), 'latchkey-kid-1 token-mac HMAC 256/64', 3)),
      alg: 'HMAC 256/64',
      k: base64url(hkdf(ROOT.expose(), 'latchkey-token-mac-1 HMAC 256/64', 32)),
    });
    expect(key.algorithm).toBe('HMAC 256/64');
    expect(key.keyId).toEqual(utf8(String(jwk.expose().kid)));
  });

  it('are 16 bytes for AES', () => {
    const { jwk } = deriveDeviceKey(ROOT, 'token-encryption', 'AES-CCM-16-64-128');
    expect(jwk.expose().k).toBe(base64url(hkdf(ROOT.expose(), 'latchkey-token-encryption-1 AES-CCM-16-64-128', 16)));
  });

  it('are the same each time, and differ by use, algorithm and root', () => {
    const all = [ROOT, new Secret(new Uint8Array(16))].flatMap((root) =>
      USES.flatMap((use) => ALGORITHMS.map((algorithm) => deriveDeviceKey(root, use, algorithm).jwk.expose())),
    );
    const again = USES.flatMap((use) =>
      ALGORITHMS.map((algorithm) => deriveDeviceKey(ROOT, use, algorithm).jwk.expose()),
    );
    expect(new Set(all.map(({ k }) => k)).size).toBe(all.length);
    expect(all.slice(0, again.length)).toEqual(again);
  });

  it('have a kid of four printable characters', () => {
    for (const use of USES) {
      expect(deriveDeviceKey(ROOT, use, 'A128GCM').jwk.expose().kid).toMatch(/^[A-Za-z0-9_-]{4}$/);
    }
  });

  it('do not print', () => {
    const derived = deriveDeviceKey(ROOT, 'answer', 'HMAC 256/64');
    const text = inspect(derived, { depth: 9, showHidden: true }) + JSON.stringify(derived);
    expect(text).not.toContain(String(derived.jwk.expose().k));
    expect(text).toContain('[secret]');
  });
});

describe('device keys are refused', () => {
  it('for signatures: no secret makes a key pair here', () => {
    expect(codeOf(() => deriveDeviceKey(ROOT, 'token-mac', 'ES256'))).toBe('cose_algorithm_refused');
    expect(codeOf(() => deriveDeviceKey(ROOT, 'token-mac', 'EdDSA'))).toBe('cose_algorithm_refused');
  });

  it('from a root key of 15 bytes', () => {
    expect(codeOf(() => deriveDeviceKey(new Secret(new Uint8Array(15)), 'answer', 'HMAC 256/64'))).toBe(
      'device_invalid',
    );
  });
});

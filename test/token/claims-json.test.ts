import { expect, test } from 'vitest';
import { coseKeyFromJwk } from '../../src/codec/cose/key-map.ts';
import { utf8 } from '../../src/core/bytes.ts';
import { claimsToJson } from '../../src/token/claims-json.ts';
import { JWK, publicJwk } from '../fixtures/cose-keys.ts';

test('names every claim as the registry does, bytes in hexadecimal', () => {
  const json = claimsToJson({
    issuer: 'i',
    subject: 's',
    audience: 'a',
    expiresAt: 3,
    notBefore: 1,
    issuedAt: 2,
    cwtId: Uint8Array.of(0xca, 0xfe),
    confirmation: { method: 'kid', keyId: utf8('k') },
    scope: 'read',
    aceProfile: 2,
    cnonce: Uint8Array.of(1),
    expiresIn: 60,
  });
  expect(JSON.stringify(json)).toBe(
    '{"iss":"i","sub":"s","aud":"a","exp":3,"nbf":1,"iat":2,"cti":"cafe","cnf":{"kid":"k"},"scope":"read","ace_profile":2,"cnonce":"01","exi":60}',
  );
});

test('leaves absent claims out', () => {
  expect(claimsToJson({ expiresAt: 1, issuer: undefined })).toEqual({ exp: 1 });
});

test('shows a scope of bytes in hexadecimal', () => {
  expect(claimsToJson({ scope: utf8('read') })).toEqual({ scope: '72656164' });
});

test('shows a public confirmation key as a JWK', () => {
  const { kid: _kid, ...bare } = publicJwk('ES256');
  const key = coseKeyFromJwk(publicJwk('ES256'));
  expect(claimsToJson({ confirmation: { method: 'COSE_Key', key } })).toEqual({ cnf: { jwk: bare } });
});

test('withholds a symmetric confirmation key', () => {
  const key = coseKeyFromJwk(JWK['HMAC 256/256']);
  const text = JSON.stringify(claimsToJson({ confirmation: { method: 'COSE_Key', key } }));
  expect(text).not.toContain(JWK['HMAC 256/256'].k);
  expect(JSON.parse(text)).toEqual({ cnf: { jwk: { kty: 'oct', kid: 'mac-256', alg: 'HMAC 256/256' } } });
});

test('shows of an encrypted key its size, of a thumbprint its base64url, of a foreign kid its bytes', () => {
  const message = [new Uint8Array(0), new Map(), new Uint8Array(10)];
  expect(claimsToJson({ confirmation: { method: 'Encrypted_COSE_Key', message } })).toEqual({ cnf: { encrypted: 14 } });
  const thumbprint = new Uint8Array(32);
  expect(claimsToJson({ confirmation: { method: 'ckt', thumbprint } })).toEqual({ cnf: { ckt: 'A'.repeat(43) } });
  const keyId = Uint8Array.of(0xff, 0x00);
  expect(claimsToJson({ confirmation: { method: 'kid', keyId } })).toEqual({ cnf: { kid: 'ff00' } });
});

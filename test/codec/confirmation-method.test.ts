import { expect, test } from 'vitest';
import { confirmationMethod, withKeyIdAsThumbprint } from '../../src/codec/confirmation-method.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { codeOf } from '../fixtures/code-of.ts';

/** As MSAL makes it: SHA-256 of the JWK (RFC 7638), base64url. */
const THUMBPRINT = 'V6N_HMPagNpYS_wxM14X73q3eWzbTr9Z31RyHkIcN0Y';

test.each<[string, JsonObject, string]>([
  ['jkt beside a certificate', { jkt: 'a', 'x5t#S256': 'b' }, 'jkt'],
  ['the same in another order', { 'x5t#S256': 'b', jkt: 'a' }, 'jkt'],
  ['a member that is not known beside one that is', { kid: 'a', xms_ksl: 'sw' }, 'kid'],
])('the method of %s', (_, confirmation, method) => {
  expect(confirmationMethod(confirmation)).toBe(method);
});

test.each<JsonObject>([
  { jwk: {}, jkt: 'a' },
  { jwk: {}, 'x5t#S256': 'b' },
  { kid: 'a', 'x5t#S256': 'b' },
  { jkt: 'a', kid: 'b', 'x5t#S256': 'c' },
])('of %j one key would go unchecked', (confirmation) => {
  expect(codeOf(() => confirmationMethod(confirmation))).toBe('confirmation_invalid');
});

test.each<[string, JsonObject, JsonObject]>([
  ['of Entra', { kid: THUMBPRINT, xms_ksl: 'sw' }, { jkt: THUMBPRINT, xms_ksl: 'sw' }],
  ['beside a certificate', { kid: THUMBPRINT, 'x5t#S256': 'b' }, { jkt: THUMBPRINT, 'x5t#S256': 'b' }],
  ['that is no thumbprint', { kid: 'client-1' }, { kid: 'client-1' }],
  ['that is padded', { kid: `${THUMBPRINT}=` }, { kid: `${THUMBPRINT}=` }],
  ['beside another key', { kid: THUMBPRINT, jwk: {} }, { kid: THUMBPRINT, jwk: {} }],
  ['beside another thumbprint', { kid: THUMBPRINT, jkt: 'a' }, { kid: THUMBPRINT, jkt: 'a' }],
])('a kid %s, where the issuer writes thumbprints', (_, confirmation, expected) => {
  expect(withKeyIdAsThumbprint(confirmation)).toEqual(expected);
});

import { describe, expect, test } from 'vitest';
import type { JsonValue } from '../../src/core/json.ts';
import { profileFromJson, profileToJson } from '../../src/devices/profile.ts';
import { codeOf } from '../fixtures/code-of.ts';

const READ = { scopes: ['read'] };

describe('a profile is refused', () => {
  test.each<[string, JsonValue | undefined]>([
    ['that is none', undefined],
    ['that is a list', [READ]],
    ['with an unknown member', { ...READ, warp: 'mac0' }],
    ['with an unknown wrap', { ...READ, wrap: 'mac' }],
    ['without a scope', {}],
    ['with an empty list of scopes', { scopes: [] }],
    ['with 65 scopes', { scopes: Array.from({ length: 65 }, (_, index) => `s${index}`) }],
    ['with a scope of two words', { scopes: ['read write'] }],
    ['with scopes in one text', { scopes: 'read' }],
    ['with a cipher as authentication', { ...READ, authentication: 'A128GCM' }],
    ['with a signature under mac0', { ...READ, authentication: 'ES256' }],
    ['with a MAC under sign1', { ...READ, wrap: 'sign1', authentication: 'HMAC 256/64' }],
    ['with a MAC under sign1+encrypt0', { ...READ, wrap: 'sign1+encrypt0', authentication: 'HMAC 256/64' }],
    ['with an authentication under encrypt0', { ...READ, wrap: 'encrypt0', authentication: 'HMAC 256/64' }],
    ['with a cipher as authentication under encrypt0', { ...READ, wrap: 'encrypt0', authentication: 'A128GCM' }],
    ['with a MAC as encryption', { ...READ, encryption: 'HMAC 256/64' }],
    ['with permissions that are a list', { permissions: [] }],
    ['with a permission that is no list', { permissions: { read: 'temperature' } }],
    ['with a row without methods', { permissions: { read: [['temperature']] } }],
    ['with a row that permits nothing', { permissions: { read: [['temperature', 0]] } }],
    ['with a method that CoAP does not have', { permissions: { read: [['temperature', 128]] } }],
    ['with a token size below 64', { ...READ, maxTokenBytes: 63 }],
    ['with a token size past 16384', { ...READ, maxTokenBytes: 16_385 }],
    ['with a broken number', { ...READ, maxTokenBytes: 100.5 }],
    ['with a cti of 3 bytes', { ...READ, ctiBytes: 3 }],
    ['with a cti of 17 bytes', { ...READ, ctiBytes: 17 }],
    ['with bearer as text', { ...READ, bearer: 'yes' }],
    ['of an offline device for bearer tokens', { ...READ, bearer: true }],
    ['with another bind', { ...READ, bind: 'last-presenter' }],
    ['with another receipt', { ...READ, receipt: 'sign1' }],
  ])('%s', (_, json) => {
    expect(codeOf(() => profileFromJson(json))).toBe('device_invalid');
  });
});

test.each(['__proto__', 'constructor', 'hasOwnProperty'])('a scope called %s is a scope like any other', (scope) => {
  const json = JSON.parse(`{"permissions":{"${scope}":[["led",4]]}}`) as JsonValue;
  const profile = profileFromJson(json);
  expect(profile.scopes).toEqual([scope]);
  expect(Object.entries(profile.permissions)).toEqual([[scope, [['led', 4]]]]);
  expect(Object.getPrototypeOf(profile.permissions)).toBe(Object.prototype);
  expect(profileFromJson(JSON.parse(JSON.stringify(profileToJson(profile))))).toEqual(profile);
});

test.each(['__proto__', 'constructor'])('permissions of %s that are none are refused', (scope) => {
  const json = JSON.parse(`{"scopes":["read"],"permissions":{"${scope}":"all"}}`) as JsonValue;
  expect(codeOf(() => profileFromJson(json))).toBe('device_invalid');
});

test('what is left out takes the defaults of docs/protocol.md', () => {
  expect(profileFromJson(READ)).toEqual({
    wrap: 'mac0',
    authentication: 'HMAC 256/64',
    encryption: 'AES-CCM-16-64-128',
    claims: 'slim',
    scopes: ['read'],
    scopeForm: 'text',
    permissions: {},
    maxTokenBytes: 1024,
    cwtTag: false,
    ctiBytes: 16,
    bearer: false,
    checksProofs: false,
    bind: 'issuer',
    receipt: 'mac0',
    clock: 'own',
  });
});

test('only a connected device verifies proofs itself', () => {
  expect(profileFromJson({ checksProofs: true }, { takesTokens: false }).checksProofs).toBe(true);
  expect(codeOf(() => profileFromJson({ ...READ, checksProofs: true }))).toBe('device_invalid');
});

test('scopes are those of the permissions where none are named', () => {
  expect(profileFromJson({ permissions: { read: [['temperature', 16]] } }).scopes).toEqual(['read']);
});

test.each(['sign1', 'mac0', 'encrypt0', 'sign1+encrypt0', 'mac0+encrypt0'])('%s survives its JSON', (wrap) => {
  const profile = profileFromJson({ ...READ, wrap });
  expect(profileFromJson(JSON.parse(JSON.stringify(profileToJson(profile))))).toEqual(profile);
});

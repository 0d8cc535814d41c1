import { describe, expect, it } from 'vitest';
import { readCredentialsFile, writeCredentialsFile } from '../../src/codec/credentials-file.ts';
import { Secret } from '../../src/core/secret.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { JWK } from '../fixtures/cose-keys.ts';

const TEXT = writeCredentialsFile({
  device: 'ekg-1',
  audience: 'https://ekg-1.ward.example',
  httpSecret: new Secret('canary-secret'),
  introspectKey: new Secret(JWK['HMAC 256/64']),
  sessionKey: new Secret(JWK['AES-CCM-16-64-128']),
});
const changed = (change: Readonly<Record<string, unknown>>) => JSON.stringify({ ...JSON.parse(TEXT), ...change });

describe('a credentials file', () => {
  it('is read as it was written', () => {
    const credentials = readCredentialsFile(TEXT);
    expect(credentials).toMatchObject({ device: 'ekg-1', audience: 'https://ekg-1.ward.example' });
    expect(credentials.httpSecret.expose()).toBe('canary-secret');
    expect(credentials.introspectKey.algorithm).toBe('HMAC 256/64');
    expect(credentials.sessionKey.algorithm).toBe('AES-CCM-16-64-128');
    expect(JSON.stringify(credentials)).not.toContain('canary');
  });

  it.each([
    ['not JSON', 'canary'],
    ['no object', '[]'],
    ['of another format', changed({ format: 'latchkey-trust-1' })],
    ['with a member that is not known', changed({ extra: 1 })],
    ['without a device', changed({ device: undefined })],
    ['without a secret', changed({ httpSecret: '' })],
    ['with a key that is none', changed({ introspectKey: 'canary' })],
    ['with a key of another algorithm', changed({ introspectKey: JWK.A128GCM })],
    ['with a key of another size', changed({ sessionKey: { ...JWK['AES-CCM-16-64-128'], k: 'AAAA' } })],
  ])('is refused %s', (_, text) => {
    expect(codeOf(() => readCredentialsFile(text))).toBe('credentials_file_invalid');
    expect(() => readCredentialsFile(text)).not.toThrow(/canary/);
  });
});

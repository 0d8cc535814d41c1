import { createSecretKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { LatchkeyError } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import { redact, redactFields, redactText } from '../../src/observe/redact.ts';

const part = (text: string) => Buffer.from(text).toString('base64url');
const CLAIMS = part('{"sub":"canary-claims"}');
const JWT = `${part('{"alg":"ES256"}')}.${CLAIMS}.${'s'.repeat(86)}`;
const SPACED = `${part('{ "alg" : "ES256" }')}.${CLAIMS}.${'s'.repeat(86)}`;
const BROKEN_LINES = `${part('{\n"alg":"ES256"}')}.${CLAIMS}.${'s'.repeat(86)}`;
const JWE = `${part('{"alg":"dir","enc":"A128GCM"}')}..${part('nonce')}.${CLAIMS}.${part('tag')}`;

describe('in text', () => {
  test.each([
    ['a JWT', JWT],
    ['a JWT with spaces in its header', SPACED],
    ['a JWT with line ends in its header', BROKEN_LINES],
    ['a JWE without encrypted key', JWE],
    ['the beginning of a JWT that was cut', JWT.slice(0, 40)],
  ])('%s is replaced, and what is around it stays', (_, token) => {
    const text = redactText(`got "${token}" from tube-1`);
    expect(text).toBe('got "[secret]" from tube-1');
  });

  test('a CWT in hexadecimal is replaced', () => {
    expect(redactText(`cwt ${'d1'.repeat(60)}.`)).toBe('cwt [secret].');
  });

  test.each([
    ['as QR text', 'latchkey:1?id=tube-1&s=00041061050R3GG28A1C60T3GF&c=='],
    ['as typed', '00041-06105-0R3GG-28A1C-60T3G-F6'],
    ['in small letters', '00041-06105-0r3gg-28a1c-60t3g-f'],
  ])('a setup code %s is replaced', (_, code) => {
    expect(redactText(`typed "${code}" for tube-1`)).toBe('typed "[secret]" for tube-1');
  });

  test.each([
    'tube-1',
    'https://as.example/.well-known/oauth-authorization-server',
    '/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0',
    'eyebrow.example.com',
    'a'.repeat(64),
  ])('%s stays', (text) => {
    expect(redactText(text)).toBe(text);
  });
});

test('what would steer the terminal of who reads the log is escaped', () => {
  expect(redact({ 'a\u202e': ['\u009b2J \u001b[31m'] })).toEqual({ 'a\\u202e': ['\\u009b2J \\u001b[31m'] });
});

describe('by its name', () => {
  test.each([
    'authorization',
    'Authorization',
    'DPoP',
    'token',
    'access_token',
    'accessToken',
    'secret',
    'client_secret',
    'key',
    'answerKey',
    'jwk',
    'jwks',
    'cwt',
    'proof',
    'password',
    'setup_code',
    'cookie',
    'set-cookie',
  ])('the text under %s is replaced', (name) => {
    expect(redactFields({ [name]: 'short' })).toEqual({ [name]: '[secret]' });
  });

  test('an object under such a name is replaced whole', () => {
    expect(redactFields({ jwk: { kty: 'oct', k: 'x' } })).toEqual({ jwk: '[secret]' });
  });

  test.each(['key_id', 'token_hash', 'token_type', 'keys_age', 'monkey', 'device', 'jwks_uri'])(
    'what is under %s stays',
    (name) => {
      expect(redactFields({ [name]: 'short' })).toEqual({ [name]: 'short' });
    },
  );

  test('a count under such a name stays', () => {
    expect(redactFields({ tokens: 3 })).toEqual({ tokens: 3 });
  });
});

describe('by its type', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

  test.each([
    ['a Secret', new Secret('canary'), '[secret]'],
    ['a Buffer', Buffer.from('canary'), '[6 bytes]'],
    ['a Uint8Array', new Uint8Array(16), '[16 bytes]'],
    ['an ArrayBuffer', new ArrayBuffer(8), '[8 bytes]'],
    ['a private key', privateKey, '[key]'],
    ['a secret key', createSecretKey(Buffer.from('canary')), '[key]'],
    ['a Map', new Map([['k', 'canary']]), '[1 entries]'],
    ['a function', () => 'canary', undefined],
  ])('%s is replaced', (_, value, expected) => {
    expect(redact(value)).toEqual(expected);
    expect(redact({ nested: [value] })).toEqual({ nested: [expected] });
  });

  test('a date and a URL are text', () => {
    expect(redact(new Date(0))).toBe('1970-01-01T00:00:00.000Z');
    expect(redact(new URL('https://as.example/a'))).toBe('https://as.example/a');
  });

  test('a value that holds itself has an end', () => {
    const endless: Record<string, unknown> = {};
    endless.self = endless;
    expect(JSON.stringify(redact(endless))).toContain('[deep]');
  });

  test('a list of a million items is cut', () => {
    expect(redact(new Array(1_000_000).fill('x'))).toHaveLength(256);
  });
});

describe('an error', () => {
  test('of ours says code, detail and where it came from', () => {
    expect(redact(new LatchkeyError('jwt_expired', 'at 5'))).toEqual({
      code: 'jwt_expired',
      detail: 'at 5',
      stack: expect.arrayContaining([expect.stringMatching(/^at .*redact\.test/)]),
    });
  });

  test('of ours with a token in its detail loses the token', () => {
    expect(JSON.stringify(redact(new LatchkeyError('jwt_malformed', JWT)))).not.toContain(CLAIMS);
  });

  test('of JSON.parse does not repeat its input', () => {
    let thrown: unknown;
    try {
      JSON.parse('canary-input');
    } catch (error) {
      thrown = error;
    }
    const text = JSON.stringify(redact(new LatchkeyError('internal', undefined, { cause: thrown })));
    expect(text).toContain('SyntaxError');
    expect(text).not.toContain('canary');
  });

  test.each([
    ['16 random bytes in hexadecimal', 'a3f1c2d4e5b60718293a4b5c6d7e8f90'],
    ['16 random bytes in base64url', 'o_HC1OW2BxgpOktcbX6PkA'],
  ])('of others loses %s', (_, canary) => {
    const text = JSON.stringify(redact(new Error('x', { cause: new TypeError(`bad value ${canary}`) })));
    expect(text).toContain('bad value [secret]');
    expect(text).not.toContain(canary);
  });

  test('of the system keeps its code and address', () => {
    const error = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:9000'), { code: 'ECONNREFUSED' });
    expect(redact(error)).toMatchObject({ code: 'ECONNREFUSED', message: 'connect ECONNREFUSED 127.0.0.1:9000' });
  });

  test('with properties of its own does not print them', () => {
    const error = Object.assign(new Error('x'), { request: { headers: { authorization: `Bearer ${JWT}` } } });
    expect(JSON.stringify(redact(error))).not.toContain('headers');
  });

  test('that is its own cause has an end', () => {
    const error = new Error('x');
    error.cause = error;
    expect(JSON.stringify(redact(error)).length).toBeLessThan(50_000);
  });
});

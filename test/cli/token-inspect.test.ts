import { describe, expect, test } from 'vitest';
import { encodeCbor } from '../../src/codec/cbor.ts';
import { importJwk } from '../../src/codec/cose/key.ts';
import { makeCwt } from '../../src/codec/cwt.ts';
import { base64url, hex } from '../../src/core/bytes.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { runLine } from '../fixtures/fake-terminal.ts';

const CANARY = Buffer.alloc(32, 0xca);
const key = importJwk({ kty: 'oct', kid: 'tube', k: base64url(Buffer.alloc(32, 1)) }, 'HMAC 256/64');

function cwt(confirmation: Parameters<typeof makeCwt>[0]['confirmation']): Uint8Array {
  const claims = {
    audience: 'https://tube-1.example',
    expiresAt: 1_700_000_000,
    scope: 'read',
    ...(confirmation && { confirmation }),
  };
  return makeCwt(claims, {
    wrap: 'mac0',
    keys: { authentication: key },
    cwtTag: true,
    nonce: () => new Uint8Array(13),
  });
}

async function inspect(content: Uint8Array | string, ...options: string[]) {
  return runLine(['token', 'inspect', ...options, 'token'], { token: content });
}

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
function jwt(claims: JsonObject): string {
  return `${part({ alg: 'ES256', typ: 'at+jwt' })}.${part(claims)}.${base64url(Buffer.alloc(64))}`;
}

const SYMMETRIC = {
  method: 'COSE_Key',
  key: new Map<number, number | Uint8Array>([
    [1, 4],
    [-1, CANARY],
  ]),
} as const;
const TOKEN = cwt({ method: 'kid', keyId: Buffer.from('ekg1') });
const NOTATION = `/ CWT, 71 bytes, not verified /
/ CWT / 61(/ COSE_Mac0 / 17([
  / protected / <<{
    / alg / 1: 4 / HMAC 256-64 /
  }>>,
  / unprotected / {
    / kid / 4: h'74756265' / tube /
  },
  / payload / <<{
    / aud / 3: "https://tube-1.example",
    / exp / 4: 1700000000 / 2023-11-14T22:13:20.000Z /,
    / cnf / 8: {
      / kid / 3: h'656b6731' / ekg1 /
    },
    / scope / 9: "read"
  }>>,
  / signature or tag / ... / signature or tag, 8 bytes /
]))`;

describe('a CWT', () => {
  test.each([
    ['as raw bytes', TOKEN],
    ['in hexadecimal', hex(TOKEN)],
    ['in hexadecimal with line ends', `${hex(TOKEN).replace(/(.{32})/g, '$1\n')}\n`],
    ['in base64', Buffer.from(TOKEN).toString('base64')],
    ['in base64url', base64url(TOKEN)],
  ])('%s is shown in diagnostic notation', async (_, content) => {
    expect(await inspect(content)).toEqual({ status: 0, printed: NOTATION, noted: '' });
  });

  test('is one JSON object with --json', async () => {
    const { printed } = await inspect(TOKEN, '--json');
    expect(JSON.parse(printed)).toMatchObject({ kind: 'cwt', verified: false, bytes: TOKEN.length });
  });

  test('without tags is recognized', async () => {
    const untagged = TOKEN.slice(3);
    expect((await inspect(untagged)).printed).toContain('/ exp / 4: 1700000000');
  });

  test('that is encrypted shows the size of its ciphertext only', async () => {
    const cipher = importJwk({ kty: 'oct', k: base64url(Buffer.alloc(16, 1)) }, 'AES-CCM-16-64-128');
    const options = {
      wrap: 'encrypt0',
      keys: { encryption: cipher },
      cwtTag: false,
      nonce: () => new Uint8Array(13),
    } as const;
    const { printed } = await inspect(makeCwt({ expiresAt: 5 }, options));
    expect(printed).toMatch(/\/ ciphertext \/ \.\.\. \/ ciphertext, \d+ bytes \//);
  });
});

describe('a key is never shown', () => {
  test.each([
    ['a symmetric COSE_Key', cwt(SYMMETRIC)],
    [
      'a private COSE_Key',
      cwt({
        method: 'COSE_Key',
        key: new Map<number, number | Uint8Array>([
          [1, 2],
          [-1, 1],
          [-4, CANARY],
        ]),
      }),
    ],
    [
      'a COSE_Key of no known type',
      cwt({
        method: 'COSE_Key',
        key: new Map<number, number | Uint8Array>([
          [1, 99],
          [-2, CANARY],
        ]),
      }),
    ],
    ['a claim that nobody knows', encodeCbor(new Map([[99, CANARY]]))],
    [
      'a COSE_Key on its own',
      encodeCbor(
        new Map<number, number | Uint8Array>([
          [1, 4],
          [-1, CANARY],
        ]),
      ),
    ],
    ['a JWK in cnf', jwt({ cnf: { jwk: { kty: 'oct', k: base64url(CANARY) } } })],
    ['a JWK without its type', jwt({ cnf: { jwk: { d: base64url(CANARY) } } })],
    ['a JWK Set in a claim', jwt({ x: { keys: [{ k: base64url(CANARY) }] } })],
  ])('%s', async (_, content) => {
    for (const options of [[], ['--json']]) {
      const { status, printed } = await inspect(content, ...options);
      expect(status).toBe(0);
      expect(printed).not.toContain(hex(CANARY).slice(0, 16));
      expect(printed).not.toContain(base64url(CANARY).slice(0, 16));
    }
  });
});

describe('a JWT', () => {
  const text = jwt({ iss: 'https://as.example', exp: 1_700_000_000, cnf: { jkt: 'abc' } });

  test('is shown with header, claims and readable dates, and said to be unverified', async () => {
    const { status, printed } = await inspect(`${text}\n`);
    expect(status).toBe(0);
    expect(printed).toContain(`JWT, ${text.length} bytes, not verified`);
    expect(printed).toContain('"typ": "at+jwt"');
    expect(printed).toContain('"jkt": "abc"');
    expect(printed).toContain('exp is 2023-11-14T22:13:20.000Z');
    expect(printed).toContain('Signature of 64 bytes');
  });

  test('in hexadecimal is recognized', async () => {
    expect((await inspect(Buffer.from(text).toString('hex'))).printed).toContain('JWT, ');
  });

  test('that is encrypted shows its header only', async () => {
    const { printed } = await inspect(`${part({ alg: 'dir', enc: 'A128GCM' })}..AAAA.${base64url(CANARY)}.AAAA`);
    expect(printed).toContain('JWE, ');
    expect(printed).not.toContain(base64url(CANARY));
  });

  test('does not steer the terminal', async () => {
    const { printed } = await inspect(jwt({ sub: 'a\u009b2J\u202eb' }));
    expect(printed).not.toMatch(/[\u009b\u202e]/u);
  });
});

describe('what is no token is refused', () => {
  test.each([
    ['text', 'this is no token!', 'token_unreadable'],
    ['nothing', '', 'token_unreadable'],
    ['a JWT whose header is no JSON', 'AAAA.AAAA.AAAA', 'token_unreadable'],
    ['bytes that are no CBOR', new Uint8Array([0xff, 0xff]), 'token_unreadable'],
    ['a CWT that was cut', TOKEN.slice(0, -1), 'token_unreadable'],
    ['a file past the limit', 'a'.repeat(200_000), 'request_too_large'],
  ])('%s', async (_, content, code) => {
    const { status, printed, noted } = await inspect(content, '--json');
    expect({ status, printed }).toEqual({ status: 1, printed: '' });
    expect(JSON.parse(noted)).toMatchObject({ error: { code } });
  });
});

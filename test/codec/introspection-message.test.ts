import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CborKey, type CborValue, decodeCbor, encodeCbor } from '../../src/codec/cbor.ts';
import { INTROSPECTION as I, INTROSPECTION_PRIVATE as P } from '../../src/codec/iana.ts';
import {
  readIntrospectionCbor,
  readIntrospectionForm,
  readIntrospectionJson,
  writeIntrospectionCbor,
  writeIntrospectionForm,
  writeIntrospectionJson,
} from '../../src/codec/introspection-message.ts';
import { base64url, sha256, utf8 } from '../../src/core/bytes.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { Secret } from '../../src/core/secret.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { HOSTILE_CBOR } from '../fixtures/hostile-cbor.ts';
import { HOSTILE_FORMS, HOSTILE_JSON } from '../fixtures/hostile-text.ts';
import { exposed, introspectionQuestion } from '../fixtures/introspection-arbitrary.ts';

const PEM = readFileSync(new URL('../fixtures/tls/server.pem', import.meta.url), 'utf8');
const DER = new X509Certificate(PEM).raw;

const form = (text: string) => readIntrospectionForm(utf8(text));
const formCode = (text: string) => codeOf(() => form(text));
const json = (members: Readonly<Record<string, unknown>>) => readIntrospectionJson(utf8(JSON.stringify(members)));
const cbor = (...entries: readonly (readonly [CborKey, CborValue])[]) =>
  readIntrospectionCbor(encodeCbor(new Map(entries)));
const cborCode = (...entries: readonly (readonly [CborKey, CborValue])[]) => codeOf(() => cbor(...entries));

const DPOP = 'proof_type=dpop&dpop=a.b.c&htm=GET&htu=https%3A%2F%2Fekg-1.example%2Fecg';
const COSE = `proof_type=cose&cose_proof=${base64url(new Uint8Array(40))}&nonce=${base64url(new Uint8Array(8))}`;
const X5T = `proof_type=x5t&x5t_s256=${base64url(new Uint8Array(32))}`;

describe('every question', () => {
  const cases = [
    ['form', writeIntrospectionForm, readIntrospectionForm],
    ['JSON', writeIntrospectionJson, readIntrospectionJson],
    ['CBOR', writeIntrospectionCbor, readIntrospectionCbor],
  ] as const;
  it.each(cases)('survives the way through %s', (_, write, read) => {
    fc.assert(
      fc.property(introspectionQuestion(), (question) => {
        expect(exposed(read(write(question)))).toEqual(exposed(question));
      }),
    );
  });
});

describe('a form', () => {
  it('with nothing but a token asks a plain question (RFC 7662 §2.1)', () => {
    expect(exposed(form('token=mF_9.B5f-4.1JqM&token_type_hint=access_token'))).toEqual({
      token: 'mF_9.B5f-4.1JqM',
      proof: undefined,
      wantsSessionKey: false,
      clientFormat: 'jose',
    });
  });

  it('may hold parameters that are not known (RFC 6749 §3.2)', () => {
    expect(form('token=t&resource=x&__proto__=y').token.expose()).toBe('t');
  });

  it('takes a parameter without a value for one that was not sent', () => {
    expect(form('token=t&proof_type=&dpop=').proof).toBeUndefined();
  });

  it('reads + as a space and percent-encoding as UTF-8', () => {
    const question = form('token=a+b%2Bc&proof_type=dpop&dpop=p&htm=GET&htu=https://x/%C3%A9');
    expect(question.token.expose()).toBe('a b+c');
    expect(question.proof).toMatchObject({ uri: 'https://x/é' });
  });

  it.each([
    ['token', ''],
    ['token', 'proof_type=dpop'],
    ['token twice', 'token=a&token=a'],
    ['an unknown parameter twice', 'token=a&x=1&x=2'],
    ['a token twice, spelled in two ways', 'token=a&%74oken=b'],
    ['broken percent-encoding', 'token=%4'],
    ['percent-encoding that is no UTF-8', 'token=%ff'],
    ['a byte beyond ASCII', 'token=é'],
    ['a line break', 'token=a\r\n'],
    ['a token with a control character', 'token=a%00'],
    ['a proof type that is not known', 'token=a&proof_type=jws'],
    ['a DPoP proof without its type', 'token=a&dpop=a.b.c&htm=GET&htu=https%3A%2F%2Fx'],
    ['a DPoP proof without its method', 'token=a&proof_type=dpop&dpop=p&htu=https%3A%2F%2Fx'],
    ['a DPoP proof without its address', 'token=a&proof_type=dpop&dpop=p&htm=GET'],
    ['a DPoP proof beside a COSE proof', `token=a&${DPOP}&cose_proof=AA`],
    ['a COSE proof without its nonce', 'token=a&proof_type=cose&cose_proof=AA'],
    [
      'a COSE proof with a nonce of 7 bytes',
      `token=a&proof_type=cose&cose_proof=AA&nonce=${base64url(new Uint8Array(7))}`,
    ],
    ['a thumbprint of 31 bytes', `token=a&proof_type=x5t&x5t_s256=${base64url(new Uint8Array(31))}`],
    ['a certificate proof without a certificate', 'token=a&proof_type=x5t'],
    ['a certificate beside the hash of another', `token=a&${X5T}&certificate=${base64url(DER)}`],
    ['a session key without a proof', 'token=a&session_key=new'],
    ['a session key that is not new', `token=a&${DPOP}&session_key=old`],
    ['a format for no session key', `token=a&${DPOP}&session_key_format=cose`],
    ['33 parameters', Array.from({ length: 33 }, (_, index) => `p${index}=`).join('&')],
  ])('is refused for %s', (_, text) => {
    expect(formCode(text)).toBe('request_invalid');
  });

  it('is refused past its size', () => {
    expect(formCode(`token=a&x=${'x'.repeat(LIMITS.introspectionRequestBytes)}`)).toBe('request_too_large');
  });

  it('is refused for a token past its size', () => {
    expect(formCode(`token=${'x'.repeat(LIMITS.jwtBytes + 1)}`)).toBe('request_invalid');
  });

  it('is refused for bytes that are not base64url', () => {
    expect(formCode('token=a&proof_type=cose&cose_proof=AA%3D%3D&nonce=AAAAAAAAAAA')).toBe('base64url_invalid');
  });

  it('never says a value in what it throws', () => {
    for (const text of [
      'token=canary%4',
      'token=canary&token=canary',
      'token=t&proof_type=canary',
      'token=can\u0000ary',
    ]) {
      expect(() => form(text)).toThrow();
      try {
        form(text);
      } catch (error) {
        expect(String(error)).not.toContain('canary');
      }
    }
  });

  it.each(HOSTILE_FORMS)('is refused with a code: $name', ({ text }) => {
    expect(formCode(text)).toMatch(/^(request_invalid|request_too_large|certificate_invalid)$/);
  });
});

describe('a client certificate', () => {
  const thumbprint = sha256(DER);
  it.each([
    ['PEM', PEM],
    ['PEM in one line, as nginx hands it on', PEM.replaceAll('\n', ' ')],
    ['DER in base64', Buffer.from(DER).toString('base64')],
    ['DER in base64url', base64url(DER)],
  ])('may come as %s', (_, certificate) => {
    const question = form(`token=t&proof_type=x5t&certificate=${encodeURIComponent(certificate)}`);
    expect(question.proof).toEqual({ kind: 'certificate', thumbprint });
  });

  it('may come as DER in CBOR, beside its hash', () => {
    expect(cbor([I.token, utf8('t')], [P.proof_type, 3], [P.certificate, DER], [P.x5t_s256, thumbprint]).proof).toEqual(
      {
        kind: 'certificate',
        thumbprint,
      },
    );
  });

  it.each([
    ['two certificates', PEM + PEM],
    ['a private key', PEM.replaceAll('CERTIFICATE', 'PRIVATE KEY')],
    ['a certificate with a byte too much', base64url(Buffer.concat([DER, Buffer.of(0)]))],
    ['half a certificate', base64url(DER.subarray(0, 100))],
    ['something that is not DER', base64url(utf8('a certificate'))],
    ['nothing but the frame', '-----BEGIN CERTIFICATE----------END CERTIFICATE-----'],
  ])('is refused as %s', (_, certificate) => {
    expect(formCode(`token=t&proof_type=x5t&certificate=${encodeURIComponent(certificate)}`)).toBe(
      'certificate_invalid',
    );
  });
});

describe('the copy for the client', () => {
  it.each([
    ['jose', DPOP],
    ['cose', COSE],
    ['jose', X5T],
  ] as const)('is %s after %s', (format, proof) => {
    expect(form(`token=t&${proof}&session_key=new`).clientFormat).toBe(format);
  });

  it('is what the device asks for', () => {
    expect(form(`token=t&${X5T}&session_key=new&session_key_format=cose`).clientFormat).toBe('cose');
  });
});

describe('a JSON request', () => {
  it('has the names of the form', () => {
    expect(json({ token: 't', proof_type: 'dpop', dpop: 'p', htm: 'GET', htu: 'https://x' }).proof?.kind).toBe('dpop');
  });

  it('is refused for a value that is no text', () => {
    expect(codeOf(() => json({ token: 7 }))).toBe('request_invalid');
  });

  it('is refused for a token twice', () => {
    expect(codeOf(() => readIntrospectionJson(utf8('{"token":"a","token":"b"}')))).toBe('json_invalid');
  });

  it('may hold members that are not known', () => {
    expect(json({ token: 't', extra: { deep: true } }).token.expose()).toBe('t');
  });

  it.each(HOSTILE_JSON)('is refused with a code: $name', ({ text }) => {
    expect(codeOf(() => readIntrospectionJson(utf8(text)))).toMatch(
      /^(json_invalid|request_invalid|request_too_large)$/,
    );
  });
});

describe('a CBOR request', () => {
  it('has the numbers of RFC 9200 §5.9.4', () => {
    const bytes = writeIntrospectionCbor({
      token: new Secret('t'),
      proof: undefined,
      wantsSessionKey: false,
      clientFormat: 'jose',
    });
    expect(decodeCbor(bytes)).toEqual(new Map([[11, utf8('t')]]));
  });

  it('may carry a hint as text or as a number', () => {
    expect(cbor([I.token, utf8('t')], [I.token_type_hint, 2]).token.expose()).toBe('t');
    expect(cbor([I.token, utf8('t')], [I.token_type_hint, 'access_token']).token.expose()).toBe('t');
  });

  it('may hold labels that are not known', () => {
    expect(cbor([I.token, utf8('t')], [99, 1], ['x', 2]).token.expose()).toBe('t');
  });

  it.each([
    ['a token as text', [[I.token, 't']]],
    ['a token that is no text inside, such as a CWT', [[I.token, Uint8Array.of(0xd2, 0x84)]]],
    ['an empty token', [[I.token, new Uint8Array(0)]]],
    ['no token', [[I.token_type_hint, 2]]],
    [
      'a proof type by name',
      [
        [I.token, utf8('t')],
        [P.proof_type, 'dpop'],
      ],
    ],
    [
      'the proof type of no proof',
      [
        [I.token, utf8('t')],
        [P.proof_type, 0],
      ],
    ],
    [
      'a DPoP proof as bytes',
      [
        [I.token, utf8('t')],
        [P.proof_type, 1],
        [P.dpop, utf8('p')],
        [P.htm, 'GET'],
        [P.htu, 'x'],
      ],
    ],
    [
      'a COSE proof as text',
      [
        [I.token, utf8('t')],
        [P.proof_type, 2],
        [P.cose_proof, 'p'],
        [P.nonce, new Uint8Array(8)],
      ],
    ],
    [
      'a session key that is true',
      [
        [I.token, utf8('t')],
        [P.session_key, true],
      ],
    ],
    [
      'a hint as bytes',
      [
        [I.token, utf8('t')],
        [I.token_type_hint, utf8('x')],
      ],
    ],
  ] as [string, [CborKey, CborValue][]][])('is refused for %s', (_, entries) => {
    expect(cborCode(...entries)).toBe('request_invalid');
  });

  it('is refused where it is no map', () => {
    expect(codeOf(() => readIntrospectionCbor(encodeCbor([11, utf8('t')])))).toBe('request_invalid');
  });

  it.each(HOSTILE_CBOR)('is refused with a code: $name', ({ bytes }) => {
    expect(codeOf(() => readIntrospectionCbor(bytes))).toMatch(/^(cbor_\w+|request_invalid|request_too_large)$/);
  });
});

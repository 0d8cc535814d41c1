import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { encodeCbor } from '../../src/codec/cbor.ts';
import { codeText } from '../../src/codec/coap/codes.ts';
import { coseKeyFromJwk } from '../../src/codec/cose/key-map.ts';
import { makeMac0 } from '../../src/codec/cose/mac0.ts';
import { type CwtClaims, encodeClaims, makeCwt } from '../../src/codec/cwt.ts';
import { COAP_METHOD, CONTENT_FORMAT } from '../../src/codec/iana.ts';
import { openReceipt, tokenHash } from '../../src/codec/signed-request.ts';
import { base64url, concat, utf8 } from '../../src/core/bytes.ts';
import {
  ANSWER_KEY,
  AUDIENCE,
  bitFlips,
  claims,
  ENCRYPTION_KEY,
  expectTokenRefusal,
  HUB,
  MAC_KEY,
  macToken,
  NOW,
  newClient,
  publicJwk,
  RECEIPT_NONCE,
  SHARED_JWK,
  STRANGE_MAC_KEY,
  trustFile,
  tube,
} from './tube.ts';

test('a good token is taken, with a receipt under the key of the device', async () => {
  const given = tube();
  const token = macToken();
  const answer = await given.give(token);
  expect(codeText(answer.code)).toBe('2.01');
  expect(answer.contentFormat).toBe(CONTENT_FORMAT.coseMac0);
  openReceipt(answer.payload, {
    key: ANSWER_KEY,
    tokenHash: tokenHash(token),
    audience: AUDIENCE,
    nonce: RECEIPT_NONCE,
  });
  expect(given.events).toEqual([
    {
      event: 'token_accepted',
      token: base64url(tokenHash(token)),
      scope: 'read',
      expiresAt: NOW + 600,
      bytes: token.length,
    },
  ]);
});

test('a refused token is refused with a receipt too, which says who refused and not why', async () => {
  const given = tube();
  const token = macToken({}, STRANGE_MAC_KEY);
  const answer = await given.give(token);
  expect(codeText(answer.code)).toBe('4.01');
  const context = { key: ANSWER_KEY, tokenHash: tokenHash(token), audience: AUDIENCE, nonce: RECEIPT_NONCE };
  openReceipt(answer.payload, { ...context, refusal: answer.code });
});

test('a device without receipts refuses with a bare code', async () => {
  const given = tube({ trust: trustFile({ receipt: 'none' }) });
  const answer = await given.give(macToken({}, STRANGE_MAC_KEY));
  expect(codeText(answer.code)).toBe('4.01');
  expect(answer.payload).toHaveLength(0);
});

test('a device without receipts answers a bare 2.01', async () => {
  const given = tube({ trust: trustFile({ receipt: 'none' }) });
  const answer = await given.give(macToken());
  expect(codeText(answer.code)).toBe('2.01');
  expect(answer.payload).toHaveLength(0);
});

test('who asks for no receipt gets a bare 2.01', async () => {
  const given = tube();
  const answer = await given.ask({
    method: COAP_METHOD.POST,
    path: ['authz-info'],
    contentFormat: CONTENT_FORMAT.cwt,
    payload: macToken(),
  });
  expect(codeText(answer.code)).toBe('2.01');
  expect(answer.payload).toHaveLength(0);
});

test('a cti that was seen is answered with the same receipt and has no second effect', async () => {
  const given = tube();
  const first = await given.give(macToken());
  const second = await given.give(macToken());
  expect(second).toEqual(first);
  expect(given.device.acceptedTokens).toBe(1);
  expect(given.device.tokens()).toHaveLength(1);
  expect(given.events.map(({ event }) => event)).toEqual(['token_accepted', 'token_known']);
});

test('the same grant in a fresh wrap has no second effect and goes by both names', async () => {
  const given = tube({ trust: trustFile({ wrap: 'sign1', keys: [publicJwk(HUB)] }) });
  const [one, two] = [signToken(), signToken()];
  expect(tokenHash(one)).not.toEqual(tokenHash(two));
  await given.give(one);
  await given.give(two);
  expect(given.device.acceptedTokens).toBe(1);
  for (const token of [one, two]) {
    const payload = tokenHash(token);
    const answer = await given.ask({ method: COAP_METHOD.POST, path: ['challenge'], payload });
    expect(codeText(answer.code)).toBe('2.01');
  }
});

test('a token without cti is known again by its hash', async () => {
  const given = tube();
  await given.give(macToken({ cwtId: undefined }));
  await given.give(macToken({ cwtId: undefined }));
  expect(given.device.acceptedTokens).toBe(1);
});

test.each([
  ['no content format', undefined],
  ['C-JWT', CONTENT_FORMAT.cjwt],
  ['octet stream', CONTENT_FORMAT.octetStream],
])('%s is refused as a format', async (_, contentFormat) => {
  const given = tube();
  const payload = macToken();
  const request = { method: COAP_METHOD.POST, path: ['authz-info'], payload };
  const answer = await given.ask(contentFormat === undefined ? request : { ...request, contentFormat });
  expect(codeText(answer.code)).toBe('4.15');
  expect(given.device.acceptedTokens).toBe(0);
});

test.each([COAP_METHOD.GET, COAP_METHOD.PUT, COAP_METHOD.DELETE, COAP_METHOD.FETCH])(
  'method %i on authz-info is refused (RFC 9200 §5.10.1.2)',
  async (method) => {
    const given = tube();
    const answer = await given.ask({
      method,
      path: ['authz-info'],
      contentFormat: CONTENT_FORMAT.cwt,
      payload: macToken(),
    });
    expect(codeText(answer.code)).toBe('4.05');
    expect(given.device.acceptedTokens).toBe(0);
  },
);

test('a token with a query is refused', async () => {
  const given = tube();
  const answer = await given.ask({
    method: COAP_METHOD.POST,
    path: ['authz-info'],
    query: ['x'],
    contentFormat: CONTENT_FORMAT.cwt,
    payload: macToken(),
  });
  expect(codeText(answer.code)).toBe('4.02');
});

test('a token past the size of the device is refused before it is read', async () => {
  const given = tube({ trust: trustFile({ maxTokenBytes: 64 }) });
  await expectTokenRefusal(given, macToken(), '4.13', 'too_large');
});

test.each([
  ['nothing', new Uint8Array(0)],
  ['a JWT', utf8('eyJhbGciOiJFUzI1NiJ9.e30.AAAA')],
  ['CBOR that is no COSE', encodeCbor(new Map([[1, 2]]))],
  ['a truncated token', macToken().subarray(0, -1)],
  ['a token with bytes after it', concat(macToken(), new Uint8Array([0]))],
  ['an indefinite length', new Uint8Array([0xd1, 0x9f, 0xff])],
  ['claims that are no map', makeMac0({ payload: encodeCbor([1, 2]), key: MAC_KEY })],
  ['an exp of another type', makeMac0({ payload: encodeCbor(new Map([[4, 'soon']])), key: MAC_KEY })],
])('%s is unparsable', async (_, token) => {
  await expectTokenRefusal(tube(), token, '4.00', 'unparsable');
});

test('a token under a stranger key is not authentic', async () => {
  await expectTokenRefusal(tube(), macToken({}, STRANGE_MAC_KEY), '4.01', 'not_authentic');
});

test('a token that names a key which was not provisioned is not authentic', async () => {
  const foreign = { ...MAC_KEY, keyId: utf8('else') };
  await expectTokenRefusal(tube(), macToken({}, foreign), '4.01', 'not_authentic');
});

test('a token that names no key is not authentic where the device has names for its keys', async () => {
  await expectTokenRefusal(tube(), macToken({}, { ...MAC_KEY, keyId: undefined }), '4.01', 'not_authentic');
});

test('a token with another wrap than the one provisioned is unparsable, even under a known key', async () => {
  const encrypted = makeCwt(claims(), {
    wrap: 'encrypt0',
    keys: { encryption: ENCRYPTION_KEY },
    cwtTag: false,
    nonce: () => new Uint8Array(13),
  });
  await expectTokenRefusal(tube(), encrypted, '4.00', 'unparsable');
});

test('a token that lacks its outer layer is unparsable', async () => {
  const given = tube({ trust: trustFile({ wrap: 'mac0+encrypt0' }) });
  await expectTokenRefusal(given, macToken(), '4.00', 'unparsable');
});

test('a token with tag 61 is unparsable where the device was told that there is none', async () => {
  await expectTokenRefusal(tube(), concat(new Uint8Array([0xd8, 61]), macToken()), '4.00', 'unparsable');
});

test('a token with one more unprotected header is unparsable: it would have a second hash', async () => {
  const token = makeMac0({ payload: encodeClaims(claims()), key: MAC_KEY, unprotectedHeader: new Map([[99, 1]]) });
  await expectTokenRefusal(tube(), token, '4.00', 'unparsable');
});

test('tag 61 is taken where the device wants it', async () => {
  const given = tube({ trust: trustFile({ cwtTag: true }) });
  const answer = await given.give(concat(new Uint8Array([0xd8, 61]), macToken()));
  expect(codeText(answer.code)).toBe('2.01');
});

test('a full device refuses a token of another client', async () => {
  const given = tube({ slots: 2 });
  for (const fill of [1, 2])
    await given.give(macToken({ cwtId: new Uint8Array(16).fill(fill), confirmation: freshKey() }));
  const answer = await given.give(macToken({ cwtId: new Uint8Array(16).fill(3), confirmation: freshKey() }));
  expect(codeText(answer.code)).toBe('5.03');
  expect(given.events.at(-1)).toMatchObject({ reason: 'slots_full' });
  expect(given.device.tokens()).toHaveLength(2);
});

test('a full device lets a newer token of one client supersede its oldest, and never the other way', async () => {
  const given = tube({ slots: 2 });
  const at = (issuedAt: number) => macToken({ issuedAt, cwtId: encodeCbor(issuedAt) });
  await given.give(at(NOW - 9));
  await given.give(at(NOW - 8));
  expect(codeText((await given.give(at(NOW - 7))).code)).toBe('2.01');
  expect(given.device.tokens().map(({ issuedAt }) => issuedAt)).toEqual([NOW - 8, NOW - 7]);
  expect(codeText((await given.give(at(NOW - 9))).code)).toBe('5.03');
});

test('an expired token makes room', async () => {
  const given = tube({ slots: 1 });
  await given.give(macToken({ expiresAt: NOW + 10 }));
  await given.time.advance(10_000);
  const answer = await given.give(macToken({ cwtId: new Uint8Array(16).fill(2), confirmation: freshKey() }));
  expect(codeText(answer.code)).toBe('2.01');
});

test.each([
  ['mac0', () => ({ given: tube(), token: macToken() })],
  [
    'sign1',
    () => ({ given: tube({ trust: trustFile({ wrap: 'sign1', keys: [publicJwk(HUB)] }) }), token: signToken() }),
  ],
  [
    'mac0 inside encrypt0',
    () => ({
      given: tube({ trust: trustFile({ wrap: 'mac0+encrypt0' }) }),
      token: makeCwt(claims(), {
        wrap: 'mac0+encrypt0',
        keys: { authentication: MAC_KEY, encryption: ENCRYPTION_KEY },
        cwtTag: false,
        nonce: () => new Uint8Array(13).fill(5),
      }),
    }),
  ],
])('no token with one bit turned is taken: %s', async (_, build) => {
  const { given, token } = build();
  const taken: number[] = [];
  for (const { bit, flipped } of bitFlips(token)) {
    const answer = await given.give(flipped);
    if (answer.code >> 5 === 2) taken.push(bit);
    if (answer.code >> 5 === 5) throw new Error(`bit ${bit} made the device fail`);
  }
  expect(taken).toEqual([]);
  expect(codeText((await given.give(token)).code)).toBe('2.01');
});

test('neither what is held nor what happened prints a shared key', async () => {
  const given = tube();
  await given.give(macToken({ confirmation: { method: 'COSE_Key', key: coseKeyFromJwk(SHARED_JWK) } }));
  const printed = inspect([given.device.tokens(), given.events], { depth: 20 }) + JSON.stringify(given.device.tokens());
  const secret = Buffer.from(SHARED_JWK.k, 'base64url');
  expect(printed).toContain('read');
  for (const form of [SHARED_JWK.k, secret.toString('hex'), secret.subarray(0, 4).join(', '), '04 04 04 04']) {
    expect(printed).not.toContain(form);
  }
});

function signToken(): Uint8Array {
  return makeCwt(claims(), {
    wrap: 'sign1',
    keys: { authentication: HUB.key },
    cwtTag: false,
    nonce: () => new Uint8Array(0),
  });
}

function freshKey(): CwtClaims['confirmation'] {
  return { method: 'COSE_Key', key: coseKeyFromJwk(publicJwk(newClient())) };
}

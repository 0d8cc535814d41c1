/** The vectors for docs/protocol.md, "Time": made anew from fixed keys, compared with the file, and judged by a device. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { codeText } from '../../src/codec/coap/codes.ts';
import { encodeMessage } from '../../src/codec/coap/message.ts';
import { makeCreationHints, readCreationHints } from '../../src/codec/creation-hints.ts';
import { type CwtClaims, encodeClaims, makeCwt } from '../../src/codec/cwt.ts';
import { deriveDeviceKey } from '../../src/codec/device-keys.ts';
import { exiSequence, exiTokenId } from '../../src/codec/exi-token-id.ts';
import { COAP_METHOD, COAP_OPTION, COAP_TYPE } from '../../src/codec/iana.ts';
import { makeTimeAnswer, openTimeAnswer, timeQuery } from '../../src/codec/time-answer.ts';
import { concat, fromHex, hex, utf8 } from '../../src/core/bytes.ts';
import { isCoded } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import { judgeToken, TOKEN_REFUSALS, type TokenRefusal } from '../../src/sim/judge-token.ts';
import { trustFile } from '../sim/tube.ts';

const root = new Secret(new Uint8Array(32).map((_, index) => index));
const device = 'tube-1';
const audience = 'coap://tube-1';
const nonce = fromHex('a0a1a2a3a4a5a6a7');
const time = 1_795_490_445;
const timeKey = deriveDeviceKey(root, 'time', 'HMAC 256/64');
const answerKey = deriveDeviceKey(root, 'answer', 'HMAC 256/64');
const tokenMac = deriveDeviceKey(root, 'token-mac', 'HMAC 256/64');
const query = timeQuery({ device, nonce });
const answer = makeTimeAnswer({ device, nonce, key: timeKey.key, time });

const cnonce = fromHex('0000012c0102030405060708');
const hints = makeCreationHints({ as: 'https://as.example', audience, cnonce });
const jwtDigest = fromHex('c37aff42d5402bbcd776f823ba267ad6');
const cti = exiTokenId(device, exiSequence(1_795_490_445, jwtDigest));
const claims: CwtClaims = {
  audience,
  issuedAt: 1_795_490_445,
  cwtId: cti,
  confirmation: { method: 'kid', keyId: utf8('client') },
  scope: 'read',
  cnonce,
  expiresIn: 600,
};
const cwt = (more: Partial<CwtClaims> = {}) =>
  makeCwt(
    { ...claims, ...more },
    { wrap: 'mac0', keys: { authentication: tokenMac.key }, cwtTag: false, nonce: () => new Uint8Array(13) },
  );

const vectors = {
  keys: { root: hex(root.expose()), time: timeKey.jwk.expose(), token_mac: tokenMac.jwk.expose() },
  time: {
    device,
    nonce: hex(nonce),
    query,
    request_coap: hex(
      encodeMessage({
        type: COAP_TYPE.CON,
        code: COAP_METHOD.GET,
        messageId: 0x1234,
        token: fromHex('aabbccdd'),
        options: [
          { number: COAP_OPTION.uriPath, value: utf8('time') },
          ...query.map((segment) => ({ number: COAP_OPTION.uriQuery, value: utf8(segment) })),
        ],
        payload: new Uint8Array(0),
      }),
    ),
    external_aad: hex(
      concat(fromHex('83'), fromHex('6f'), utf8('latchkey-time-1'), fromHex('66'), utf8(device), fromHex('48'), nonce),
    ),
    payload: '1a6b05028d',
    answer: hex(answer),
    says: time,
    refused: {
      for_another_nonce: hex(makeTimeAnswer({ device, nonce: fromHex('a0a1a2a3a4a5a6a8'), key: timeKey.key, time })),
      for_another_device: hex(makeTimeAnswer({ device: 'tube-2', nonce, key: timeKey.key, time })),
      under_the_key_of_another_use: hex(makeTimeAnswer({ device, nonce, key: answerKey.key, time })),
      with_another_time: hex(answer).replace('6b05028d', '6b05028e'),
    },
  },
  without_clock: {
    device,
    audience,
    cnonce: hex(cnonce),
    cnonce_given_at_uptime: 300,
    creation_hints: hex(hints),
    iat: 1_795_490_445,
    jwt_sha256_begins: hex(jwtDigest.subarray(0, 4)),
    cti: hex(cti),
    claims_cbor: hex(encodeClaims(claims)),
    mac0: hex(cwt()),
    ends_at_uptime: 900,
    refused: {
      without_cnonce: { mac0: hex(cwt({ cnonce: undefined })), code: '4.01' },
      with_a_cnonce_of_another_device: {
        mac0: hex(cwt({ cnonce: fromHex('0000012c0102030405060709') })),
        code: '4.01',
      },
      without_exi: { mac0: hex(cwt({ expiresIn: undefined })), code: '4.01' },
      with_exp_in_place_of_exi: { mac0: hex(cwt({ expiresIn: undefined, expiresAt: 1_795_491_045 })), code: '4.01' },
      with_the_cti_of_another_device: { mac0: hex(cwt({ cwtId: exiTokenId('tube-2', 1n) })), code: '4.00' },
      with_a_cti_that_is_a_hash: { mac0: hex(cwt({ cwtId: jwtDigest })), code: '4.00' },
    },
  },
};

/** A device that gave this one nonce. @param seconds since it was switched on */
function judged(mac0: string, seconds = 300): string {
  const trust = {
    ...trustFile({ device, audience, keys: [tokenMac.jwk.expose()] }),
    confirmationKeys: [{ ...timeKey.key, keyId: utf8('client') }],
  };
  const uptime = { seconds, givenAt: (given: Uint8Array) => (hex(given) === hex(cnonce) ? 300 : undefined) };
  const verdict = judgeToken(fromHex(mac0), trust, { earliest: 0, latest: undefined }, uptime);
  return verdict.kind === 'good' ? `2.01 until ${verdict.token.expiresAt}` : verdict.reason;
}

test('the file of vectors is what the program makes', async () => {
  await expect(`${JSON.stringify(vectors, undefined, 2)}\n`).toMatchFileSnapshot('../vectors/latchkey/time.json');
});

describe('the answer to the question for the time', () => {
  test('opens and says the time', () => {
    expect(openTimeAnswer(answer, { device, nonce, key: timeKey.key })).toBe(time);
    expect(vectors.time.payload).toBe(hex(answer).slice(-28, -18));
  });

  test.each(Object.entries(vectors.time.refused))('is refused %s', (_, bytes) => {
    let error: unknown;
    try {
      openTimeAnswer(fromHex(bytes), { device, nonce, key: timeKey.key });
    } catch (thrown) {
      error = thrown;
    }
    expect(isCoded(error)).toBe(true);
  });
});

describe('a token for a device without a clock', () => {
  test('is taken with its nonce', () => {
    expect(readCreationHints(hints).cnonce).toEqual(cnonce);
    expect(judged(vectors.without_clock.mac0)).toBe('2.01 until 900');
  });

  test('ends by its nonce, however late it comes', () => {
    expect(judged(vectors.without_clock.mac0, 899)).toBe('2.01 until 900');
    expect(judged(vectors.without_clock.mac0, 900)).toBe('expired');
  });

  const reasons: Readonly<Record<string, string>> = {
    without_cnonce: 'client_nonce_stale',
    with_a_cnonce_of_another_device: 'client_nonce_stale',
    without_exi: 'expiry_missing',
    with_exp_in_place_of_exi: 'expiry_missing',
    with_the_cti_of_another_device: 'token_id_unusable',
    with_a_cti_that_is_a_hash: 'token_id_unusable',
  };

  test.each(Object.entries(vectors.without_clock.refused))('is refused %s', (name, { code, mac0 }) => {
    const reason = judged(mac0);
    expect(reason).toBe(reasons[name]);
    expect(codeText(TOKEN_REFUSALS[reason as TokenRefusal])).toBe(code);
  });
});

test('docs/protocol.md shows the same bytes', () => {
  const page = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');
  const shown = (name: string) =>
    new RegExp(`\`\`\`hex ${name}\n([^\`]+)\`\`\``).exec(page)?.[1]?.replaceAll(/\s/g, '');
  expect(shown('time-request')).toBe(vectors.time.request_coap);
  expect(shown('time-answer')).toBe(vectors.time.answer);
  expect(shown('creation-hints')).toBe(vectors.without_clock.creation_hints);
  expect(shown('token-without-clock')).toBe(vectors.without_clock.mac0);
});

import { beforeEach, describe, expect, test } from 'vitest';
import { codeText } from '../../src/codec/coap/codes.ts';
import { readCreationHints } from '../../src/codec/creation-hints.ts';
import type { CwtClaims } from '../../src/codec/cwt.ts';
import { exiSequence, exiTokenId } from '../../src/codec/exi-token-id.ts';
import { COAP_METHOD, CONTENT_FORMAT } from '../../src/codec/iana.ts';
import { tokenHash } from '../../src/codec/signed-request.ts';
import { EMPTY } from '../../src/core/bytes.ts';
import type { CoapResponse } from '../../src/core/coap-exchange.ts';
import type { TokenRefusal } from '../../src/sim/judge-token.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import {
  AUDIENCE,
  challenge,
  claims,
  expectTokenRefusal,
  macToken,
  NOW,
  opened,
  signed,
  type Tube,
  tube,
} from './tube.ts';

/** What is past for certain, whatever the hour: when the firmware was built. */
const BUILT = 1_577_836_800;
const HASH = new Uint8Array(32).fill(9);

let time: FakeTime;
let device: Tube;

beforeEach(() => {
  time = new FakeTime({ now: BUILT });
  time.forgetLatest();
  device = tube({ clock: time, random: time, hasCalendar: false });
});

const knock = () => device.ask({ method: COAP_METHOD.POST, path: ['challenge'], payload: new Uint8Array(8) });

async function cnonce(): Promise<Uint8Array> {
  return readCreationHints((await knock()).payload).cnonce ?? EMPTY;
}

const idOf = (issuedAt: number, of = 'tube-1') => exiTokenId(of, exiSequence(issuedAt, HASH));

function token(more: Partial<CwtClaims>): Uint8Array {
  return macToken({ expiresAt: undefined, expiresIn: 300, cwtId: idOf(NOW), ...more });
}

const fresh = async (more: Partial<CwtClaims> = {}) => token({ cnonce: await cnonce(), ...more });

const codeOf = ({ code }: CoapResponse) => codeText(code);

describe('a device without a clock', () => {
  test('says how to ask for a token, with a nonce of its own (RFC 9200 §5.3)', async () => {
    const answer = await knock();
    expect([codeOf(answer), answer.contentFormat]).toEqual(['4.01', CONTENT_FORMAT.aceCbor]);
    const hints = readCreationHints(answer.payload);
    expect(hints).toMatchObject({ audience: AUDIENCE });
    expect(hints.cnonce).toHaveLength(12);
  });

  test('says so on a resource as well, to whoever has no token or proves nothing', async () => {
    const bare = await device.ask({ method: COAP_METHOD.FETCH, path: ['temperature'] });
    expect(codeOf(bare)).toBe('4.01');
    expect(readCreationHints(bare.payload).cnonce).toHaveLength(12);
    const unknown = await device.ask(signed({ token: macToken(), nonce: new Uint8Array(16) }));
    expect(readCreationHints(unknown.payload).cnonce).toHaveLength(12);
  });

  test('takes a token with exi and with its nonce, and serves its holder', async () => {
    const given = await fresh();
    expect(codeOf(await device.give(given))).toBe('2.01');
    const request = signed({ token: given, nonce: await challenge(device, given) });
    const answer = await device.ask(request);
    expect(codeOf(answer)).toBe('2.05');
    expect(opened(answer, request).payload.length).toBeGreaterThan(0);
  });

  test('ends it so many seconds after it gave the nonce, whenever it came: to hold it back makes it live no longer', async () => {
    const given = await fresh({ expiresIn: 300 });
    await time.advance(200_000);
    expect(codeOf(await device.give(given))).toBe('2.01');
    expect(device.device.tokens()[0]?.expiresAt).toBe(300);
    await time.advance(99_000);
    expect(await challenge(device, given)).toHaveLength(16);
    await time.advance(1_000);
    const late = await device.ask({ method: COAP_METHOD.POST, path: ['challenge'], payload: tokenHash(given) });
    expect(codeOf(late)).toBe('4.01');
  });

  test('ends it so many seconds after it came at once', async () => {
    const given = await fresh({ expiresIn: 300 });
    await device.give(given);
    await time.advance(299_000);
    expect(await challenge(device, given)).toHaveLength(16);
    await time.advance(1_000);
    const late = await device.ask({ method: COAP_METHOD.POST, path: ['challenge'], payload: tokenHash(given) });
    expect(codeOf(late)).toBe('4.01');
    expect(device.device.tokens()).toEqual([]);
  });

  test('takes it a second time with no second effect, and no longer life', async () => {
    const given = await fresh();
    await device.give(given);
    await time.advance(200_000);
    expect(codeOf(await device.give(given))).toBe('2.01');
    expect(device.device.acceptedTokens).toBe(1);
    await time.advance(100_000);
    expect(device.device.tokens()[0]?.expiresAt).toBe(300);
  });

  test('never takes again what ended, though its nonce is still fresh (RFC 9200 §5.10.3)', async () => {
    const given = await fresh({ expiresIn: 60 });
    await device.give(given);
    await time.advance(60_000);
    expect(codeOf(await device.give(given))).toBe('4.01');
    expect(device.events.at(-1)).toMatchObject({ event: 'token_refused', reason: 'expired' });
    expect(device.device.acceptedTokens).toBe(1);
  });

  test('takes the numbers below one that ended for ended too, and those above for new', async () => {
    await device.give(await fresh({ expiresIn: 60, cwtId: idOf(NOW) }));
    await time.advance(60_000);
    expect(codeOf(await device.give(await fresh({ cwtId: idOf(NOW - 1) })))).toBe('4.01');
    expect(codeOf(await device.give(await fresh({ cwtId: idOf(NOW + 1) })))).toBe('2.01');
  });

  test('takes a token of a lower number while none that is higher has ended', async () => {
    await device.give(await fresh({ cwtId: idOf(NOW + 1) }));
    expect(codeOf(await device.give(await fresh({ cwtId: idOf(NOW) })))).toBe('2.01');
  });

  test('does not revive a token that had to make room for a newer one of its client', async () => {
    const small = tube({ clock: time, random: time, hasCalendar: false, slots: 1 });
    device = small;
    const first = await fresh({ cwtId: idOf(NOW), issuedAt: NOW });
    await device.give(first);
    await device.give(await fresh({ cwtId: idOf(NOW + 1), issuedAt: NOW + 1, expiresIn: 1 }));
    await time.advance(1_000);
    expect(codeOf(await device.give(first))).toBe('4.01');
  });

  test('does not claim to know the time', async () => {
    const { payload } = await device.ask({ method: COAP_METHOD.GET, path: ['status'] });
    expect(Buffer.from(payload).toString('hex')).toContain('6474696d65f4');
  });

  test('makes nonces that serve for ten minutes', async () => {
    const nonce = await cnonce();
    await time.advance(600_000);
    expect(codeOf(await device.give(token({ cnonce: nonce, expiresIn: 601 })))).toBe('2.01');
  });
});

describe('a device without a clock refuses', () => {
  const CASES: readonly (readonly [string, () => Promise<Uint8Array>, string, TokenRefusal])[] = [
    ['a token without cnonce', async () => token({}), '4.01', 'client_nonce_stale'],
    ['a nonce that it did not give', async () => token({ cnonce: new Uint8Array(12) }), '4.01', 'client_nonce_stale'],
    ['a nonce of another size', async () => token({ cnonce: new Uint8Array(5) }), '4.01', 'client_nonce_stale'],
    ['a token without exi', () => fresh({ expiresIn: undefined }), '4.01', 'expiry_missing'],
    [
      'a token with exp in place of exi',
      () => fresh({ expiresIn: undefined, expiresAt: NOW + 600 }),
      '4.01',
      'expiry_missing',
    ],
    ['a life of nothing', () => fresh({ expiresIn: 0 }), '4.01', 'expired'],
    ['an exp that is past for certain', () => fresh({ expiresAt: BUILT }), '4.01', 'expired'],
    ['an nbf that may be ahead', () => fresh({ notBefore: NOW }), '4.01', 'not_yet_valid'],
    ['the audience of another device', () => fresh({ audience: 'https://tube-2' }), '4.03', 'audience_foreign'],
    ['a token without cti', () => fresh({ cwtId: undefined }), '4.00', 'token_id_unusable'],
    ['a cti that is a hash', () => fresh({ cwtId: new Uint8Array(16) }), '4.00', 'token_id_unusable'],
    ['the cti of another device', () => fresh({ cwtId: idOf(NOW, 'tube-2') }), '4.00', 'token_id_unusable'],
  ];

  test.each(CASES)('%s', async (_, make, code, reason) => {
    await expectTokenRefusal(device, await make(), code, reason);
  });

  test('a token whose life since its nonce is over, though it comes for the first time', async () => {
    const given = await fresh({ expiresIn: 300 });
    await time.advance(300_000);
    await expectTokenRefusal(device, given, '4.01', 'expired');
  });

  test('a nonce of ten minutes and a second ago', async () => {
    const nonce = await cnonce();
    await time.advance(601_000);
    await expectTokenRefusal(device, token({ cnonce: nonce, expiresIn: 900 }), '4.01', 'client_nonce_stale');
  });

  test('a nonce of before it was switched off', async () => {
    const nonce = await cnonce();
    device = tube({ clock: time, random: time, hasCalendar: false });
    await expectTokenRefusal(device, token({ cnonce: nonce }), '4.01', 'client_nonce_stale');
  });

  test('a nonce with any bit turned', async () => {
    const nonce = await cnonce();
    for (let bit = 0; bit < nonce.length * 8; bit += 1) {
      const flipped = Uint8Array.from(nonce);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(codeOf(await device.give(token({ cnonce: flipped }))), `bit ${bit}`).toBe('4.01');
    }
  });
});

test('a device with a clock gives no hints: its refusals stay bare', async () => {
  const answer = await tube().ask({ method: COAP_METHOD.FETCH, path: ['temperature'] });
  expect([codeOf(answer), answer.payload.length]).toEqual(['4.01', 0]);
  expect(claims().cnonce).toBeUndefined();
});

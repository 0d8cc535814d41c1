import { generateKeyPairSync } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import { codeText } from '../../src/codec/coap/codes.ts';
import { type CoseKey, importJwk } from '../../src/codec/cose/key.ts';
import { makeCwt } from '../../src/codec/cwt.ts';
import type { DeviceTrust } from '../../src/codec/device-trust-map.ts';
import { COAP_METHOD, CONTENT_FORMAT } from '../../src/codec/iana.ts';
import { bundleFormat, makeTrustBundle, openTrustAnswer } from '../../src/codec/trust-bundle.ts';
import type { CoapResponse } from '../../src/core/coap-exchange.ts';
import type { JsonObject } from '../../src/core/json.ts';
import type { BundleRefusal } from '../../src/sim/judge-bundle.ts';
import { ANSWER_KEY, AUDIENCE, bitFlips, claims, macToken, NOW, type Tube, trustFile, tube } from './tube.ts';

const BUNDLE_JWK = {
  kty: 'oct',
  alg: 'HMAC 256/256',
  kid: 'bun1',
  k: Buffer.alloc(32, 6).toString('base64url'),
} as const;
const BUNDLE_KEY = importJwk(BUNDLE_JWK);

function hubKey(kid: string) {
  const jwk = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }) as JsonObject;
  const { d: _, ...open }: JsonObject = { ...jwk, kid, alg: 'ES256' };
  return { key: importJwk({ ...jwk, kid, alg: 'ES256' }), publicJwk: open };
}
const OLD = hubKey('old1');
const NEW = hubKey('new1');

const MACED: DeviceTrust = {
  version: 4,
  device: 'tube-1',
  audience: AUDIENCE,
  time: undefined,
  wrap: 'mac0',
  cwtTag: false,
  scopeForm: 'text',
  maxTokenBytes: 1024,
  receipt: 'mac0',
  hubKeys: [],
  issuers: [],
  permissions: { read: [['temperature', 0b1_0000]] },
  authentication: 'HMAC 256/64',
  encryption: 'AES-CCM-16-64-128',
};
const SIGNED: DeviceTrust = {
  ...MACED,
  wrap: 'sign1',
  authentication: 'ES256',
  hubKeys: [NEW.publicJwk, OLD.publicJwk],
};

let maced: Tube;
let signed: Tube;

beforeEach(() => {
  maced = tube({ trust: trustFile({ bundleKey: BUNDLE_JWK }) });
  signed = tube({ trust: trustFile({ wrap: 'sign1', keys: [OLD.publicJwk, encryptionJwk()] }) });
});

function encryptionJwk(): JsonObject {
  return { kty: 'oct', alg: 'AES-CCM-16-64-128', kid: 'enc1', k: Buffer.alloc(16, 2).toString('base64url') };
}

const make = (trust: DeviceTrust, key: CoseKey = BUNDLE_KEY) => makeTrustBundle({ trust, key, audience: AUDIENCE });

const send = (given: Tube, payload: Uint8Array, contentFormat: number = bundleFormat(BUNDLE_KEY)) =>
  given.ask({ method: COAP_METHOD.POST, path: ['trust'], contentFormat, payload });

const sendSigned = (payload: Uint8Array) => send(signed, payload, CONTENT_FORMAT.coseSign1);

const answered = (answer: CoapResponse, bundle: Uint8Array) =>
  openTrustAnswer(answer.payload, { key: ANSWER_KEY, device: 'tube-1', code: answer.code, bundle });

async function versionOf(given: Tube): Promise<number> {
  const { payload } = await given.ask({ method: COAP_METHOD.GET, path: ['status'] });
  // The map {"aud", "time", "trust", "tokens"} in the order of its encoding; the version is a small integer here.
  const at = Buffer.from(payload).indexOf(Buffer.from('657472757374', 'hex'));
  return payload[at + 6] ?? -1;
}

describe('a device takes a bundle', () => {
  test('under its own key, whole, and says which version it holds', async () => {
    const bundle = make(MACED);
    const answer = await send(maced, bundle);
    expect([codeText(answer.code), answer.contentFormat]).toEqual(['2.04', CONTENT_FORMAT.coseMac0]);
    expect(answered(answer, bundle)).toBe(4);
    expect(await versionOf(maced)).toBe(4);
    expect(maced.events.at(-1)).toMatchObject({ event: 'trust_taken', version: 4 });
  });

  test('and goes by it at once: a scope that went is not known any more', async () => {
    const configure = macToken({ scope: 'configure', cwtId: new Uint8Array(16).fill(1) });
    expect(codeText((await maced.give(configure)).code)).toBe('2.01');
    await send(maced, make(MACED));
    const again = macToken({ scope: 'configure', cwtId: new Uint8Array(16).fill(2) });
    expect(codeText((await maced.give(again)).code)).toBe('4.00');
  });

  test('of a new hub key under the old one, and takes tokens under both', async () => {
    expect(codeText((await sendSigned(make(SIGNED, OLD.key))).code)).toBe('2.04');
    for (const [fill, { key }] of [OLD, NEW].entries()) {
      const token = makeCwt(claims({ cwtId: new Uint8Array(16).fill(fill) }), {
        wrap: 'sign1',
        keys: { authentication: key },
        cwtTag: false,
        nonce: () => new Uint8Array(13),
      });
      expect(codeText((await signed.give(token)).code)).toBe('2.01');
    }
  });

  test('that takes the old hub key away, and nothing under it from then on', async () => {
    await sendSigned(make(SIGNED, OLD.key));
    expect(codeText((await sendSigned(make({ ...SIGNED, version: 5, hubKeys: [NEW.publicJwk] }, NEW.key))).code)).toBe(
      '2.04',
    );
    expect(codeText((await sendSigned(make({ ...SIGNED, version: 6 }, OLD.key))).code)).toBe('4.01');
    expect(await versionOf(signed)).toBe(5);
  });

  test('a second time with no second effect, and says the same', async () => {
    const bundle = make(MACED);
    await send(maced, bundle);
    const again = await send(maced, bundle);
    expect([codeText(again.code), answered(again, bundle)]).toEqual(['2.04', 4]);
    expect(maced.events.at(-1)).toMatchObject({ event: 'trust_known', version: 4 });
  });

  test('of issuers, and refuses the tokens of others that say whose they are', async () => {
    await send(maced, make({ ...MACED, issuers: [{ issuer: 'https://as.example', keys: [] }] }));
    const from = (issuer: string, fill: number) => macToken({ issuer, cwtId: new Uint8Array(16).fill(fill) });
    expect(codeText((await maced.give(from('https://as.example', 1))).code)).toBe('2.01');
    expect(codeText((await maced.give(from('https://evil.example', 2))).code)).toBe('4.01');
  });

  test('and takes its time for past, not for the present', async () => {
    await send(maced, make({ ...MACED, time: NOW + 1_000 }));
    const answer = await maced.give(macToken({ expiresAt: NOW + 600 }));
    expect(codeText(answer.code)).toBe('4.01');
    expect(maced.events.at(-1)).toMatchObject({ reason: 'expired' });
    const held = tube({ trust: trustFile({ bundleKey: BUNDLE_JWK }) });
    held.time.forgetLatest();
    await send(held, make({ ...MACED, time: NOW - 1_000 }));
    expect(codeText((await held.give(macToken())).code)).toBe('4.01');
    expect(held.events.at(-1)).toMatchObject({ reason: 'time_unknown' });
  });

  test('and keeps it before it says so: where that fails, nothing changed', async () => {
    const kept: number[] = [];
    let fails = true;
    const given = tube({
      trust: trustFile({ bundleKey: BUNDLE_JWK }),
      keepTrust: ({ trust }) => {
        if (fails) throw new Error('the flash is worn out');
        kept.push(trust.version);
      },
    });
    expect(codeText((await send(given, make(MACED))).code)).toBe('5.00');
    expect(await versionOf(given)).toBe(3);
    fails = false;
    expect(codeText((await send(given, make(MACED))).code)).toBe('2.04');
    expect(kept).toEqual([4]);
  });
});

describe('a device stays as it is', () => {
  async function expectRefusal(given: Tube, answer: CoapResponse, code: string, reason: BundleRefusal): Promise<void> {
    expect(codeText(answer.code)).toBe(code);
    expect(given.events.at(-1)).toMatchObject({ event: 'trust_refused', reason, code });
    expect(await versionOf(given)).toBe(3);
  }

  test.each<[string, () => Uint8Array, string, BundleRefusal]>([
    [
      'under the key for tokens',
      () =>
        make(
          MACED,
          importJwk({ kty: 'oct', alg: 'HMAC 256/64', kid: 'mac1', k: Buffer.alloc(32, 1).toString('base64url') }),
        ),
      '4.01',
      'not_authentic',
    ],
    ['for another device', () => make({ ...MACED, device: 'tube-2' }), '4.03', 'device_foreign'],
    [
      'with another audience in its seal',
      () => makeTrustBundle({ trust: MACED, key: BUNDLE_KEY, audience: 'coap://else' }),
      '4.01',
      'not_authentic',
    ],
    [
      'that wants a wrap that it has no key for',
      () => make({ ...MACED, wrap: 'sign1', authentication: 'ES256', hubKeys: [NEW.publicJwk] }),
      '4.00',
      'unusable',
    ],
    ['that wants another cipher', () => make({ ...MACED, encryption: 'A128GCM' }), '4.00', 'unusable'],
    ['of no bytes', () => new Uint8Array(0), '4.00', 'unparsable'],
    ['larger than any', () => new Uint8Array(9_000), '4.13', 'too_large'],
  ])('at a bundle %s', async (_, bundle, code, reason) => {
    const sent = bundle();
    const answer = await send(maced, sent);
    expect(answered(answer, sent)).toBe(3);
    await expectRefusal(maced, answer, code, reason);
  });

  test.each([
    ['a lower version', { ...MACED, version: 2 }],
    ['the same version with other contents', { ...MACED, version: 3 }],
  ])('at %s, and proves what it holds', async (_, trust) => {
    const bundle = make(trust);
    const answer = await send(maced, bundle);
    expect(answered(answer, bundle)).toBe(3);
    await expectRefusal(maced, answer, '4.09', 'old');
  });

  test('at a bundle of the past that comes again', async () => {
    const first = make(MACED);
    await send(maced, first);
    await send(maced, make({ ...MACED, version: 5 }));
    expect(codeText((await send(maced, first)).code)).toBe('4.09');
    expect(await versionOf(maced)).toBe(5);
  });

  test('at a hub key that it does not know', async () => {
    await expectRefusal(signed, await sendSigned(make(SIGNED, NEW.key)), '4.01', 'not_authentic');
  });

  test('at a MAC where it checks signatures', async () => {
    await expectRefusal(signed, await send(signed, make(MACED)), '4.15', 'format_unsupported');
  });

  test('with any bit turned', async () => {
    const bundle = make(MACED);
    for (const { bit, flipped } of bitFlips(bundle)) {
      await send(maced, flipped);
      expect(await versionOf(maced), `bit ${bit}`).toBe(3);
    }
  });

  test('where it was given no key for bundles', async () => {
    const plain = tube();
    const answer = await send(plain, make(MACED));
    await expectRefusal(plain, answer, '4.04', 'not_taken');
  });

  test('at another method, and at a query', async () => {
    const get = await maced.ask({ method: COAP_METHOD.GET, path: ['trust'] });
    expect(codeText(get.code)).toBe('4.05');
    const query = await maced.ask({ method: COAP_METHOD.POST, path: ['trust'], query: ['a'], payload: make(MACED) });
    expect(codeText(query.code)).toBe('4.02');
  });
});

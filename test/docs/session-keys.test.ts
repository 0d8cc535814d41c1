/** The examples of docs/protocol.md, "Relayed proofs" and "Session keys": each is made anew and compared. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { importJwk } from '../../src/codec/cose/key.ts';
import { deriveDeviceKey } from '../../src/codec/device-keys.ts';
import { jwkThumbprint } from '../../src/codec/jwk-thumbprint.ts';
import { makeRelayProof } from '../../src/codec/relay-proof.ts';
import { deriveSessionSecret, openForDevice, sealForDevice, sessionKey } from '../../src/codec/session-key.ts';
import { SessionChannel } from '../../src/codec/session-message.ts';
import { base64url, fromBase64url, fromUtf8, hex, sha256, utf8 } from '../../src/core/bytes.ts';
import { Secret } from '../../src/core/secret.ts';
import { JWK, publicJwk } from '../fixtures/cose-keys.ts';

const text = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');

function example(name: string): string {
  const [, body] = new RegExp(`^\`\`\`hex ${name}\n([^\`]*)^\`\`\`$`, 'm').exec(text) ?? [];
  if (body === undefined) throw new Error(`no example ${name}`);
  return body.replaceAll(/\s/g, '');
}

const counting = (length: number, from = 0) => Uint8Array.from({ length }, (_, index) => from + index);
const audience = 'https://ekg-1.ward.example';
const tokenDigest = new Uint8Array(sha256('mF_9.B5f-4.1JqM'));
const nonce = counting(16);
const shared = importJwk({ kty: 'oct', k: base64url(counting(32, 0x40)) }, 'HMAC 256/256');
const target = { nonce, tokenDigest, audience };
const deviceContext = {
  key: deriveDeviceKey(new Secret(counting(32)), 'session', 'AES-CCM-16-64-128').key,
  device: 'ekg-1',
  audience,
};
const facts = {
  keyId: 'c2Vzc2lv',
  expiresAt: 1_795_491_045,
  tokenHash: tokenDigest.slice(0, 16),
  clientThumbprint: new Uint8Array(fromBase64url(jwkThumbprint(publicJwk('EdDSA')))),
};
const secret = counting(16, 0xa0);

test('a proof that shows its key', () => {
  expect(text).toContain(JWK.EdDSA.d);
  const { crv, x } = JWK.EdDSA;
  const proof = makeRelayProof({ ...target, key: importJwk(JWK.EdDSA), show: { kty: 'OKP', crv, x } });
  expect(hex(proof)).toBe(example('relay-proof-sign1'));
});

test('a proof under a shared secret', () => {
  expect(hex(makeRelayProof({ ...target, key: shared }))).toBe(example('relay-proof-mac0'));
});

test('the device’s copy of a key', () => {
  const sealed = sealForDevice(secret, facts, { ...deviceContext, nonce: counting(13, 0xf0) });
  expect(hex(sealed)).toBe(example('session-key-device'));
  expect(openForDevice(sealed, deviceContext).keyId).toBe('c2Vzc2lv');
});

test('a key out of a shared secret', () => {
  const derived = deriveSessionSecret(shared.key, { nonce, tokenHash: facts.tokenHash, audience });
  expect(hex(derived.secret)).toBe(example('session-key-derived'));
});

test('a message under the key', () => {
  const session = sessionKey(secret, facts);
  const message = new SessionChannel({ session, role: 'client', audience }).seal(utf8('start'), 1_795_491_000);
  expect(hex(message)).toBe(example('session-message'));
  const device = new SessionChannel({ session, role: 'device', audience });
  expect(fromUtf8(device.open(message, 1_795_491_000))).toBe('start');
});

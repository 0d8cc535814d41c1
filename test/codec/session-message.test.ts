import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { makeEncrypt0 } from '../../src/codec/cose/encrypt0.ts';
import { type SessionKey, sessionKey } from '../../src/codec/session-key.ts';
import { SessionChannel } from '../../src/codec/session-message.ts';
import { fromUtf8, hex, utf8 } from '../../src/core/bytes.ts';
import { codeOf } from '../fixtures/code-of.ts';

const NOW = 1_700_000_000;
const AUDIENCE = 'https://ekg-1.example';
const facts = {
  keyId: 'k1',
  expiresAt: NOW + 60,
  tokenHash: new Uint8Array(16),
  clientThumbprint: new Uint8Array(32),
};
const session: SessionKey = sessionKey(new Uint8Array(16).fill(1), facts);
const channel = (role: 'client' | 'device', options: { session?: SessionKey; audience?: string } = {}) =>
  new SessionChannel({ session, audience: AUDIENCE, role, ...options });

let client: SessionChannel;
let device: SessionChannel;
beforeEach(() => {
  client = channel('client');
  device = channel('device');
});

test('carries messages both ways', () => {
  expect(fromUtf8(device.open(client.seal(utf8('start'), NOW), NOW))).toBe('start');
  expect(fromUtf8(client.open(device.seal(utf8('72 bpm'), NOW), NOW))).toBe('72 bpm');
});

test('goes on after a message was lost', () => {
  client.seal(utf8('lost'), NOW);
  expect(fromUtf8(device.open(client.seal(utf8('second'), NOW), NOW))).toBe('second');
});

test('never uses a nonce twice, in either direction', () => {
  const nonces = fc.array(fc.boolean(), { maxLength: 50 });
  fc.assert(
    fc.property(nonces, (turns) => {
      const ends = [channel('client'), channel('device')] as const;
      const messages = turns.map((turn) => hex(ends[turn ? 1 : 0].seal(new Uint8Array(0), NOW)));
      expect(new Set(messages).size).toBe(turns.length);
    }),
  );
});

describe('refuses', () => {
  test('a message that came before', () => {
    const message = client.seal(utf8('once'), NOW);
    device.open(message, NOW);
    expect(codeOf(() => device.open(message, NOW))).toBe('session_message_replayed');
  });

  test('a message that comes after a later one', () => {
    const first = client.seal(utf8('first'), NOW);
    device.open(client.seal(utf8('second'), NOW), NOW);
    expect(codeOf(() => device.open(first, NOW))).toBe('session_message_replayed');
  });

  test('its own message, sent back', () => {
    expect(codeOf(() => client.open(client.seal(utf8('x'), NOW), NOW))).toBe('cose_invalid');
  });

  test('a message of another session', () => {
    const other = channel('client', { session: sessionKey(new Uint8Array(16), facts) });
    expect(codeOf(() => device.open(other.seal(utf8('x'), NOW), NOW))).toBe('cose_verification_failed');
  });

  test('a message for another device', () => {
    const other = channel('client', { audience: 'https://other.example' });
    expect(codeOf(() => device.open(other.seal(utf8('x'), NOW), NOW))).toBe('cose_verification_failed');
  });

  test('a message with a nonce of another form', () => {
    const nonce = new Uint8Array(13).fill(1, 0, 2);
    const message = makeEncrypt0({ key: session.key, plaintext: utf8('x'), nonce });
    expect(codeOf(() => client.open(message, NOW))).toBe('cose_invalid');
  });

  test('any byte changed that says something, and takes the message itself afterwards', () => {
    const message = client.seal(utf8('exact'), NOW);
    // The kid stands in the unprotected header: it is a hint, and no part of what is said.
    const kid = hex(message).indexOf('0442') / 2;
    const said = Array.from(message.keys()).filter((at) => at < kid || at > kid + 3);
    fc.assert(
      fc.property(fc.constantFrom(...said), fc.integer({ min: 1, max: 255 }), (at, by) => {
        const copy = Uint8Array.from(message);
        copy[at] = (copy[at] ?? 0) ^ by;
        expect(codeOf(() => channel('device').open(copy, NOW))).toMatch(/^(cbor|cose)_/);
      }),
      { numRuns: 500 },
    );
    expect(fromUtf8(device.open(message, NOW))).toBe('exact');
  });

  test('to speak or to listen once the key is expired', () => {
    const message = client.seal(utf8('x'), NOW + 59);
    expect(codeOf(() => client.seal(utf8('x'), NOW + 60))).toBe('session_key_expired');
    expect(codeOf(() => device.open(message, NOW + 60))).toBe('session_key_expired');
  });
});

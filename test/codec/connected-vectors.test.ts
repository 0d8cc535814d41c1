/** The vectors for makers of connected devices, opened again from the file: each side understands what the other one made. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { importJwk } from '../../src/codec/cose/key.ts';
import { openDeviceAnswer, readDeviceRequest } from '../../src/codec/device-request.ts';
import { readIntrospectionCbor } from '../../src/codec/introspection-message.ts';
import { readIntrospectionCborAnswer } from '../../src/codec/introspection-reader.ts';
import { readRelayProof, verifyRelayProof } from '../../src/codec/relay-proof.ts';
import { openForDevice } from '../../src/codec/session-key.ts';
import { SessionChannel } from '../../src/codec/session-message.ts';
import { fromHex, fromUtf8, hex } from '../../src/core/bytes.ts';
import { type CONNECTED_VECTORS, CREDENTIALS, MESSAGES, PROOF_TARGET, SHARED } from '../fixtures/connected-vectors.ts';
import { publicJwk } from '../fixtures/cose-keys.ts';

const file = new URL('../vectors/latchkey/protocol.json', import.meta.url);
const { relay_proof: proofs, session_key: session } = JSON.parse(
  readFileSync(file, 'utf8'),
) as typeof CONNECTED_VECTORS;

test('the proofs verify, with the key that one of them shows and with the shared secret', async () => {
  const signed = readRelayProof(fromHex(proofs.sign1));
  expect(signed.shownKey).toBeDefined();
  await verifyRelayProof(signed, { ...PROOF_TARGET, key: importJwk(publicJwk('EdDSA'), 'EdDSA') });
  await verifyRelayProof(readRelayProof(fromHex(proofs.mac0)), { ...PROOF_TARGET, key: SHARED });
});

test.each([
  ['mac0', SHARED],
  ['sign1', importJwk(publicJwk('EdDSA'), 'EdDSA')],
] as const)('a proof does not verify for another nonce: %s', async (kind, key) => {
  const other = { ...PROOF_TARGET, nonce: new Uint8Array(16), key };
  await expect(verifyRelayProof(readRelayProof(fromHex(proofs[kind])), other)).rejects.toMatchObject({
    code: 'cose_verification_failed',
  });
});

test('the question hands on token, proof and nonce, and asks for a key', () => {
  const request = readDeviceRequest(fromHex(proofs.question));
  expect([request.device, hex(request.nonce)]).toEqual([CREDENTIALS.device, proofs.question_nonce]);
  const question = readIntrospectionCbor(request.open(CREDENTIALS.introspectKey));
  expect(question).toMatchObject({
    proof: { kind: 'cose', message: fromHex(proofs.mac0), nonce: fromHex(proofs.nonce) },
    wantsSessionKey: true,
  });
  expect(question.token.expose()).toBe(proofs.token);
});

test('the answer brings the key, and both ends understand each other under it', () => {
  const { device, sessionKey: key, audience } = CREDENTIALS;
  const opened = openDeviceAnswer(fromHex(session.answer), { device, nonce: fromHex(proofs.question_nonce), key });
  const { sessionKey } = readIntrospectionCborAnswer(opened.payload);
  expect(hex(sessionKey?.forDevice ?? new Uint8Array(0))).toBe(session.device_copy);
  const shared = openForDevice(fromHex(session.device_copy), { key, device, audience });
  expect(shared.keyId).toBe(session.kid);
  const open = (role: 'client' | 'device', message: string) =>
    fromUtf8(new SessionChannel({ session: shared, role, audience }).open(fromHex(message), MESSAGES.at));
  expect(open('device', session.message_of_client)).toBe(MESSAGES.fromClient);
  expect(open('client', session.message_of_device)).toBe(MESSAGES.fromDevice);
});

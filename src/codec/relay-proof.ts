/**
 * The proof that a client without DPoP gives a connected device, which hands it to the hub (docs/protocol.md, "Relayed
 * proofs"): COSE_Sign1 or COSE_Mac0 with an empty payload under the token's `cnf` key. What it proves stands in the
 * external_aad alone: the device's nonce, the token and the audience.
 */
import { EMPTY } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { type CborMap, encodeCbor, isCborMap } from './cbor.ts';
import { kindOf } from './cose/algorithm.ts';
import { type CoseKey, coseKeyFromJwk } from './cose/key.ts';
import { makeMac0, verifyMac0 } from './cose/mac0.ts';
import { type CoseMessage, parseMessage } from './cose/message.ts';
import { makeSign1, verifySign1Aside } from './cose/sign1.ts';
import { RELAY_PROOF_HEADER } from './iana.ts';

/** A token is named by this much of the SHA-256 over it, as the client presented it. */
const TOKEN_HASH_BYTES = 16;
const LEAST_NONCE_BYTES = 8;
const MOST_NONCE_BYTES = 64;

export interface RelayProofTarget {
  /** The device's own, for this one proof: 8 to 64 bytes. */
  readonly nonce: Uint8Array;
  /** SHA-256 over the token as the client presented it: 32 bytes. */
  readonly tokenDigest: Uint8Array;
  /** The `aud` that names the device. */
  readonly audience: string;
}

/** A proof of the right form; nothing in it is verified yet. */
export interface RelayProof {
  readonly message: CoseMessage;
  /** The COSE_Key that it shows, as the proof of a token with `cnf.jkt` must; not judged yet. */
  readonly shownKey: CborMap | undefined;
}

/**
 * Sign1 for a key that signs, Mac0 for a shared one, which serves HMAC 256/256.
 * @param options.show public JWK of the key: for a token that is bound by thumbprint
 * @throws {LatchkeyError} `request_invalid` for a nonce of another size
 */
export function makeRelayProof(
  options: RelayProofTarget & { readonly key: CoseKey; readonly show?: JsonObject },
): Uint8Array {
  if (!isNonce(options.nonce)) throw new LatchkeyError('request_invalid', 'nonce of another size');
  const make = kindOf(options.key.algorithm) === 'mac0' ? makeMac0 : makeSign1;
  const { show } = options;
  return make({
    payload: EMPTY,
    // Neither side needs a name for the key: the token says which one it is.
    key: { ...options.key, keyId: undefined },
    externalAad: externalAad(options),
    ...(show === undefined ? {} : { unprotectedHeader: new Map([[RELAY_PROOF_HEADER.key, coseKeyFromJwk(show)]]) }),
  });
}

/**
 * Takes a proof apart; nothing is verified.
 * @throws {LatchkeyError} `cbor_*`, `cose_*`
 */
export function readRelayProof(bytes: Uint8Array): RelayProof {
  const message = parseMessage(bytes);
  if (message.kind === 'encrypt0') throw new LatchkeyError('cose_invalid', 'neither Sign1 nor Mac0');
  if (message.content.length > 0) throw new LatchkeyError('cose_invalid', 'the payload is not empty');
  const shown = message.unprotectedHeader.get(RELAY_PROOF_HEADER.key);
  if (shown === undefined) return { message, shownKey: undefined };
  if (!isCborMap(shown)) throw new LatchkeyError('cose_invalid', 'the key is no map');
  return { message, shownKey: shown };
}

/**
 * A signature is verified on another thread (core/aside.ts).
 * @throws {LatchkeyError} `cose_algorithm_refused`, `cose_verification_failed`
 */
export async function verifyRelayProof(
  { message }: RelayProof,
  options: RelayProofTarget & { readonly key: CoseKey },
): Promise<void> {
  const verify = kindOf(options.key.algorithm) === 'mac0' ? verifyMac0 : verifySign1Aside;
  await verify(message, { key: options.key, externalAad: externalAad(options) });
}

/** Whether a nonce is one that proofs are made for. */
export function isNonce(nonce: Uint8Array): boolean {
  return nonce.length >= LEAST_NONCE_BYTES && nonce.length <= MOST_NONCE_BYTES;
}

function externalAad({ nonce, tokenDigest, audience }: RelayProofTarget): Uint8Array {
  return encodeCbor(['latchkey-relay-pop-1', nonce, tokenDigest.subarray(0, TOKEN_HASH_BYTES), audience]);
}

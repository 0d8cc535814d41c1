/**
 * COSE_Encrypt (RFC 9052 §5.1) to one public key: direct key agreement, ECDH-ES + HKDF-256 on P-256 (RFC 9053 §6.3.1), with
 * A128GCM for the content. For a client that speaks CBOR and has no shared key.
 */
import { createPublicKey, createSecretKey, diffieHellman, hkdfSync, type KeyObject } from 'node:crypto';
import { EMPTY } from '../../core/bytes.ts';
import { LatchkeyError } from '../../core/errors.ts';
import {
  type CborMap,
  type CborValue,
  cborTag,
  decodeCbor,
  encodeCbor,
  isCborArray,
  isCborMap,
  isCborTag,
} from '../cbor.ts';
import { COSE_ALGORITHM, COSE_ENCRYPT, COSE_HEADER } from '../iana.ts';
import { agree } from '../key-agreement.ts';
import { nonceLength } from './algorithm.ts';
import { coseKeyFromJwk, jwkFromCoseKey } from './key-map.ts';
import { seal, unseal } from './primitives.ts';

const ALGORITHM = 'A128GCM';
const KEY_BITS = 128;
const TAGS: ReadonlySet<number> = new Set([COSE_ENCRYPT.tag]);
/** The only protected headers that are made or taken, so that nothing critical or foreign can hide in them. */
const CONTENT_PROTECTED = encodeCbor(new Map([[COSE_HEADER.alg, COSE_ALGORITHM[ALGORITHM]]]));
const RECIPIENT_PROTECTED = encodeCbor(new Map([[COSE_HEADER.alg, COSE_ENCRYPT.ecdhEsHkdf256]]));

export interface EncryptToOptions {
  readonly plaintext: Uint8Array;
  /** Public EC P-256 key. */
  readonly recipient: KeyObject;
  /** Names the recipient's key, if anything does. */
  readonly keyId?: Uint8Array;
  readonly externalAad?: Uint8Array;
  /** 12 bytes. The content key is of this one message, so any will do. */
  readonly nonce: Uint8Array;
  /** Private key of this message; a fresh one by default. */
  readonly ephemeral?: KeyObject;
}

/** @throws {LatchkeyError} `session_key_unsupported` for a recipient that is not EC P-256; `cose_invalid` for a nonce of another size */
export function makeEncryptTo(options: EncryptToOptions): Uint8Array {
  const { nonce, keyId } = options;
  if (nonce.length !== nonceLength(ALGORITHM)) throw invalid('nonce of another size');
  const { ephemeralJwk, secret } = agree(options.recipient, options.ephemeral);
  const ciphertext = seal(sealing(secret, nonce, options.externalAad), options.plaintext);
  secret.fill(0);
  const recipientHeader = new Map<number, CborValue>([[COSE_ENCRYPT.ephemeralKey, coseKeyFromJwk(ephemeralJwk)]]);
  if (keyId !== undefined) recipientHeader.set(COSE_HEADER.kid, keyId);
  const recipient = [RECIPIENT_PROTECTED, recipientHeader, EMPTY];
  const message = [CONTENT_PROTECTED, new Map([[COSE_HEADER.iv, nonce]]), ciphertext, [recipient]];
  return encodeCbor(cborTag(COSE_ENCRYPT.tag, message));
}

/**
 * Decrypts and verifies. Exactly one recipient, and the tag 96, are wanted.
 * @param options.key the recipient's private key, EC P-256
 * @throws {LatchkeyError} `cbor_*`; `cose_invalid`; `cose_algorithm_refused`; `cose_key_invalid` for an ephemeral key that is
 *   none; `cose_verification_failed`
 */
export function openEncryptTo(
  bytes: Uint8Array,
  options: { readonly key: KeyObject; readonly externalAad?: Uint8Array },
): Uint8Array {
  const { nonce, ciphertext, ephemeralKey } = parse(bytes);
  const secret = agreedSecret(options.key, ephemeralKey);
  const plaintext = unseal(sealing(secret, nonce, options.externalAad), ciphertext);
  secret.fill(0);
  return plaintext;
}

interface Parsed {
  readonly nonce: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly ephemeralKey: CborMap;
}

function parse(bytes: Uint8Array): Parsed {
  const tagged = decodeCbor(bytes, { tags: TAGS });
  if (!isCborTag(tagged)) throw invalid('no tag');
  const [protectedHeader, unprotected, ciphertext, recipients] = array(tagged.value, 4, 'message');
  checkAlgorithm(protectedHeader, CONTENT_PROTECTED);
  if (!isCborMap(unprotected)) throw invalid('unprotected header is no map');
  const nonce = unprotected.get(COSE_HEADER.iv);
  if (!(nonce instanceof Uint8Array) || nonce.length !== nonceLength(ALGORITHM)) throw invalid('no IV of its size');
  if (!(ciphertext instanceof Uint8Array)) throw invalid('content is no byte string');
  const [recipient] = array(recipients, 1, 'recipients');
  return { nonce, ciphertext, ephemeralKey: ephemeralKeyOf(recipient) };
}

function ephemeralKeyOf(recipient: CborValue | undefined): CborMap {
  const [protectedHeader, unprotected, encryptedKey] = array(recipient, 3, 'recipient');
  checkAlgorithm(protectedHeader, RECIPIENT_PROTECTED);
  // RFC 9053 §6.3.1: with direct agreement there is no encrypted key.
  if (!(encryptedKey instanceof Uint8Array) || encryptedKey.length > 0) throw invalid('an encrypted key');
  const key = isCborMap(unprotected) ? unprotected.get(COSE_ENCRYPT.ephemeralKey) : undefined;
  if (!isCborMap(key)) throw invalid('no ephemeral key');
  return key;
}

function checkAlgorithm(header: CborValue | undefined, expected: Uint8Array): void {
  if (!(header instanceof Uint8Array)) throw invalid('protected header is no byte string');
  if (Buffer.compare(header, expected) !== 0) throw new LatchkeyError('cose_algorithm_refused');
}

function agreedSecret(privateKey: KeyObject, ephemeralKey: CborMap): Uint8Array {
  const { kty, crv, x, y } = jwkFromCoseKey(ephemeralKey);
  if (kty !== 'EC') throw new LatchkeyError('cose_key_invalid', 'the ephemeral key is not EC P-256');
  try {
    const publicKey = createPublicKey({ key: { kty, crv, x, y } as Record<string, string>, format: 'jwk' });
    return diffieHellman({ privateKey, publicKey });
  } catch {
    // The own key is of another curve. Whatever the library says of it stays here.
    throw new LatchkeyError('cose_verification_failed');
  }
}

function sealing(secret: Uint8Array, nonce: Uint8Array, externalAad: Uint8Array = EMPTY) {
  const contentKey = new Uint8Array(hkdfSync('sha256', secret, EMPTY, KDF_CONTEXT, KEY_BITS / 8));
  const key = createSecretKey(contentKey);
  contentKey.fill(0);
  const additionalData = encodeCbor(['Encrypt', CONTENT_PROTECTED, externalAad]);
  return { algorithm: ALGORITHM, key, nonce, additionalData } as const;
}

/** COSE_KDF_Context (RFC 9053 §5.2) with nothing to say about either party. */
const NOBODY = [null, null, null];
const KDF_CONTEXT = encodeCbor([COSE_ALGORITHM[ALGORITHM], NOBODY, NOBODY, [KEY_BITS, RECIPIENT_PROTECTED]]);

function array(value: CborValue | undefined, length: number, name: string): readonly CborValue[] {
  if (!isCborArray(value) || value.length !== length) throw invalid(`${name} is no array of ${length}`);
  return value;
}

function invalid(detail: string): LatchkeyError {
  return new LatchkeyError('cose_invalid', detail);
}

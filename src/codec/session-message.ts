/**
 * Messages between device and client under their session key (docs/protocol.md, "Session keys"): COSE_Encrypt0 each, with a
 * nonce that says who speaks and the how manieth message it is, so that no nonce comes twice and no message counts twice.
 */
import { LatchkeyError } from '../core/errors.ts';
import { encodeCbor } from './cbor.ts';
import { makeEncrypt0, openEncrypt0 } from './cose/encrypt0.ts';
import { parseMessage } from './cose/message.ts';
import { COSE_HEADER } from './iana.ts';
import type { SessionKey } from './session-key.ts';

export type SessionRole = 'client' | 'device';

/** First byte of the nonce: who made the message. */
const DIRECTION: Readonly<Record<SessionRole, number>> = { client: 0, device: 1 };
const NONCE_BYTES = 13;
/** RFC 9053 §4.2.1 has no limit for one key; far below where the 8 byte tag would begin to matter (RFC 8645). */
const MOST_MESSAGES = 0xffff_ffff;

/**
 * One end of a session. Numbers only rise, and a message whose number is not above the last one is refused: order is kept,
 * loss is not noticed. Keep one channel a key: a second one would use its nonces again.
 */
export class SessionChannel {
  readonly #session: SessionKey;
  readonly #own: number;
  readonly #other: number;
  readonly #externalAad: Uint8Array;
  #sent = 0;
  #received = 0;

  constructor(options: { readonly session: SessionKey; readonly role: SessionRole; readonly audience: string }) {
    this.#session = options.session;
    this.#own = DIRECTION[options.role];
    this.#other = 1 - this.#own;
    this.#externalAad = encodeCbor(['latchkey-session-message-1', options.audience]);
  }

  /**
   * @param time NumericDate seconds
   * @throws {LatchkeyError} `session_key_expired`, also after 2^32 − 1 messages
   */
  seal(plaintext: Uint8Array, time: number): Uint8Array {
    this.#checkTime(time);
    if (this.#sent >= MOST_MESSAGES) throw new LatchkeyError('session_key_expired', 'too many messages');
    this.#sent += 1;
    const nonce = nonceOf(this.#own, this.#sent);
    return makeEncrypt0({ plaintext, key: this.#session.key, nonce, externalAad: this.#externalAad });
  }

  /**
   * @param time NumericDate seconds
   * @throws {LatchkeyError} `session_key_expired`, `session_message_replayed`, `cbor_*`, `cose_*`
   */
  open(bytes: Uint8Array, time: number): Uint8Array {
    this.#checkTime(time);
    const number = numberOf(parseMessage(bytes, 'encrypt0').unprotectedHeader.get(COSE_HEADER.iv), this.#other);
    const { payload } = openEncrypt0(bytes, { key: this.#session.key, externalAad: this.#externalAad });
    // Only what verified may raise the number.
    if (number <= this.#received) throw new LatchkeyError('session_message_replayed');
    this.#received = number;
    return payload;
  }

  #checkTime(time: number): void {
    if (time >= this.#session.expiresAt) throw new LatchkeyError('session_key_expired');
  }
}

/** Direction, 8 zero bytes, and the number in 4 bytes, big-endian. */
function nonceOf(direction: number, number: number): Uint8Array {
  const nonce = new Uint8Array(NONCE_BYTES);
  nonce[0] = direction;
  new DataView(nonce.buffer).setUint32(NONCE_BYTES - 4, number);
  return nonce;
}

function numberOf(nonce: unknown, direction: number): number {
  if (!(nonce instanceof Uint8Array) || nonce.length !== NONCE_BYTES) throw invalid('no IV of its size');
  const number = new DataView(nonce.buffer, nonce.byteOffset).getUint32(NONCE_BYTES - 4);
  if (Buffer.compare(nonce, nonceOf(direction, number)) !== 0) throw invalid('not a message of the other side');
  return number;
}

function invalid(detail: string): LatchkeyError {
  return new LatchkeyError('cose_invalid', detail);
}

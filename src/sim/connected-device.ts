import type { Credentials } from '../codec/credentials-file.ts';
import { DEVICE_NONCE_BYTES } from '../codec/device-request.ts';
import { base64url, hex, sha256 } from '../core/bytes.ts';
import { bestGuess, type Clock, type Random } from '../core/clock.ts';
import { coded } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import type { ConnectedEvent } from './connected-event.ts';
import { DeviceSessions } from './device-sessions.ts';
import { HeartMonitor } from './heart-monitor.ts';
import {
  type HubAnswer,
  type HubWord,
  judgeWord,
  makeQuestion,
  openAnswer,
  type Question,
  requiredNonce,
  type VerdictPolicy,
} from './hub-verdict.ts';

export interface ConnectedDeviceOptions {
  readonly credentials: Credentials;
  readonly policy: VerdictPolicy;
  /** Brings a question to the hub. @throws {LatchkeyError} `hub_no_answer` once the deadline is over */
  readonly ask: (question: Uint8Array) => Promise<HubAnswer>;
  readonly clock: Clock;
  readonly random: Random;
  readonly onEvent?: (event: ConnectedEvent) => void;
}

export interface Presented {
  readonly token: Secret<string>;
  /** The DPoP proof, as it came. */
  readonly proof: Secret<string>;
  /** The client's request, as the device knows it. */
  readonly method: string;
  readonly uri: string;
}

/** What the client gets: the name of the key, and its own copy. */
export interface Admission {
  readonly keyId: string;
  /** NumericDate seconds. */
  readonly expiresAt: number;
  readonly copy: string;
}

/** A question that was answered. */
interface Asked {
  readonly question: Question;
  readonly word: HubWord;
  /** What crossed the broker. */
  readonly bytes: { readonly question: number; readonly answer: number };
}

/** As many as a device with a few KiB of RAM keeps. */
const SESSIONS = 8;
/** Milliseconds for which one nonce serves. A client whose proof has the one before is told the new one. */
const NONCE_LIFETIME = 60_000;
const NONCE_BYTES = 16;

/**
 * The connected device of docs/protocol.md, "A device's own HTTP face", in memory. It can verify neither token nor proof:
 * it asks the hub, and without a good answer the client is refused.
 */
export class ConnectedDevice {
  readonly monitor = new HeartMonitor();
  readonly #options: ConnectedDeviceOptions;
  readonly #sessions: DeviceSessions;
  #nonce: { readonly value: string; readonly until: number } | undefined;
  /** The newest one of the hub, for the next question. */
  #hubNonce: Uint8Array | undefined;

  constructor(options: ConnectedDeviceOptions) {
    this.#options = options;
    this.#sessions = new DeviceSessions({ audience: options.credentials.audience, most: SESSIONS });
  }

  /** Sessions that are kept. */
  get sessions(): number {
    return this.#sessions.size;
  }

  /** What the next proof has to carry (RFC 9449 §9). */
  nonce(): string {
    const { clock, random } = this.#options;
    const now = clock.monotonic();
    if (this.#nonce === undefined || now >= this.#nonce.until) {
      this.#nonce = { value: base64url(random.bytes(NONCE_BYTES)), until: now + NONCE_LIFETIME };
    }
    return this.#nonce.value;
  }

  /** @throws {LatchkeyError} why the client is refused: see `openAnswer` and `judgeWord` */
  async present(presented: Presented): Promise<Admission> {
    const name = hex(sha256(presented.token.expose()).subarray(0, 8));
    try {
      return await this.#judge(presented, name);
    } catch (error) {
      const { code, detail } = coded(error);
      this.#tell({ event: 'client_refused', token: name, code, ...(detail === undefined ? {} : { detail }) });
      throw error;
    }
  }

  /** @throws {LatchkeyError} `session_key_expired`, `session_message_replayed`, `cose_*`, `cbor_*` */
  message(keyId: string, sealed: Uint8Array): Uint8Array {
    const time = bestGuess(this.#options.clock.now());
    try {
      const channel = this.#sessions.find(keyId);
      const message = channel.open(sealed, time);
      const answer = channel.seal(this.monitor.answer(message), time);
      this.#tell({ event: 'message_answered', key: keyId, bytes: message.length });
      return answer;
    } catch (error) {
      this.#tell({ event: 'message_refused', code: coded(error).code });
      throw error;
    }
  }

  async #judge(presented: Presented, name: string): Promise<Admission> {
    const { clock, policy } = this.#options;
    const { bytes, question, word } = await this.#ask(presented);
    const { age, copy, scope, session } = judgeWord(word, question, policy);
    const { expiresAt, keyId } = session;
    this.#sessions.add(session, bestGuess(clock.now()));
    this.#tell({ event: 'client_admitted', token: name, scope, key: keyId, expiresAt, age, bytes });
    return { keyId, expiresAt, copy };
  }

  /**
   * Asks the hub, a second time where it wants its newest nonce in the question: that is so after a pause, and after a
   * restart of the hub.
   */
  async #ask({ method, proof, token, uri }: Presented): Promise<Asked> {
    const { ask, credentials, random } = this.#options;
    const shown = { kind: 'dpop', proof, method, uri, nonce: this.nonce() } as const;
    const once = async () => {
      const question = { credentials, token, nonce: random.bytes(DEVICE_NONCE_BYTES) };
      const asked = makeQuestion({ ...question, hubNonce: this.#hubNonce, proof: shown });
      return { asked, question, answer: await ask(asked) };
    };
    let exchange = await once();
    const required = requiredNonce(exchange.answer);
    if (required !== undefined) {
      this.#hubNonce = required;
      exchange = await once();
    }
    const { answer, asked, question } = exchange;
    const word = openAnswer(answer, question);
    this.#hubNonce = word.hubNonce;
    return { question, word, bytes: { question: asked.length, answer: answer.payload.length } };
  }

  #tell(event: ConnectedEvent): void {
    this.#options.onEvent?.(event);
  }
}

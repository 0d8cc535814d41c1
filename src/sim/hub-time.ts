/** The clock of a device that has no battery: it asks its hub, and counts on by itself until it has to ask again. */
import { codeText } from '../codec/coap/codes.ts';
import type { CoseKey } from '../codec/cose/key.ts';
import { COAP_CODE, COAP_METHOD } from '../codec/iana.ts';
import { openTimeAnswer, TIME_NONCE_BYTES, timeQuery } from '../codec/time-answer.ts';
import type { Clock, Random, TimeBounds } from '../core/clock.ts';
import type { CoapRequest, CoapResponse } from '../core/coap-exchange.ts';
import { LatchkeyError } from '../core/errors.ts';

export interface HubTimeOptions {
  readonly device: string;
  /** The key that the hub's word for the time is under. */
  readonly key: CoseKey;
  /** Milliseconds since the device was switched on. */
  readonly monotonic: () => number;
  readonly random: Pick<Random, 'bytes'>;
  /** NumericDate that is past for certain: when the firmware was built. */
  readonly builtAt: number;
}

/** Milliseconds for which an answer serves: a cheap crystal is off by less than 9 s then. */
const LIFETIME = 86_400_000;
/** How far a cheap crystal is off: 100 ppm. */
const DRIFT = 0.0001;

interface Told {
  readonly time: number;
  readonly askedAt: number;
  readonly answeredAt: number;
}

export class HubTime implements Clock {
  readonly #options: HubTimeOptions;
  #told: Told | undefined;
  /** Below it no time is believed, whatever the hub says. */
  #floor: number;

  constructor(options: HubTimeOptions) {
    this.#options = options;
    this.#floor = options.builtAt;
  }

  monotonic(): number {
    return this.#options.monotonic();
  }

  /**
   * The hub rounded up and answered at some moment between question and answer: those are the bounds, wider as the crystal
   * counts on.
   */
  now(): TimeBounds {
    const told = this.#told;
    const now = this.monotonic();
    if (told === undefined || now - told.askedAt > LIFETIME) return { earliest: this.#floor, latest: undefined };
    const surely = ((now - told.answeredAt) / 1_000) * (1 - DRIFT);
    const possibly = ((now - told.askedAt) / 1_000) * (1 + DRIFT);
    this.#floor = Math.max(this.#floor, Math.floor(told.time - 1 + surely));
    return { earliest: this.#floor, latest: Math.max(this.#floor, Math.ceil(told.time + possibly)) };
  }

  /**
   * Asks once.
   * @throws {LatchkeyError} `device_answer_invalid` for a refusal, `cose_*` and `cbor_*` for an answer that is not of the
   *   hub, and what `request` throws
   */
  async ask(request: (question: CoapRequest) => Promise<CoapResponse>): Promise<void> {
    const { device, key, random } = this.#options;
    const nonce = random.bytes(TIME_NONCE_BYTES);
    const askedAt = this.monotonic();
    const answer = await request({ method: COAP_METHOD.GET, path: ['time'], query: timeQuery({ device, nonce }) });
    if (answer.code !== COAP_CODE.content) throw new LatchkeyError('device_answer_invalid', codeText(answer.code));
    const time = openTimeAnswer(answer.payload, { device, nonce, key });
    this.#told = { time, askedAt, answeredAt: this.monotonic() };
  }
}

/** A connected device's end of MQTT: questions to its hub, each with its answer by correlation data (MQTT 5.0 §4.10). */
import { hex } from '../../src/core/bytes.ts';
import type { Clock, Random, Timers } from '../../src/core/clock.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import type { Log } from '../../src/ports/log.ts';
import type { IncomingMessage, OutgoingMessage } from '../../src/ports/message-broker.ts';
import { BrokerConnection } from './broker-connection.ts';
import type { BrokerAccess } from './broker-session.ts';
import type { BrokerSettings } from './broker-settings.ts';
import { Topics } from './topics.ts';

export interface DeviceQuestionsOptions {
  /** The broker, and who the device is there. */
  readonly access: BrokerAccess;
  /** As in `mqtt.topic_prefix` of the hub. */
  readonly topicPrefix: string;
  /** The device's id at the hub. */
  readonly device: string;
  /** How long an answer is waited for, milliseconds. */
  readonly deadline: number;
  /** Hears of each connection to the broker, and of why there is none. */
  readonly onState: (fault: LatchkeyError | undefined) => void;
  readonly timers: Timers;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly random: Random;
  readonly log: Log;
  readonly settings?: Partial<BrokerSettings>;
}

interface HubAnswer {
  readonly contentType: string;
  readonly payload: Uint8Array;
}

/** As in src/codec/device-request.ts: RFC 9052 §2. */
const MAC0_TYPE = 'application/cose; cose-type="cose-mac0"';
const CORRELATION_BYTES = 8;
/** Questions under way: a device has few clients at once, and a client that asks more makes it refuse the others. */
const MOST_AT_ONCE = 32;

export class DeviceQuestions {
  readonly #options: DeviceQuestionsOptions;
  readonly #topics: { readonly questions: string; readonly answers: string };
  readonly #connection: BrokerConnection;
  readonly #waiting = new Map<string, (answer: HubAnswer | LatchkeyError) => void>();

  constructor(options: DeviceQuestionsOptions) {
    const { access, clock, device, log, onState, random, settings, timers, topicPrefix } = options;
    this.#options = options;
    const topics = new Topics(topicPrefix);
    this.#topics = { questions: topics.requestsOf(device), answers: topics.answersOf(device) };
    this.#connection = new BrokerConnection({
      access,
      filter: this.#topics.answers,
      onMessage: (message) => this.#take(message),
      onState,
      timers,
      clock,
      random,
      log,
      ...(settings === undefined ? {} : { settings }),
    });
  }

  /**
   * Brings a COSE_Mac0 to the hub. QoS 1: the broker keeps it until the hub has it.
   * @throws {LatchkeyError} `hub_no_answer` without a connection, without an answer in time, with too many under way, or
   *   where the broker does not take the question
   */
  async ask(payload: Uint8Array): Promise<HubAnswer> {
    const { deadline, random, timers } = this.#options;
    // What waited for a connection would be answered to no client.
    if (!this.#connection.isUp()) throw new LatchkeyError('hub_no_answer', this.#connection.health().code);
    if (this.#waiting.size >= MOST_AT_ONCE) throw new LatchkeyError('hub_no_answer', 'too many questions at once');
    const correlationData = random.bytes(CORRELATION_BYTES);
    const name = hex(correlationData);
    const { answers: responseTopic, questions: topic } = this.#topics;
    return new Promise((resolve, reject) => {
      const end = (answer: HubAnswer | LatchkeyError) => {
        cancel();
        this.#waiting.delete(name);
        if (answer instanceof LatchkeyError) reject(answer);
        else resolve(answer);
      };
      const cancel = timers.after(deadline, () => end(new LatchkeyError('hub_no_answer', `nothing in ${deadline} ms`)));
      this.#waiting.set(name, end);
      const message = { topic, payload, qos: 1, contentType: MAC0_TYPE, correlationData, responseTopic } as const;
      void this.#publish(message, name);
    });
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  /** What the broker did not take gets no answer. */
  async #publish(message: OutgoingMessage, name: string): Promise<void> {
    const sent = await this.#connection.publish(message);
    await sent.confirmed;
    const refusal = sent.refusal();
    if (refusal === undefined) return;
    const detail = `the broker does not take the question: ${refusal.detail}`;
    this.#waiting.get(name)?.(new LatchkeyError('hub_no_answer', detail));
  }

  /** An answer that is not waited for came twice, or too late. */
  #take({ contentType, correlationData, payload, settle }: IncomingMessage): void {
    settle();
    const name = correlationData === undefined ? '' : hex(correlationData);
    this.#waiting.get(name)?.({ contentType: contentType ?? '', payload });
  }
}

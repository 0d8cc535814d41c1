/**
 * The hub's MQTT front for connected devices: requests on their topics, answers on the response topic that they name
 * (MQTT 5.0 §4.10). Parses and prints; every decision about a token is behind the Relay port.
 */
import { CONCISE_PROBLEM_TYPE, makeConciseProblem } from '../../src/codec/concise-problem.ts';
import { introspectionJson } from '../../src/codec/introspection-answer.ts';
import { readIntrospectionJson } from '../../src/codec/introspection-message.ts';
import { base64url, EMPTY, hex, sha256, utf8 } from '../../src/core/bytes.ts';
import type { Clock, Random } from '../../src/core/clock.ts';
import { coded, LatchkeyError } from '../../src/core/errors.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { Shares } from '../../src/core/shares.ts';
import type { DeviceAuthentication } from '../../src/ports/device-authentication.ts';
import type { Log } from '../../src/ports/log.ts';
import type { IncomingMessage, OutgoingMessage, SentMessage } from '../../src/ports/message-broker.ts';
import type { RequestContext } from '../../src/ports/northbound.ts';
import type { ProtectedAnswer, Relay } from '../../src/ports/relay.ts';
import { PROBLEM_TYPE, problemOf } from '../http/problem.ts';
import { AnswerMemory, type RememberedAnswer } from './answer-memory.ts';
import { QuestionLog } from './question-log.ts';
import { Settlements } from './settlements.ts';
import type { Topics } from './topics.ts';

/**
 * Answers a COSE_Mac0 request of this device; one that comes twice is answered twice and verified once.
 * @throws {LatchkeyError} `device_unauthenticated`, and whatever the relay throws
 */
export type AnswerProtected = (
  request: Uint8Array,
  device: string,
  context: RequestContext,
) => Promise<ProtectedAnswer>;

export interface IntrospectionFrontOptions {
  readonly relay: Relay;
  readonly topics: Topics;
  readonly publish: (message: OutgoingMessage) => Promise<SentMessage>;
  /** Whether requests in JSON are taken, which the broker alone authenticates. */
  readonly json: boolean;
  readonly answerProtected: AnswerProtected;
  /** For the log. */
  readonly devices: Pick<DeviceAuthentication, 'isRegistered'>;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly random: Random;
  readonly log: Log;
  /** Requests worked on at once, and of them those of one device. */
  readonly atOnce?: number;
  readonly ofOneDevice?: number;
}

const JSON_TYPE = 'application/json';
const IS_JSON = /^application\/json\s*(;|$)/i;
/** RFC 9052 §2: the parameter says which of the COSE messages it is. */
const IS_MAC0 = /^application\/cose\s*;\s*cose-type\s*=\s*"?cose-mac0"?\s*$/i;
const ENCRYPT0_TYPE = 'application/cose; cose-type="cose-encrypt0"';
/**
 * How long an answer serves for a request that comes twice; milliseconds. Longer than a broker takes to restart, and as
 * long as a proof may live.
 */
const ANSWER_LIFETIME = 120_000;

/** Topics that one answer goes to at most: a device that asks again elsewhere has moved, and moves a few times. */
const MOST_RESPONSE_TOPICS = 4;

/** A request under way, and what waits for the same answer. */
interface Work {
  readonly responseTopics: Set<string>;
  readonly copies: Settlements;
}

/** An answer, or a refusal with its reason. */
interface Verdict {
  readonly answer: RememberedAnswer;
  readonly error: LatchkeyError | undefined;
}

export class IntrospectionFront {
  readonly #options: IntrospectionFrontOptions;
  readonly #atOnce: number;
  /** Of devices, in what waits for a verdict, and in what waits to be taken. */
  readonly #shares: Shares;
  readonly #log: QuestionLog;
  readonly #answers: AnswerMemory;
  readonly #underWay = new Map<string, Work>();
  readonly #counters = { requests: 0, answered: 0, answeredAgain: 0, refused: 0, ignored: 0, dropped: 0 };
  /** Requests that wait for a verdict. Answers on their way do not count: they may wait for the broker itself. */
  #judging = 0;
  #open = 0;
  #closing = false;
  #onFreed: (() => void)[] = [];
  #onIdle: (() => void) | undefined;

  constructor(options: IntrospectionFrontOptions) {
    this.#options = options;
    this.#atOnce = options.atOnce ?? LIMITS.brokerRequests;
    this.#shares = new Shares(options.ofOneDevice ?? LIMITS.brokerRequestsPerDevice);
    this.#log = new QuestionLog(options.log, options.devices);
    this.#answers = new AnswerMemory(options.clock, { lifetime: ANSWER_LIFETIME, bytes: LIMITS.brokerAnswerBytes });
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#counters, underWay: this.#open };
  }

  /** Takes what came on a request topic. The answer is a promise where too much is under way: then the broker waits. */
  take(message: IncomingMessage): void | Promise<void> {
    // Not settled: the broker brings it again, to the next run.
    if (this.#closing) return undefined;
    this.#counters.requests += 1;
    const device = this.#options.topics.deviceOf(message.topic);
    const { responseTopic } = message;
    if (device === undefined) return this.#ignore(message, device, 'no device has that topic');
    if (responseTopic === undefined) return this.#ignore(message, device, 'no response topic');
    if (!this.#options.topics.mayAnswerAt(device, responseTopic)) {
      return this.#ignore(message, device, 'the response topic is not the device’s own');
    }
    const key = keyOf(device, message);
    // Without correlation data only the broker can say that it is the same request and not a new one like it.
    const mayBeTwice = message.correlationData !== undefined || message.again;
    if (mayBeTwice && this.#isTwice(key, message, responseTopic)) return undefined;
    // To hold the broker back for one device would hold it back for all.
    if (!this.#shares.take(device)) return this.#refuseMore(device, responseTopic, message);
    if (this.#judging < this.#atOnce) return this.#start(device, responseTopic, message, key);
    if (message.qos === 0) {
      this.#shares.release(device);
      this.#counters.dropped += 1;
      return undefined;
    }
    return new Promise<void>((resolve) => this.#onFreed.push(resolve)).then(() =>
      this.#start(device, responseTopic, message, key),
    );
  }

  /** Takes nothing more; resolves when all that is under way is answered. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.#open > 0)
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    this.#log.close();
  }

  /** Whether the request was answered before, or is being answered: then it is not verified again. */
  #isTwice(key: string, message: IncomingMessage, responseTopic: string): boolean {
    const work = this.#underWay.get(key);
    if (work !== undefined) {
      if (work.responseTopics.size < MOST_RESPONSE_TOPICS) work.responseTopics.add(responseTopic);
      work.copies.add(message);
      return true;
    }
    const answer = this.#answers.get(key);
    if (answer === undefined) return false;
    const { sent } = answer;
    if (message.again && sent?.topic === responseTopic && !sent.message.isConfirmed()) {
      // The connection broke between the two, and the answer is being said again as it is.
      if (sent.copies === undefined) {
        const copies = new Settlements(message);
        sent.copies = copies;
        void sent.message.confirmed.then(() => copies.settle());
      } else sent.copies.add(message);
      return true;
    }
    // A device that asks again did not get its answer; a broker that brings it again may have lost it in a crash.
    this.#counters.answeredAgain += 1;
    void this.#publish(answer, responseTopic, message).then(message.settle);
    return true;
  }

  #start(device: string, responseTopic: string, message: IncomingMessage, key: string): void {
    if (this.#closing) return;
    const work: Work = { responseTopics: new Set([responseTopic]), copies: new Settlements(message) };
    this.#underWay.set(key, work);
    this.#judging += 1;
    this.#keepOpen(this.#work(device, message, key, work));
  }

  /** An answer of QoS 0 is not promised, as one of QoS 1 is. */
  #refuseMore(device: string, responseTopic: string, message: IncomingMessage): void {
    if (message.qos === 0) {
      this.#counters.dropped += 1;
      return;
    }
    const error = new LatchkeyError('hub_busy', 'of one device');
    const context = this.#newContext();
    const refusal = this.#refuse(error, message, context);
    this.#log.answered({ device, qos: message.qos, ms: 0, error }, context.log);
    this.#keepOpen(this.#publish(refusal, responseTopic, message).then(message.settle));
  }

  #keepOpen(work: Promise<void>): void {
    this.#open += 1;
    void work.finally(() => {
      this.#open -= 1;
      if (this.#open === 0) this.#onIdle?.();
    });
  }

  /** The lines of a request name the device each by itself. */
  #newContext(): RequestContext {
    const id = hex(this.#options.random.bytes(8));
    return { id, log: this.#options.log.child({ request: id }) };
  }

  async #work(device: string, message: IncomingMessage, key: string, work: Work): Promise<void> {
    const { clock } = this.#options;
    const context = this.#newContext();
    const started = clock.monotonic();
    const { answer, error } = await this.#verdict(device, message, context);
    if (error === undefined) this.#answers.set(key, answer);
    this.#judging -= 1;
    this.#shares.release(device);
    this.#onFreed.shift()?.();
    for (const topic of work.responseTopics) await this.#publish(answer, topic, message);
    if (this.#underWay.get(key) === work) this.#underWay.delete(key);
    // Only now: until its answer is ahead of the PUBACK on the same connection, the request stays with the broker.
    work.copies.settle();
    const ms = Math.round(clock.monotonic() - started);
    this.#log.answered({ device, qos: message.qos, ms, error }, context.log);
  }

  /** The answer, or the refusal with its reason. */
  async #verdict(device: string, message: IncomingMessage, context: RequestContext): Promise<Verdict> {
    try {
      const verdict = await this.#answer(device, message, context);
      if (verdict.error === undefined) this.#counters.answered += 1;
      return verdict;
    } catch (cause) {
      const error = coded(cause);
      return { answer: this.#refuse(error, message, context), error };
    }
  }

  async #answer(device: string, message: IncomingMessage, context: RequestContext): Promise<Verdict> {
    const { contentType = '', correlationData, payload } = message;
    if ((correlationData?.length ?? 0) > LIMITS.correlationBytes) {
      throw new LatchkeyError('request_invalid', `correlation data of more than ${LIMITS.correlationBytes} bytes`);
    }
    if (IS_MAC0.test(contentType)) {
      const given = await this.#options.answerProtected(payload, device, context);
      if (given.kind === 'sealed') return said({ payload: given.message, contentType: ENCRYPT0_TYPE });
      const error = new LatchkeyError('hub_nonce_required');
      return { answer: this.#refuse(error, message, context, given.nonce), error };
    }
    if (!IS_JSON.test(contentType) || !this.#options.json) throw new LatchkeyError('media_type_refused');
    const question = readIntrospectionJson(payload);
    const answer = await this.#options.relay.relay({ ...question, device }, context);
    const members = introspectionJson(answer, { withProof: question.proof !== undefined });
    return said({ payload: utf8(JSON.stringify(members)), contentType: JSON_TYPE });
  }

  /** In the form that the request was in, or was near to. */
  #refuse(
    error: LatchkeyError,
    { contentType = '' }: IncomingMessage,
    { id }: RequestContext,
    nonce?: Uint8Array,
  ): RememberedAnswer {
    this.#counters.refused += 1;
    if (/cose|cbor/i.test(contentType)) {
      return { payload: makeConciseProblem(error, id, nonce), contentType: CONCISE_PROBLEM_TYPE };
    }
    return { payload: utf8(JSON.stringify(problemOf(error, { id }))), contentType: PROBLEM_TYPE };
  }

  async #publish(answer: RememberedAnswer, topic: string, { correlationData, qos }: IncomingMessage): Promise<void> {
    const { contentType, payload } = answer;
    answer.sent = {
      topic,
      message: await this.#options.publish({ topic, payload, contentType, qos, correlationData }),
    };
  }

  #ignore(message: IncomingMessage, device: string | undefined, detail: string): void {
    this.#counters.ignored += 1;
    this.#log.ignored(detail, device);
    message.settle();
  }
}

function said(answer: RememberedAnswer): Verdict {
  return { answer, error: undefined };
}

/** What makes two requests the same. */
function keyOf(device: string, { correlationData, payload }: IncomingMessage): string {
  return `${device} ${hex(correlationData ?? EMPTY)} ${base64url(sha256(payload))}`;
}

import type { Clock, Random, Timers } from '../../src/core/clock.ts';
import type { ErrorCode } from '../../src/core/error-catalogue.ts';
import { coded, LatchkeyError } from '../../src/core/errors.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { Repeats } from '../../src/core/repeats.ts';
import type { Log } from '../../src/ports/log.ts';
import type { MessageBroker, MessageListener, OutgoingMessage, SentMessage } from '../../src/ports/message-broker.ts';
import { type BrokerAccess, BrokerSession, type Presence } from './broker-session.ts';
import { type BrokerSettings, DEFAULT_BROKER_SETTINGS } from './broker-settings.ts';

export interface BrokerConnectionOptions {
  readonly access: BrokerAccess;
  /** Topic filter of what is listened to, with QoS 1. */
  readonly filter: string;
  /** Left out, the session says nothing of itself. */
  readonly presence?: Presence;
  readonly onMessage: MessageListener;
  readonly timers: Timers;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly random: Random;
  readonly log: Log;
  readonly settings?: Partial<BrokerSettings> | undefined;
  /** Hears of each connection, and of why there is none. */
  readonly onState?: (fault: LatchkeyError | undefined) => void;
}

/** One line of the log a minute, and a sum. */
const MALFORMED = { window: 60_000, ofOneKind: 1, overall: 1 };

/** A message of QoS 1 until the broker has it. */
class Outstanding implements SentMessage {
  readonly message: OutgoingMessage;
  /** Resolves when it was written for the first time. */
  readonly written: Promise<SentMessage>;
  readonly confirmed: Promise<void>;
  onWritten: () => void = ignore;
  #confirm: () => void = ignore;
  #isConfirmed = false;
  #refusal: LatchkeyError | undefined;

  constructor(message: OutgoingMessage) {
    this.message = message;
    this.written = new Promise((resolve) => {
      this.onWritten = () => resolve(this);
    });
    this.confirmed = new Promise((resolve) => {
      this.#confirm = resolve;
    });
  }

  isConfirmed(): boolean {
    return this.#isConfirmed;
  }

  refusal(): LatchkeyError | undefined {
    return this.#refusal;
  }

  confirm(refusal: LatchkeyError | undefined): void {
    this.#isConfirmed = true;
    this.#refusal = refusal;
    this.#confirm();
  }
}

/**
 * A broker by MQTT 5.0: connects at once, in the background, and again whenever the connection was lost, until `close`.
 * The session outlives its connections: what the broker has not confirmed is said again, and what the hub has not
 * settled the broker brings again.
 */
export class BrokerConnection implements MessageBroker {
  readonly #options: BrokerConnectionOptions;
  readonly #settings: BrokerSettings;
  readonly #log: Log;
  readonly #malformed = new Repeats<undefined>(MALFORMED, (_, count) => this.#tellMalformed(count, undefined));
  readonly #counters = {
    connected: 0,
    lost: 0,
    connectFailed: 0,
    received: 0,
    receivedAgain: 0,
    malformed: 0,
    sent: 0,
    sentAgain: 0,
    sentRefused: 0,
    notSent: 0,
  };
  #session: BrokerSession | undefined;
  #isUp = false;
  #fault: LatchkeyError | undefined = new LatchkeyError('broker_unreachable', 'not connected yet');
  #failures = 0;
  #upSince = 0;
  #closing = false;
  #cancelReconnect: (() => void) | undefined;
  /** In the order in which they were published. */
  #waiting: Outstanding[] = [];
  #unconfirmed = new Set<Outstanding>();

  constructor(options: BrokerConnectionOptions) {
    this.#options = options;
    this.#settings = { ...DEFAULT_BROKER_SETTINGS, ...options.settings };
    const { host, port } = options.access;
    this.#log = options.log.child({ broker: `${host}:${port}` });
    void this.#connect();
  }

  isUp(): boolean {
    return this.#isUp;
  }

  health(): { readonly up: boolean; readonly code: ErrorCode | undefined; readonly detail: string | undefined } {
    return { up: this.#isUp, code: this.#fault?.code, detail: this.#fault?.detail };
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#counters, unconfirmed: this.#unconfirmed.size, waiting: this.#waiting.length };
  }

  async publish(message: OutgoingMessage): Promise<SentMessage> {
    if (message.qos === 0) {
      this.#count(this.#session?.publish(message, ignore) === true);
      return FORGOTTEN;
    }
    const entry = new Outstanding(message);
    this.#waiting.push(entry);
    this.#flush();
    if (this.#waiting.length > LIMITS.brokerWaitingMessages) {
      this.#session?.abandon(new LatchkeyError('broker_unreachable', 'it takes far less than it brings'));
    }
    return entry.written;
  }

  /** Connects at once where it waits for its next attempt: the broker is known to be there. */
  retry(): void {
    this.#failures = 0;
    if (this.#session !== undefined || this.#closing || this.#cancelReconnect === undefined) return;
    this.#cancelReconnect();
    this.#cancelReconnect = undefined;
    void this.#connect();
  }

  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    this.#cancelReconnect?.();
    await this.#session?.leave();
    this.#malformed.end();
    this.#fault = new LatchkeyError('broker_unreachable', 'closed');
  }

  async #connect(): Promise<void> {
    try {
      const { MqttClient } = await import('./mqtt-client.ts');
      if (this.#closing) return;
      const { access, filter, presence, timers } = this.#options;
      const session = new BrokerSession(MqttClient, {
        access,
        filter,
        timers,
        ...(presence === undefined ? {} : { presence }),
        settings: this.#settings,
        events: {
          onUp: () => this.#begin(),
          onMessage: (message) => {
            this.#counters.received += 1;
            if (message.again) this.#counters.receivedAgain += 1;
            return this.#options.onMessage(message);
          },
          onMalformed: (what) => this.#leaveOut(what),
          onDown: (error) => this.#lose(error),
        },
      });
      this.#session = session;
    } catch (error) {
      this.#lose(coded(error));
    }
  }

  #leaveOut(what: string): void {
    this.#counters.malformed += 1;
    if (this.#malformed.tells('message', undefined)) this.#tellMalformed(1, what);
  }

  #tellMalformed(count: number, detail: string | undefined): void {
    this.#log.warn(
      { event: 'message_malformed', code: 'broker_packet_invalid', count, detail },
      'the MQTT broker brought messages that MQTT does not allow; they were left out',
    );
  }

  #begin(): void {
    this.#isUp = true;
    this.#fault = undefined;
    this.#upSince = this.#options.clock.monotonic();
    this.#counters.connected += 1;
    this.#log.info({ event: 'broker_up' }, 'connected to the MQTT broker');
    // What the broker did not confirm it may not have: at least once means to say it again (MQTT 5.0 §4.4).
    this.#counters.sentAgain += this.#unconfirmed.size;
    this.#waiting = [...this.#unconfirmed, ...this.#waiting];
    this.#unconfirmed = new Set();
    this.#options.onState?.(undefined);
    this.#flush();
  }

  #lose(error: LatchkeyError): void {
    const wasUp = this.#isUp;
    this.#isUp = false;
    this.#session = undefined;
    if (this.#closing) return;
    this.#counters[wasUp ? 'lost' : 'connectFailed'] += 1;
    const { clock, random, timers } = this.#options;
    if (wasUp && clock.monotonic() - this.#upSince >= this.#settings.settledAfter) this.#failures = 0;
    // One warning for each new reason: a broker may be away for a month.
    const isNews = wasUp || this.#failures === 0 || this.#fault?.code !== error.code;
    this.#log[isNews ? 'warn' : 'debug'](
      { event: 'broker_down', code: error.code, detail: error.detail },
      wasUp ? 'the connection to the MQTT broker was lost' : 'the MQTT broker cannot be used',
    );
    this.#fault = error;
    this.#options.onState?.(error);
    const { reconnectAfter, reconnectCap } = this.#settings;
    const full = Math.min(reconnectCap, reconnectAfter * 2 ** Math.min(this.#failures, 16));
    this.#failures += 1;
    this.#cancelReconnect = timers.after(full * (0.5 + random.fraction() / 2), () => {
      this.#cancelReconnect = undefined;
      void this.#connect();
    });
  }

  /** Writes what waits, as far as there is room with the broker. */
  #flush(): void {
    const session = this.#session;
    if (session === undefined || !this.#isUp) return;
    const { room } = session;
    let written = 0;
    for (const entry of this.#waiting) {
      if (this.#unconfirmed.size >= room) break;
      const confirmed = (refusal: LatchkeyError | undefined) => this.#confirm(session, entry, refusal);
      if (!session.publish(entry.message, confirmed)) break;
      this.#unconfirmed.add(entry);
      this.#count(true);
      entry.onWritten();
      written += 1;
    }
    if (written > 0) this.#waiting.splice(0, written);
  }

  #confirm(session: BrokerSession, entry: Outstanding, refusal: LatchkeyError | undefined): void {
    if (session !== this.#session) return;
    this.#unconfirmed.delete(entry);
    entry.confirm(refusal);
    if (refusal !== undefined) {
      this.#counters.sentRefused += 1;
      this.#log.warn(
        { event: 'message_refused', code: refusal.code, detail: refusal.detail },
        'the MQTT broker refused a message of the hub',
      );
    }
    this.#flush();
  }

  #count(sent: boolean): void {
    this.#counters[sent ? 'sent' : 'notSent'] += 1;
  }
}

/** QoS 0: nothing more is said about it. */
const FORGOTTEN: SentMessage = {
  isConfirmed: () => true,
  confirmed: Promise.resolve(),
  refusal: () => undefined,
};

function ignore(): void {
  // Nothing waits for it.
}

import { type CoapCounters, newCounters } from '../../src/codec/coap/counters.ts';
import type { CoapHandler } from '../../src/codec/coap/responder.ts';
import type { CoapSettings } from '../../src/codec/coap/settings.ts';
import type { Clock, Random, Timers } from '../../src/core/clock.ts';
import type { CoapRequest, CoapResponse } from '../../src/core/coap-exchange.ts';
import type { ErrorCode } from '../../src/core/error-catalogue.ts';
import { coded, isCoded, LatchkeyError } from '../../src/core/errors.ts';
import { LIMITS } from '../../src/core/limits.ts';
import type { DeviceLink, LinkLimits } from '../../src/ports/device-link.ts';
import type { Log } from '../../src/ports/log.ts';
import { within } from './deadline.ts';
import { DiagnosticLog } from './diagnostics.ts';
import { addCounters, allCounters, type LineCounters, newLineCounters } from './line-counters.ts';
import { type LinePort, type PortOpener, parseLineAddress } from './line-port.ts';
import { LineSession } from './line-session.ts';
import { DEFAULT_BAUD_RATE, DEFAULT_LINE_SETTINGS, type LineSettings } from './line-settings.ts';
import { LineTrouble } from './line-trouble.ts';
import { tcpPortOpener } from './tcp-port.ts';
import { ttyPortOpener } from './tty-port.ts';

export interface SerialLineOptions {
  readonly name: string;
  /** A tty (`/dev/serial/by-id/…` survives replugging) or `tcp://host:port` of a network serial server. */
  readonly path: string;
  readonly baudRate?: number | undefined;
  readonly timers: Timers;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly random: Random;
  readonly log: Log;
  /** Answers what the device asks the hub. */
  readonly handler?: CoapHandler | undefined;
  readonly coap?: Partial<CoapSettings> | undefined;
  readonly settings?: Partial<LineSettings> | undefined;
  /** Takes the place of the system's ports. */
  readonly openPort?: PortOpener | undefined;
}

/** Why a line is not open, for status and health; `undefined` code while it is. */
interface LineHealth {
  readonly up: boolean;
  readonly code: ErrorCode | undefined;
  readonly detail: string | undefined;
  /** What is wrong with it though it is open. */
  readonly troubles: readonly ErrorCode[];
}

export interface SerialLine extends DeviceLink {
  health(): LineHealth;
  /** Text for people as a diagnostic frame, which only devices send; lost while the line is not open. */
  sendDiagnostic(text: string): void;
}

/**
 * A device on a serial line. Opens at once, in the background, and again whenever the line was lost, until `close`.
 * @throws {LatchkeyError} `config_invalid` for a path that names no line
 */
export function openSerialLine(options: SerialLineOptions): SerialLine {
  return new ReopeningLine(options, options.openPort ?? systemOpener(options));
}

function systemOpener({ path, baudRate }: SerialLineOptions): PortOpener {
  const address = parseLineAddress(path);
  if (address.kind === 'tcp') return tcpPortOpener(address.host, address.port);
  return ttyPortOpener(address.path, baudRate ?? DEFAULT_BAUD_RATE);
}

class ReopeningLine implements SerialLine {
  readonly name: string;
  readonly limits: LinkLimits = { maxBodyBytes: LIMITS.coapBodyBytes, isReliable: true };
  readonly #options: SerialLineOptions;
  readonly #settings: LineSettings;
  readonly #openPort: PortOpener;
  readonly #log: Log;
  readonly #isNetwork: boolean;
  readonly #counters: LineCounters = newLineCounters();
  readonly #pastCoap: CoapCounters = newCounters();
  readonly #diagnostics: DiagnosticLog;
  readonly #trouble: LineTrouble;
  readonly #listeners = new Set<() => void>();
  readonly #closing = new AbortController();
  #session: LineSession | undefined;
  #fault: LatchkeyError | undefined = new LatchkeyError('link_down', 'not opened yet');
  #failures = 0;
  #openedAt = 0;
  #lastHeard = Number.NEGATIVE_INFINITY;
  #silentRequests = 0;
  /** The connection was dropped on suspicion alone; that it opens again says nothing about the device. */
  #suspected = false;
  #cancelReopen: (() => void) | undefined;

  constructor(options: SerialLineOptions, openPort: PortOpener) {
    this.name = options.name;
    this.#options = options;
    this.#openPort = openPort;
    this.#settings = { ...DEFAULT_LINE_SETTINGS, ...options.settings };
    this.#log = options.log.child({ line: options.name });
    this.#isNetwork = options.path.startsWith('tcp:');
    this.#trouble = new LineTrouble(options.clock);
    this.#diagnostics = new DiagnosticLog(this.#log, options.clock, this.#counters);
    void this.#open();
  }

  isUp(): boolean {
    return this.#session !== undefined;
  }

  fault(): LatchkeyError | undefined {
    return this.isUp() ? undefined : (this.#fault ?? new LatchkeyError('link_down'));
  }

  health(): LineHealth {
    const troubles = this.isUp() ? this.#trouble.codes() : [];
    return { up: this.isUp(), code: this.#fault?.code, detail: this.#fault?.detail, troubles };
  }

  async request(
    request: CoapRequest,
    options: { readonly deadline: number; readonly signal?: AbortSignal },
  ): Promise<CoapResponse> {
    const session = this.#session;
    if (session === undefined) throw new LatchkeyError(this.#fault?.code ?? 'link_down', this.#fault?.detail);
    const began = this.#counters.bytesReceived;
    try {
      return await session.request(request, options);
    } catch (error) {
      if (isCoded(error, 'device_no_answer')) this.#suspect(session, this.#counters.bytesReceived === began);
      throw error;
    }
  }

  sendDiagnostic(text: string): void {
    this.#session?.sendDiagnostic(text);
  }

  onSighting(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  counters(): Readonly<Record<string, number>> {
    return allCounters(this.#counters, this.#pastCoap, this.#session?.coapCounters());
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    this.#cancelReopen?.();
    this.#fault = new LatchkeyError('link_down', 'closed');
    this.#listeners.clear();
    const session = this.#session;
    if (session !== undefined) await this.#end(session);
  }

  async #open(): Promise<void> {
    const attempt = new AbortController();
    const giveUp = () => attempt.abort();
    const cancelDeadline = this.#options.timers.after(this.#settings.openDeadline, giveUp);
    this.#closing.signal.addEventListener('abort', giveUp, { once: true });
    // Events may come before the opener's promise has brought the port.
    let session: LineSession | undefined;
    let lostEarly: string | undefined;
    try {
      const port = await this.#openPort({
        signal: attempt.signal,
        events: {
          onData: (chunk) => session?.take(chunk),
          onClosed: (reason) => {
            lostEarly = reason;
            if (session !== undefined) this.#lose(session, reason);
          },
        },
      });
      if (attempt.signal.aborted) void port.destroy();
      else session = this.#begin(port);
      if (session !== undefined && lostEarly !== undefined) this.#lose(session, lostEarly);
    } catch (error) {
      this.#openFailed(coded(error));
    } finally {
      cancelDeadline();
      this.#closing.signal.removeEventListener('abort', giveUp);
    }
  }

  #begin(port: LinePort): LineSession {
    const { timers, clock, random, handler, coap, baudRate } = this.#options;
    const session: LineSession = new LineSession(
      port,
      {
        timers,
        clock,
        random,
        handler,
        coap,
        baudRate: baudRate ?? DEFAULT_BAUD_RATE,
        settings: this.#settings,
        counters: this.#counters,
      },
      {
        onHeard: () => this.#heard(),
        onNoise: () => this.#trouble.bad(),
        onSlowed: () => this.#trouble.slowed(),
        onDiagnostic: (text) => this.#diagnostics.write(text),
        onHandlerFailure: (error) => this.#logFailure(error),
        onHung: () => this.#lose(session, 'a write did not leave'),
      },
    );
    const quiet = this.#suspected;
    this.#session = session;
    this.#fault = undefined;
    this.#suspected = false;
    this.#silentRequests = 0;
    this.#openedAt = clock.monotonic();
    this.#counters.opened += 1;
    this.#log.info({ event: 'line_open', path: this.#options.path }, 'the line is open');
    if (!quiet) this.#sight();
    return session;
  }

  #heard(): void {
    this.#trouble.good();
    const now = this.#options.clock.monotonic();
    const wasAway = now - this.#lastHeard > this.#settings.silence;
    this.#lastHeard = now;
    this.#silentRequests = 0;
    if (wasAway) this.#sight();
  }

  #sight(): void {
    for (const listener of this.#listeners) {
      try {
        listener();
      } catch (error) {
        this.#log.error({ event: 'line_listener_failed', error: coded(error) }, 'a listener of the line failed');
      }
    }
  }

  /** What a device asks for and may not have is its matter; what failed in the hub is ours. */
  #logFailure(error: LatchkeyError): void {
    const fields = { event: 'line_request', code: error.code, detail: error.detail };
    if (error.code === 'internal') this.#log.error({ ...fields, error }, 'a request of the device failed');
    else this.#log.info(fields, 'a request of the device was refused');
  }

  #suspect(session: LineSession, heardNothing: boolean): void {
    if (!this.#isNetwork || session !== this.#session) return;
    this.#silentRequests = heardNothing ? this.#silentRequests + 1 : 0;
    if (this.#silentRequests < this.#settings.silentRequests) return;
    this.#lose(session, 'nothing was heard for several requests');
    this.#suspected = true;
  }

  #openFailed(error: LatchkeyError): void {
    if (this.#closing.signal.aborted) return;
    this.#counters.openFailed += 1;
    // One warning for each new reason: a device may be away for a month.
    const isNews = this.#fault?.code !== error.code || this.#failures === 0;
    this.#log[isNews ? 'warn' : 'debug'](
      { event: 'line_closed', code: error.code, detail: error.detail },
      'the line cannot be opened',
    );
    this.#fault = error;
    this.#suspected = false;
    this.#reopen();
  }

  #lose(session: LineSession, reason: string): void {
    if (session !== this.#session) return;
    this.#counters.lost += 1;
    this.#fault = new LatchkeyError('link_down', reason);
    this.#log.warn({ event: 'line_lost', code: 'link_down', detail: reason }, 'the line was lost');
    if (this.#options.clock.monotonic() - this.#openedAt >= this.#settings.settledAfter) this.#failures = 0;
    void this.#end(session).then(() => this.#reopen());
  }

  #reopen(): void {
    if (this.#closing.signal.aborted) return;
    const { reopenAfter, reopenCap } = this.#settings;
    const { random, timers } = this.#options;
    const full = Math.min(reopenCap, reopenAfter * 2 ** Math.min(this.#failures, 16));
    this.#failures += 1;
    this.#cancelReopen = timers.after(full * (0.5 + random.fraction() / 2), () => void this.#open());
  }

  /** Bounded in time: a broken port may never say that it is closed. */
  async #end(session: LineSession): Promise<void> {
    this.#session = undefined;
    addCounters(this.#pastCoap, session.coapCounters());
    const { timers } = this.#options;
    const closed = await within(this.#settings.closeDeadline, timers, session.end());
    if (!closed)
      this.#log.warn({ event: 'line_stuck', code: 'link_down' }, 'the line did not close in time and is left behind');
  }
}

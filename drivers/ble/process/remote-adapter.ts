import type { Timers } from '../../../src/core/clock.ts';
import { isCoded, LatchkeyError } from '../../../src/core/errors.ts';
import { LIMITS } from '../../../src/core/limits.ts';
import type { Log } from '../../../src/ports/log.ts';
import { refuseUnusable, type SystemFolders } from '../adapter-fault.ts';
import { type BleSettings, RADIO_TIMES } from '../ble-settings.ts';
import type { DeviceSession, SessionEvents } from '../link-radio.ts';
import type { ToHub } from './messages.ts';
import { RadioProcess } from './radio-process.ts';

export interface Advertisement {
  readonly name: string;
  readonly address: string;
  /** dBm. */
  readonly rssi: number;
}

export interface RemoteAdapterOptions {
  readonly settings: Pick<
    BleSettings,
    'adapter' | 'baudRate' | 'connections' | 'connectTimeout' | 'mtu' | 'operationTimeout' | 'profile'
  >;
  /** What is run beside the hub. */
  readonly program: string;
  readonly timers: Timers;
  readonly log: Log;
  readonly system?: SystemFolders | undefined;
  /** Aborted when the adapter is not wanted any more before it is there. */
  readonly signal: AbortSignal;
  /** Percent of the time to listen in. */
  readonly duty: () => number;
  readonly onAdvertisement: (heard: Advertisement) => void;
  /** Addresses of devices that are to be remembered. */
  readonly keptAddresses: () => readonly string[];
  /** The link to this device was cut off on this side: the device is as much there as if it were heard. */
  readonly onCutOff: (address: string) => void;
  /** So many packets broke a rule; `address` sent one of them, where it is known. */
  readonly onBroken: (broken: {
    readonly rule: string;
    readonly address: string | undefined;
    readonly count: number;
  }) => void;
  /** The adapter is gone, or does not answer, or its process ended; once. Links that are lost with it are told after. */
  readonly onLost: (error: LatchkeyError) => void;
}

interface Link {
  readonly events: SessionEvents;
  readonly opened: (session: DeviceSession) => void;
  readonly failed: (error: LatchkeyError) => void;
  /** Ends the wait for an answer of the process. */
  cancel: () => void;
  isOpen: boolean;
  hasEnded: boolean;
  /** While it is let go: resolves when it is gone. */
  releasing: { readonly gone: Promise<void>; readonly done: () => void } | undefined;
}

/**
 * One run of an adapter, in a process of its own. What it decides is decided in the hub; noble, and what it parses, is there.
 * The end of the process is the loss of the adapter, and each link ends as if its device were gone.
 */
export class RemoteAdapter {
  readonly #options: RemoteAdapterOptions;
  readonly #process: RadioProcess;
  readonly #links = new Map<number, Link>();
  #address = '';
  #lastLink = 0;
  /** Until the adapter is on. */
  #starting: { readonly on: () => void; readonly failed: (error: LatchkeyError) => void } | undefined;
  #isReady = false;
  #hasEnded = false;

  /**
   * Resolves when the adapter is powered on and scans. An adapter that cannot work costs no process.
   * @throws {LatchkeyError} `radio_missing`, `radio_blocked`, `radio_permission`, `radio_unsupported`, `radio_down`,
   * `radio_failed`, `radio_process_failed`
   */
  static async open(options: RemoteAdapterOptions): Promise<RemoteAdapter> {
    await refuseUnusable(options.settings.adapter, options.system);
    if (options.signal.aborted) throw new LatchkeyError('link_down', 'closed');
    const adapter = new RemoteAdapter(options);
    await adapter.#start();
    return adapter;
  }

  private constructor(options: RemoteAdapterOptions) {
    this.#options = options;
    const { log, program, timers } = options;
    this.#process = new RadioProcess({
      program,
      timers,
      log,
      onMessage: (message) => this.#take(message),
      onEnded: (error) => this.#lost(error),
    });
  }

  /** Its own address, as `aa:bb:cc:dd:ee:ff`. */
  get address(): string {
    return this.#address;
  }

  /** The duty has changed: it holds from the next scan on, which begins in some seconds, or `now`. */
  dutyChanged(now: boolean): void {
    this.#process.send({ type: 'duty', duty: this.#options.duty(), now });
  }

  /**
   * A connection to a device that was heard, with its characteristics found.
   * @throws {LatchkeyError} `link_down`; `link_busy` where the adapter has no room for one more
   */
  open(address: string, events: SessionEvents): Promise<DeviceSession> {
    if (this.#hasEnded) return Promise.reject(new LatchkeyError('link_down', 'the adapter is gone'));
    const { connections, connectTimeout, operationTimeout } = this.#options.settings;
    this.#lastLink += 1;
    const id = this.#lastLink;
    // One connects at a time, and each has three steps after that.
    const turn = connectTimeout + 2 * RADIO_TIMES.command + RADIO_TIMES.disconnect;
    return new Promise((opened, failed) => {
      const cancel = this.#expect('connecting', connections * turn + 3 * operationTimeout);
      this.#links.set(id, { events, opened, failed, cancel, isOpen: false, hasEnded: false, releasing: undefined });
      this.#process.send({ type: 'connect', link: id, address, connectTimeout, operationTimeout });
    });
  }

  /** Ends all links and the process. Bounded in time. */
  async close(): Promise<void> {
    if (!this.#hasEnded) {
      this.#hasEnded = true;
      this.#process.send({ type: 'close' });
      await Promise.race([this.#process.exited, this.#after(RADIO_TIMES.end)]);
      this.#process.kill();
      this.#endLinks(new LatchkeyError('link_down', 'closed'));
    }
    await this.#gone();
  }

  /** A process that was killed is gone at once, unless the kernel holds it in a call to a broken adapter. */
  async #gone(): Promise<void> {
    await Promise.race([this.#process.exited, this.#after(RADIO_TIMES.gone)]);
  }

  #after(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.timers.after(milliseconds, resolve);
      void this.#process.exited.then(cancel);
    });
  }

  async #start(): Promise<void> {
    const { signal, timers } = this.#options;
    const giveUp = () => this.#process.kill(new LatchkeyError('link_down', 'closed'));
    const late = () => this.#process.kill(new LatchkeyError('radio_process_failed', 'it takes too long to start'));
    const cancel = timers.after(RADIO_TIMES.ready + RADIO_TIMES.start + RADIO_TIMES.command, late);
    signal.addEventListener('abort', giveUp, { once: true });
    try {
      await new Promise<void>((on, failed) => {
        this.#starting = { on, failed };
      });
    } catch (error) {
      this.#hasEnded = true;
      this.#process.kill();
      await this.#gone();
      throw error;
    } finally {
      this.#starting = undefined;
      cancel();
      signal.removeEventListener('abort', giveUp);
    }
  }

  #take(message: ToHub): void {
    switch (message.type) {
      case 'ready':
        this.#ready();
        break;
      case 'on':
        this.#address = message.address;
        this.#starting?.on();
        break;
      case 'failed':
        this.#starting?.failed(errorOf(message));
        break;
      case 'lost':
        this.#lost(errorOf(message));
        break;
      case 'heard':
        // Also between the first scan and `on`: the next advertisement of a device may be long in coming.
        if (!this.#hasEnded) this.#options.onAdvertisement(message);
        break;
      case 'asks':
        this.#process.send({ type: 'keep', addresses: this.#options.keptAddresses().slice(0, MOST_KEPT) });
        break;
      case 'cutOff':
        this.#options.onCutOff(message.address);
        break;
      case 'broken':
        this.#options.onBroken(message);
        break;
      case 'pong':
        break;
      default:
        this.#ofLink(message);
        break;
    }
  }

  #ready(): void {
    if (this.#isReady) return;
    this.#isReady = true;
    const { adapter, baudRate, mtu, profile } = this.#options.settings;
    this.#process.watch();
    this.#process.send({ type: 'open', adapter, baudRate, mtu, ...profile, duty: this.#options.duty() });
  }

  #ofLink(message: Extract<ToHub, { readonly link: number }>): void {
    const link = this.#links.get(message.link);
    // What crossed the end of its link on the way.
    if (link === undefined) return;
    switch (message.type) {
      case 'connected':
        link.cancel();
        link.isOpen = true;
        link.opened(this.#session(message.link, link));
        if (link.hasEnded) void this.#release(message.link, link);
        break;
      case 'refused':
        link.cancel();
        this.#links.delete(message.link);
        link.failed(errorOf(message));
        break;
      case 'value':
        if (link.releasing === undefined) link.events.onValue(message.value);
        break;
      case 'ended':
        this.#ended(message.link, link, errorOf(message));
        break;
      case 'released':
        link.cancel();
        this.#links.delete(message.link);
        link.releasing?.done();
        break;
    }
  }

  #session(id: number, link: Link): DeviceSession {
    return {
      send: (value) => this.#process.send({ type: 'send', link: id, value }),
      // The process sends what waits before it lets go.
      drained: () => Promise.resolve(),
      close: () => this.#release(id, link),
    };
  }

  /** It may be that nothing more goes over a connection that is still there. */
  #ended(id: number, link: Link, error: LatchkeyError): void {
    if (link.releasing !== undefined || link.hasEnded) return;
    link.hasEnded = true;
    // One that has not come about yet is refused, or released once it has.
    if (link.isOpen) void this.#release(id, link);
    link.events.onEnded(error);
  }

  #release(id: number, link: Link): Promise<void> {
    if (link.releasing !== undefined) return link.releasing.gone;
    if (this.#links.get(id) !== link) return Promise.resolve();
    let done: () => void = () => undefined;
    const gone = new Promise<void>((resolve) => {
      done = resolve;
    });
    link.releasing = { gone, done };
    const { operationTimeout } = this.#options.settings;
    link.cancel();
    link.cancel = this.#expect('letting go', LIMITS.gattWaiting * operationTimeout + 2 * RADIO_TIMES.disconnect);
    this.#process.send({ type: 'release', link: id });
    return gone;
  }

  /** A process that is alive and leaves something unanswered is no better than one that is not. */
  #expect(what: string, deadline: number): () => void {
    return this.#options.timers.after(deadline, () =>
      this.#process.kill(new LatchkeyError('radio_process_failed', `${what} was not answered`)),
    );
  }

  /** First who is at fault: a device must not be blamed for the end of its link. */
  #lost(error: LatchkeyError): void {
    if (this.#starting !== undefined) {
      this.#starting.failed(error);
      return;
    }
    if (!this.#hasEnded) {
      this.#hasEnded = true;
      this.#options.onLost(error);
    }
    this.#process.kill();
    this.#endLinks(error);
  }

  #endLinks(error: LatchkeyError): void {
    const links = [...this.#links.values()];
    this.#links.clear();
    for (const { cancel, events, failed, hasEnded, isOpen, releasing } of links) {
      cancel();
      const gone = isCoded(error, 'link_down') ? error : new LatchkeyError('link_down', 'the adapter is gone');
      if (releasing !== undefined) releasing.done();
      else if (isOpen && !hasEnded) events.onEnded(gone);
      else failed(gone);
    }
  }
}

/** More addresses than this are not of interest at once, and the rest is heard anew. */
const MOST_KEPT = LIMITS.radioAddresses - 1;

function errorOf({ code, detail }: Extract<ToHub, { readonly code: unknown }>): LatchkeyError {
  return new LatchkeyError(code, detail);
}

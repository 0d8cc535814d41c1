import type { CoapHandler } from '../../src/codec/coap/responder.ts';
import type { Clock, Random, Timers } from '../../src/core/clock.ts';
import type { ErrorCode } from '../../src/core/error-catalogue.ts';
import { coded, LatchkeyError } from '../../src/core/errors.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { Repeats } from '../../src/core/repeats.ts';
import type { Log } from '../../src/ports/log.ts';
import type { SystemFolders } from './adapter-fault.ts';
import { type BleCounters, newBleCounters } from './ble-counters.ts';
import { BleLink } from './ble-link.ts';
import { type BleSettings, RADIO_TIMES } from './ble-settings.ts';
import type { DeviceSession, LinkRadio, SessionEvents } from './link-radio.ts';
import { LinkSlots } from './link-slots.ts';
import { type Advertisement, RemoteAdapter } from './process/remote-adapter.ts';
import { type Candidate, Sightings } from './sightings.ts';

export interface RadioOptions {
  readonly settings: BleSettings;
  /** Path of the program that has the adapter, and the stack that parses what comes by radio: process/main.ts, built. */
  readonly program: string;
  readonly timers: Timers;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly random: Random;
  readonly log: Log;
  /** Whether a device advertises this name that is registered: others are left alone. */
  readonly isKnown: (name: string) => boolean;
  /** Answers what the device of this name asks the hub. */
  readonly handler?: ((name: string) => CoapHandler) | undefined;
  /** In place of the system's own. */
  readonly system?: SystemFolders | undefined;
}

/** Why there is no adapter; `code` is undefined while there is one. */
interface RadioHealth {
  readonly up: boolean;
  readonly code: ErrorCode | undefined;
  readonly detail: string | undefined;
}

/** A device as the radio sees it. */
export interface HeardDevice extends Candidate {
  readonly name: string;
}

/**
 * The radio of the hub: looks for its adapter in the background until it is there, and again whenever it was lost, until
 * `close`. Devices are reached by links, one for each name.
 */
export class Radio implements LinkRadio {
  readonly slots: LinkSlots;
  readonly sightings: Sightings;
  readonly counters: BleCounters = newBleCounters();
  readonly #options: RadioOptions;
  readonly #links = new Map<string, BleLink>();
  readonly #waiting = new Set<object>();
  readonly #sightingListeners = new Set<(name: string) => void>();
  #adapter: RemoteAdapter | undefined;
  #fault: LatchkeyError | undefined = new LatchkeyError('radio_failed', 'not opened yet');
  /** Failures in a row of an adapter that is there. */
  #failures = 0;
  /** Why there was no adapter, as the log has it; undefined since there was one. */
  #reported: ErrorCode | undefined;
  #openedAt = 0;
  /** Open windows in which unregistered names are of interest too, each with the name that it waits for. */
  readonly #windows = new Set<{ readonly name: string | undefined }>();
  #cancelReopen: (() => void) | undefined;
  #opening: Promise<void>;
  readonly #closing = new AbortController();
  readonly #broken: Repeats<BrokenRule>;

  constructor(options: RadioOptions) {
    this.#options = options;
    this.slots = new LinkSlots(options.settings.connections);
    this.sightings = new Sightings(options.clock, options.random);
    this.#broken = new Repeats(BROKEN, (broken, times) =>
      options.log.warn({ event: 'radio_packet_repeated', ...broken, times }, 'more packets broke a rule'),
    );
    this.#opening = this.#open();
  }

  health(): RadioHealth {
    return { up: this.#fault === undefined, code: this.#fault?.code, detail: this.#fault?.detail };
  }

  fault(): LatchkeyError | undefined {
    return this.#fault;
  }

  /** Address of the adapter, while there is one. */
  get address(): string | undefined {
    return this.#adapter?.address;
  }

  get connections(): number {
    return [...this.#links.values()].filter(({ isConnected }) => isConnected).length;
  }

  /** The link to the device that advertises `name`, heard or not. */
  link(name: string): BleLink {
    const known = this.#links.get(name);
    if (known !== undefined) return known;
    const { clock, handler, log, random, settings, timers } = this.#options;
    const link = new BleLink({
      name,
      radio: this,
      settings,
      timers,
      clock,
      random,
      log: log.child({ ble: name }),
      handler: handler?.(name),
    });
    link.onSighting(() => {
      for (const listener of [...this.#sightingListeners]) listener(name);
    });
    this.#links.set(name, link);
    return link;
  }

  /** Calls back when a device that is of interest was heard, and not more often than is of use. */
  onSighting(listener: (name: string) => void): () => void {
    this.#sightingListeners.add(listener);
    return () => this.#sightingListeners.delete(listener);
  }

  /**
   * Unregistered devices are of interest too until the answer is called: an operator pairs one.
   * @param name that the operator waits for: it is never forgotten in favour of others
   */
  openWindow(name?: string): () => void {
    const window = { name };
    this.#windows.add(window);
    this.#dutyChanged(false);
    return () => {
      if (this.#windows.delete(window)) this.#dutyChanged(false);
    };
  }

  /** Who is here. */
  heard(): readonly HeardDevice[] {
    return this.sightings.list(this.#options.settings.presence);
  }

  waiting(who: object, isWaiting: boolean): void {
    const before = this.#waiting.size > 0;
    if (isWaiting) this.#waiting.add(who);
    else this.#waiting.delete(who);
    if (this.#waiting.size > 0 !== before) this.#dutyChanged(!before);
  }

  #dutyChanged(now: boolean): void {
    if (this.#options.settings.scanDuty < 100) this.#adapter?.dutyChanged(now);
  }

  async open(address: string, events: SessionEvents): Promise<DeviceSession> {
    const adapter = this.#adapter;
    if (adapter === undefined) throw this.#fault ?? new LatchkeyError('link_down', 'there is no adapter');
    return adapter.open(address, events);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closing.abort();
    this.#cancelReopen?.();
    this.#fault = new LatchkeyError('link_down', 'closed');
    await Promise.all([...this.#links.values()].map((link) => link.close()));
    await this.#opening;
    await this.#adapter?.close();
    this.#adapter = undefined;
    this.#broken.end();
  }

  get #closed(): boolean {
    return this.#closing.signal.aborted;
  }

  async #open(): Promise<void> {
    const { log, program, settings, system, timers } = this.#options;
    this.sightings.begin();
    try {
      const adapter = await RemoteAdapter.open({
        settings,
        program,
        timers,
        log,
        system,
        signal: this.#closing.signal,
        duty: () => (this.#waiting.size > 0 || this.#windows.size > 0 ? 100 : settings.scanDuty),
        onAdvertisement: (heard) => this.#advertised(heard),
        keptAddresses: () => this.#forget(),
        onCutOff: (address) => this.#cutOff(address),
        onBroken: (broken) => this.#brokeRule(broken),
        onLost: (error) => this.#lost(error),
      });
      this.#adapter = adapter;
      if (this.#closed) return;
      this.#fault = undefined;
      // It may have changed while the adapter was opened.
      this.#dutyChanged(false);
      this.slots.restore(settings.connections);
      this.#openedAt = this.#options.clock.monotonic();
      this.#reported = undefined;
      this.counters.opened += 1;
      log.info({ event: 'radio_opened', adapter: settings.adapter, address: adapter.address }, 'the radio is on');
      // Who was heard before this could not be asked anything yet.
      for (const link of this.#links.values()) link.heard();
    } catch (error) {
      this.#openFailed(coded(error));
    }
  }

  #openFailed(error: LatchkeyError): void {
    this.counters.openFailed += 1;
    // One line for each reason, however long it lasts: the adapter is looked for several times a second.
    if (error.code !== this.#reported)
      this.#options.log.warn(
        { event: 'radio_closed', code: error.code, detail: error.detail },
        'there is no radio; it is looked for until it is there',
      );
    this.#reported = error.code;
    this.#fault = error;
    this.#reopen();
  }

  #lost(error: LatchkeyError): void {
    this.counters.adapterLost += 1;
    this.#adapter = undefined;
    this.#fault = error;
    this.#options.log.warn({ event: 'radio_lost', code: error.code, detail: error.detail }, 'the radio was lost');
    if (this.#options.clock.monotonic() - this.#openedAt >= RADIO_TIMES.settled) this.#failures = 0;
    for (const link of this.#links.values()) link.adapterLost(error);
    this.#reopen();
  }

  #reopen(): void {
    if (this.#closed) return;
    const { random, timers } = this.#options;
    const isMissing = this.#fault !== undefined && CHEAP_TO_FIND_OUT.has(this.#fault.code);
    const full = isMissing
      ? RADIO_TIMES.recheck
      : Math.min(RADIO_TIMES.reopenCap, RADIO_TIMES.reopen * 2 ** Math.min(this.#failures, 16));
    // However long it was gone, it is no worse for that when it is back.
    if (!isMissing) this.#failures += 1;
    this.#cancelReopen = timers.after(full * (0.5 + random.fraction() / 2), () => {
      this.#opening = this.#open();
    });
  }

  #advertised({ address, name, rssi }: Advertisement): void {
    const isKnown = this.#options.isKnown(name);
    if (!isKnown && this.#windows.size === 0) {
      this.counters.passedOver += 1;
      return;
    }
    if (!isKnown && !this.sightings.has(name))
      this.sightings.makeRoom(LIMITS.bleNames, (other) => this.#isDispensable(other));
    this.counters.heard += 1;
    this.sightings.heard(name, address, rssi);
    // A stranger has a link only once somebody asks for it.
    if (isKnown) {
      this.link(name).heard();
      // Without an adapter it would fail, and not be tried again for long.
      if (this.#fault === undefined) this.link(name).visit();
    } else this.#links.get(name)?.heard();
  }

  /** Whether the name may be forgotten in favour of a new one: no device of the hub has it, and no operator waits for it. */
  #isDispensable(name: string): boolean {
    if (this.#options.isKnown(name) || this.#links.has(name)) return false;
    return ![...this.#windows].some((window) => window.name === name);
  }

  /** A peer sent what no device sends. The gate has dropped it, and ended the link. */
  #brokeRule({ address, count, rule }: BrokenRule & { readonly count: number }): void {
    this.counters.brokenRules += count;
    if (this.#broken.tells(rule, { rule }))
      this.#options.log.warn(
        { event: 'radio_packet_refused', rule, address, packets: count },
        'packets by radio broke a rule of Bluetooth; they were dropped, and their link ended',
      );
  }

  /** What was under way is to go on at once, and not when the device advertises. */
  #cutOff(address: string): void {
    for (const name of this.sightings.stillThere(address)) this.#links.get(name)?.heard();
  }

  /** What is of no interest any more goes, links too. @returns the addresses that stay */
  #forget(): readonly string[] {
    const isOfInterest = (name: string) => this.#options.isKnown(name) || this.#windows.size > 0;
    this.sightings.forget(isOfInterest, LIMITS.bleMemory);
    for (const [name, link] of this.#links) {
      if (isOfInterest(name) || link.isConnected) continue;
      this.#links.delete(name);
      void link.close();
    }
    return this.sightings.addresses();
  }
}

interface BrokenRule {
  readonly rule: string;
  readonly address?: string | undefined;
}

/** Lines of the log in a minute about broken rules: one of a kind, and no more of all kinds than one can read. */
const BROKEN = { window: 60_000, ofOneKind: 1, overall: 10 } as const;

/** Found out before the adapter is touched, so it can be asked for often. */
const CHEAP_TO_FIND_OUT: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'radio_missing',
  'radio_blocked',
  'radio_permission',
]);

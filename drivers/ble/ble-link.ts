import type { RequestOptions } from '../../src/codec/coap/requester.ts';
import type { CoapHandler } from '../../src/codec/coap/responder.ts';
import { GattEndpoint } from '../../src/codec/gatt-endpoint.ts';
import type { Clock, Random, Timers } from '../../src/core/clock.ts';
import type { CoapRequest, CoapResponse } from '../../src/core/coap-exchange.ts';
import { coded, isCoded, LatchkeyError } from '../../src/core/errors.ts';
import { LIMITS } from '../../src/core/limits.ts';
import type { DeviceLink, LinkLimits } from '../../src/ports/device-link.ts';
import type { Log } from '../../src/ports/log.ts';
import { type BleSettings, largestValue, RADIO_TIMES } from './ble-settings.ts';
import type { GattSession } from './gatt-session.ts';
import { Hearing } from './hearing.ts';
import type { LinkRadio } from './link-radio.ts';
import type { SlotHolder } from './link-slots.ts';
import { LinkTurns } from './link-turns.ts';
import { SightingPace } from './sighting-pace.ts';
import type { Candidate } from './sightings.ts';

export interface BleLinkOptions {
  /** The name that the device advertises. */
  readonly name: string;
  readonly radio: LinkRadio;
  readonly settings: Pick<BleSettings, 'presence' | 'linger' | 'mtu' | 'operationTimeout' | 'visit'>;
  readonly timers: Timers;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly random: Random;
  readonly log: Log;
  /** Answers what the device asks the hub. */
  readonly handler?: CoapHandler | undefined;
}

/**
 * A device that is found by radio. It is connected when something is asked of it, at the next moment that it is heard, and
 * let go soon after: it sleeps in between.
 */
export class BleLink implements DeviceLink, SlotHolder {
  readonly name: string;
  readonly limits: LinkLimits = { maxBodyBytes: LIMITS.coapBodyBytes, isReliable: true, isOpen: true };
  readonly #options: BleLinkOptions;
  readonly #endpoint: GattEndpoint;
  readonly #listeners = new Set<() => void>();
  readonly #hearing: Hearing;
  readonly #turns: LinkTurns;
  readonly #pace: SightingPace;
  #session: { readonly gatt: GattSession; readonly address: string; readonly since: number } | undefined;
  /** While a connection is sought; aborted when nothing waits for it any more. */
  #seeking: AbortController | undefined;
  #cancelLinger: (() => void) | undefined;
  /** When a connection ended, or was last asked for without need. */
  #lastVisit = Number.NEGATIVE_INFINITY;
  #visiting = false;
  #lastFault: LatchkeyError | undefined;
  /** Address of whoever answered last, or was asked last and did not answer. */
  #asked: string | undefined;
  #letGo: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: BleLinkOptions) {
    const { clock, handler, log, random, settings, timers } = options;
    this.name = options.name;
    this.#options = options;
    this.#hearing = new Hearing(options);
    this.#turns = new LinkTurns(timers);
    this.#pace = new SightingPace(clock);
    this.#endpoint = new GattEndpoint({
      timers,
      random,
      clock,
      handler,
      onHandlerFailure: ({ code, detail }) =>
        log.warn({ event: 'device_request_failed', code, detail }, 'a request of the device failed'),
      settings: { maxValueBytes: largestValue(settings.mtu), acknowledgementDeadline: settings.operationTimeout },
    });
  }

  get isConnected(): boolean {
    return this.#session !== undefined;
  }

  /** Address of the other end, while connected. */
  get address(): string | undefined {
    return this.#session?.address;
  }

  isUp(): boolean {
    if (this.#session !== undefined) return true;
    if (this.#options.radio.fault() !== undefined) return false;
    return this.#candidates(this.#options.settings.presence).length > 0;
  }

  async request(request: CoapRequest, options: RequestOptions): Promise<CoapResponse> {
    if (this.#closed) throw new LatchkeyError('link_down', 'closed');
    const fault = this.#options.radio.fault();
    if (this.#session === undefined && fault !== undefined) throw fault;
    if (!this.isUp()) throw this.#absent();
    const answer = this.#endpoint.request(request, await this.#inTurn(options));
    this.#seek();
    try {
      const response = await answer;
      this.#asked = this.#session?.address;
      return response;
    } catch (error) {
      this.#asked = this.#session?.address;
      if (isCoded(error, 'device_no_answer')) this.#silent();
      if (isCoded(error, 'device_no_answer') && this.#session === undefined) throw this.#lastFault ?? error;
      throw error;
    } finally {
      if (this.#endpoint.isIdle) this.#idle();
    }
  }

  proven(isProven: boolean | undefined): void {
    const { log, radio } = this.#options;
    // Of a device that cannot vouch for its answers there is no better sign of life.
    if (isProven !== false) this.#pace.cleared();
    const address = this.#asked;
    if (address === undefined || isProven === undefined) return;
    if (isProven) {
      radio.sightings.confirm(this.name, address);
      return;
    }
    this.#pace.trouble();
    radio.counters.unproven += 1;
    radio.sightings.unproven(this.name, address);
    log.warn(
      { event: 'device_impostor', code: 'device_impostor', address },
      'what advertises the name of the device does not answer with its key; the address is set aside',
    );
    this.#release('unproven');
  }

  askAnew(): void {
    this.#options.radio.sightings.askAnew(this.name);
  }

  onSighting(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  counters(): Readonly<Record<string, number>> {
    const { coap, gatt } = this.#endpoint.counters();
    return { ...gatt, ...coap };
  }

  /** Somebody advertises the name. */
  heard(): void {
    this.#hearing.heard();
    if (this.#session !== undefined || !this.#pace.isDue) return;
    const { radio } = this.#options;
    if (radio.fault() !== undefined || radio.sightings.fresh(this.name).length === 0) return;
    this.#pace.told();
    for (const listener of [...this.#listeners]) listener();
  }

  /** Connects to a device that was not connected for a long time, so that it can ask. */
  visit(): void {
    const { clock, settings } = this.#options;
    const now = clock.monotonic();
    if (settings.visit === 0 || this.#session !== undefined || now - this.#lastVisit < settings.visit) return;
    this.#lastVisit = now;
    this.#visiting = true;
    this.#seek();
  }

  /** Others wait for a place among the links. */
  giveWay(): void {
    if (this.#session !== undefined && this.#endpoint.isIdle) this.#release('others wait');
  }

  /** There is no adapter any more: what waits ends with the reason, and whoever is heard by the next one is told of at once. */
  adapterLost(error: LatchkeyError): void {
    this.#pace.begin();
    this.#seeking?.abort();
    this.#endpoint.abandon(error);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#listeners.clear();
    this.#seeking?.abort();
    this.#endpoint.flush();
    this.#release('closed');
    this.#endpoint.close();
    await this.#letGo;
  }

  #candidates(age: number): readonly Candidate[] {
    return this.#options.radio.sightings.candidates(this.name, age);
  }

  #absent(): LatchkeyError {
    const heard = this.#options.radio.sightings.lastHeard(this.name);
    const seconds = heard === undefined ? 0 : Math.round((this.#options.clock.monotonic() - heard) / 1_000);
    const isThere = heard !== undefined && seconds * 1_000 <= this.#options.settings.presence;
    if (isThere) return this.#lastFault ?? new LatchkeyError('link_down', 'what advertises its name is set aside');
    return new LatchkeyError('link_down', heard === undefined ? 'not heard yet' : `not heard for ${seconds} s`);
  }

  /**
   * Whoever has used the link for long, while others wait for a place, lets it go first and queues up again.
   * @returns the options with what is left of the deadline
   * @throws {LatchkeyError} `link_busy`
   */
  async #inTurn(options: RequestOptions): Promise<RequestOptions> {
    const { clock, radio } = this.#options;
    const began = clock.monotonic();
    const isOver = this.#session !== undefined && began - this.#session.since > RADIO_TIMES.turn;
    if (isOver && radio.slots.isContended) this.#turns.end();
    if (!this.#turns.isOver) return options;
    if (this.#endpoint.isIdle) this.#idle();
    await this.#turns.park(options);
    const deadline = options.deadline - (clock.monotonic() - began);
    if (deadline <= 0) throw new LatchkeyError('link_busy', 'the deadline passed while others had their turn');
    return { ...options, deadline };
  }

  #seek(): void {
    this.#cancelLinger?.();
    this.#cancelLinger = undefined;
    if (this.#session !== undefined || this.#seeking !== undefined || this.#closed) return;
    const seeking = new AbortController();
    this.#seeking = seeking;
    void this.#connectWhenHeard(seeking.signal).finally(() => {
      if (this.#seeking === seeking) this.#seeking = undefined;
      this.#visiting = false;
      // A request may have come while the search was being given up.
      if (!this.#endpoint.isIdle && this.#options.radio.fault() === undefined) this.#seek();
    });
  }

  get #isWanted(): boolean {
    return this.#visiting || !this.#endpoint.isIdle;
  }

  async #connectWhenHeard(signal: AbortSignal): Promise<void> {
    const { slots } = this.#options.radio;
    await this.#letGo;
    while (!signal.aborted && this.#isWanted) {
      if (!(await this.#hearing.fresh(signal))) return;
      if (!(await slots.acquire(this, signal))) return;
      const candidate = await this.#hearing.stillFresh(signal);
      const isConnected = candidate !== undefined && !signal.aborted && (await this.#connect(candidate));
      if (isConnected) return;
      slots.release(this);
    }
  }

  async #connect({ address }: Candidate): Promise<boolean> {
    const { clock, log, radio } = this.#options;
    let gone: LatchkeyError | undefined;
    try {
      const gatt = await radio.open(address, {
        onValue: (value) => {
          radio.counters.bytesReceived += value.length;
          this.#endpoint.receive(value);
          // The device asks something itself: it may have more to ask.
          if (this.#cancelLinger !== undefined) this.#linger();
        },
        onEnded: (error) => {
          gone = error;
          this.#lost(error);
        },
      });
      if (gone !== undefined) throw gone;
      radio.counters.connected += 1;
      radio.sightings.reached(this.name, address);
      this.#session = { gatt, address, since: clock.monotonic() };
      log.debug({ event: 'device_connected', address }, 'the device is connected');
      if (this.#closed) this.#release('closed');
      else this.#begin(gatt);
      return true;
    } catch (error) {
      const { code, detail } = coded(error);
      this.#lastFault = coded(error);
      if (code === 'link_busy') radio.slots.full(radio.slots.held - 1);
      else if (radio.fault() === undefined) this.#failed(address);
      // A visit is not insisted on.
      this.#visiting = false;
      log.debug({ event: 'device_connect_failed', code, detail, address }, 'the device could not be connected');
      return false;
    }
  }

  #begin(gatt: GattSession): void {
    this.#endpoint.connected({
      send: (value) => {
        this.#options.radio.counters.bytesSent += value.length;
        gatt.send(value);
      },
      onStalled: () => {
        this.#options.radio.counters.lost += 1;
        this.#silent();
        this.#release('stalled');
      },
    });
    if (this.#endpoint.isIdle) this.#idle();
    else if (this.#options.radio.slots.isContended) this.giveWay();
  }

  /** Whoever is connected was asked, and does not answer. */
  #silent(): void {
    if (this.#session !== undefined) this.#options.radio.sightings.silent(this.name, this.#session.address);
  }

  #failed(address: string): void {
    this.#pace.trouble();
    this.#options.radio.counters.connectFailed += 1;
    this.#options.radio.sightings.unreachable(this.name, address);
  }

  #lost(error: LatchkeyError): void {
    const session = this.#session;
    if (session === undefined) return;
    if (!this.#endpoint.isIdle) this.#silent();
    this.#session = undefined;
    this.#lastFault = error;
    this.#pace.trouble();
    this.#options.radio.counters.lost += 1;
    this.#options.log.debug(
      { event: 'device_link_lost', code: error.code, detail: error.detail, address: session.address },
      'the link to the device was lost',
    );
    this.#letGoOf(session.gatt);
    this.#endpoint.disconnected(error);
    if (!this.#endpoint.isIdle) this.#seek();
  }

  /** Nothing is asked of the device. What follows soon after finds the link still there. */
  #idle(): void {
    if (!this.#visiting) this.#seeking?.abort();
    if (this.#session === undefined || this.#cancelLinger !== undefined) return;
    const { radio } = this.#options;
    if (radio.slots.isContended || this.#turns.isOver) {
      radio.counters.gaveWay += 1;
      this.#release('others wait');
      return;
    }
    this.#linger();
  }

  #linger(): void {
    const { settings, timers } = this.#options;
    this.#cancelLinger?.();
    this.#cancelLinger = timers.after(settings.linger, () => this.#release('idle'));
  }

  #release(reason: string): void {
    this.#cancelLinger?.();
    this.#cancelLinger = undefined;
    const session = this.#session;
    if (session === undefined) return;
    this.#session = undefined;
    this.#endpoint.flush();
    this.#options.log.debug({ event: 'device_let_go', reason, address: session.address }, 'the link was let go');
    this.#letGoOf(session.gatt);
    this.#endpoint.disconnected(new LatchkeyError('link_down', reason));
  }

  /** The place is free when the link is gone, and only then is there room for another. */
  #letGoOf(gatt: GattSession): void {
    this.#lastVisit = this.#options.clock.monotonic();
    this.#letGo = gatt
      .drained()
      .then(() => gatt.close())
      .catch(() => undefined)
      .then(() => {
        this.#options.radio.slots.release(this);
        this.#turns.begin();
      });
  }
}

import type { CoapHandler } from '../../src/codec/coap/responder.ts';
import { GattEndpoint } from '../../src/codec/gatt-endpoint.ts';
import type { Clock, Random, Timers } from '../../src/core/clock.ts';
import type { CoapRequest, CoapResponse } from '../../src/core/coap-exchange.ts';
import { isCoded, LatchkeyError } from '../../src/core/errors.ts';
import { LIMITS } from '../../src/core/limits.ts';
import type { DeviceLink, LinkLimits, LinkRequestOptions } from '../../src/ports/device-link.ts';
import type { Log } from '../../src/ports/log.ts';
import { BleConnection } from './ble-connection.ts';
import { type BleSettings, largestValue } from './ble-settings.ts';
import type { LinkRadio } from './link-radio.ts';
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
export class BleLink implements DeviceLink {
  readonly name: string;
  readonly limits: LinkLimits = { maxBodyBytes: LIMITS.coapBodyBytes, isReliable: true, isOpen: true };
  readonly #options: BleLinkOptions;
  readonly #endpoint: GattEndpoint;
  readonly #listeners = new Set<() => void>();
  readonly #pace: SightingPace;
  readonly #connection: BleConnection;
  /** Address of whoever answered last, or was asked last and did not answer. */
  #asked: string | undefined;
  /** Requests under way that one peer alone may get. */
  readonly #pinned = new Set<{ readonly address: string; readonly abort: AbortController }>();
  #closed = false;

  constructor(options: BleLinkOptions) {
    const { clock, handler, log, random, settings, timers } = options;
    this.name = options.name;
    this.#options = options;
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
    const onConnected = (address: string) => this.#connected(address);
    this.#connection = new BleConnection({ ...options, endpoint: this.#endpoint, pace: this.#pace, onConnected });
  }

  get isConnected(): boolean {
    return this.#connection.isUp;
  }

  /** Address of the other end, while connected. */
  get address(): string | undefined {
    return this.#connection.address;
  }

  isUp(): boolean {
    if (this.isConnected) return true;
    if (this.#options.radio.fault() !== undefined) return false;
    return this.#candidates(this.#options.settings.presence).length > 0;
  }

  fault(): LatchkeyError | undefined {
    return this.isUp() ? undefined : (this.#options.radio.fault() ?? this.#absent());
  }

  async request(request: CoapRequest, { samePeer = false, ...options }: LinkRequestOptions): Promise<CoapResponse> {
    if (this.#closed) throw new LatchkeyError('link_down', 'closed');
    const fault = this.fault();
    if (fault !== undefined) throw fault;
    if (samePeer && this.#asked !== undefined) return this.#requestOf(this.#asked, request, options);
    this.#asked = this.#connection.address;
    return this.#request(request, options);
  }

  /** Of nobody else: a proof of one peer's nonce is a wrong answer to another, who may be the device. */
  async #requestOf(address: string, request: CoapRequest, options: LinkRequestOptions): Promise<CoapResponse> {
    const pinned = { address, abort: new AbortController() };
    const signals = [pinned.abort.signal, ...(options.signal === undefined ? [] : [options.signal])];
    this.#pinned.add(pinned);
    if (this.isConnected) this.#connected(this.#connection.address);
    try {
      return await this.#request(request, { ...options, signal: AbortSignal.any(signals) });
    } catch (error) {
      if (!pinned.abort.signal.aborted) throw error;
      this.#asked = address;
      throw new LatchkeyError('link_down', 'the peer that began this is gone, and another one answers to the name');
    } finally {
      this.#pinned.delete(pinned);
    }
  }

  async #request(request: CoapRequest, options: LinkRequestOptions): Promise<CoapResponse> {
    const answer = this.#endpoint.request(request, await this.#connection.inTurn(options));
    this.#connection.seek();
    try {
      return await answer;
    } catch (error) {
      if (isCoded(error, 'device_no_answer')) this.#connection.silent();
      if (isCoded(error, 'device_no_answer') && !this.isConnected) throw this.#connection.lastFault ?? error;
      throw error;
    } finally {
      // Where the connection is lost by now, it was the last one that this was sent over.
      this.#asked = this.#connection.address ?? this.#asked;
      if (this.#endpoint.isIdle) this.#connection.idle();
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
      'what advertises the name of the device does not answer with its key; the address is quarantined',
    );
    this.#connection.release('unproven');
  }

  doubted(): void {
    if (this.#asked === undefined || !this.#options.radio.sightings.doubted(this.name, this.#asked)) return;
    this.#pace.trouble();
    this.#connection.release('doubted');
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
    this.#connection.heard();
    if (this.isConnected || !this.#pace.isDue) return;
    const { radio } = this.#options;
    if (radio.fault() !== undefined || radio.sightings.fresh(this.name).length === 0) return;
    this.#pace.told();
    for (const listener of [...this.#listeners]) listener();
  }

  /** Connects to a device that was not connected for a long time, so that it can ask. */
  visit(): void {
    this.#connection.visit();
  }

  /** There is no adapter any more: what waits ends with the reason, and whoever is heard by the next one is told of at once. */
  adapterLost(error: LatchkeyError): void {
    this.#pace.begin();
    this.#connection.stopSeeking();
    this.#endpoint.abandon(error);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#listeners.clear();
    await this.#connection.close();
  }

  #connected(address: string | undefined): void {
    this.#asked = address;
    for (const pinned of this.#pinned) if (pinned.address !== address) pinned.abort.abort();
  }

  #candidates(age: number): readonly Candidate[] {
    return this.#options.radio.sightings.candidates(this.name, age);
  }

  #absent(): LatchkeyError {
    const heard = this.#options.radio.sightings.lastHeard(this.name);
    const seconds = heard === undefined ? 0 : Math.round((this.#options.clock.monotonic() - heard) / 1_000);
    const isThere = heard !== undefined && seconds * 1_000 <= this.#options.settings.presence;
    if (isThere)
      return this.#connection.lastFault ?? new LatchkeyError('link_down', 'what advertises its name is quarantined');
    return new LatchkeyError('link_down', heard === undefined ? 'not heard yet' : `not heard for ${seconds} s`);
  }
}

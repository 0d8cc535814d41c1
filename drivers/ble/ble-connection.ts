import type { RequestOptions } from '../../src/codec/coap/requester.ts';
import type { GattEndpoint } from '../../src/codec/gatt-endpoint.ts';
import type { Clock, Timers } from '../../src/core/clock.ts';
import { coded, LatchkeyError } from '../../src/core/errors.ts';
import type { Log } from '../../src/ports/log.ts';
import { type BleSettings, RADIO_TIMES } from './ble-settings.ts';
import { Hearing } from './hearing.ts';
import type { DeviceSession, LinkRadio } from './link-radio.ts';
import type { SlotHolder } from './link-slots.ts';
import { LinkTurns } from './link-turns.ts';
import type { SightingPace } from './sighting-pace.ts';
import type { Candidate } from './sightings.ts';

export interface BleConnectionOptions {
  /** The name that the device advertises. */
  readonly name: string;
  readonly radio: LinkRadio;
  readonly settings: Pick<BleSettings, 'linger' | 'visit'>;
  readonly timers: Timers;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly log: Log;
  /** What is asked, and of whom: its connections are made here. */
  readonly endpoint: GattEndpoint;
  readonly pace: SightingPace;
  /** Before anything is said to who is connected now. */
  readonly onConnected: (address: string) => void;
}

/**
 * The connections of one link, one at a time: sought while anything is asked, made at a moment when somebody advertises the
 * name, kept for a little while, let go for others. Who it was that answered is not its affair.
 */
export class BleConnection implements SlotHolder {
  readonly #options: BleConnectionOptions;
  readonly #endpoint: GattEndpoint;
  readonly #hearing: Hearing;
  readonly #turns: LinkTurns;
  readonly #pace: SightingPace;
  #session: { readonly gatt: DeviceSession; readonly address: string; readonly since: number } | undefined;
  /** While a connection is sought; aborted when nothing waits for it any more. */
  #seeking: AbortController | undefined;
  #cancelLinger: (() => void) | undefined;
  /** When a connection ended, or was last asked for without need. */
  #lastVisit = Number.NEGATIVE_INFINITY;
  #visiting = false;
  #lastFault: LatchkeyError | undefined;
  #letGo: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: BleConnectionOptions) {
    this.#options = options;
    this.#endpoint = options.endpoint;
    this.#hearing = new Hearing(options);
    this.#turns = new LinkTurns(options.timers);
    this.#pace = options.pace;
  }

  get isUp(): boolean {
    return this.#session !== undefined;
  }

  /** Address of the other end, while connected. */
  get address(): string | undefined {
    return this.#session?.address;
  }

  /** Why there was no connection, or was none any more. */
  get lastFault(): LatchkeyError | undefined {
    return this.#lastFault;
  }

  /** Somebody advertises the name. */
  heard(): void {
    this.#hearing.heard();
  }

  /** Connects to a device that was not connected for a long time, so that it can ask. */
  visit(): void {
    const { clock, settings } = this.#options;
    const now = clock.monotonic();
    if (settings.visit === 0 || this.#session !== undefined || now - this.#lastVisit < settings.visit) return;
    this.#lastVisit = now;
    this.#visiting = true;
    this.seek();
  }

  get isNeeded(): boolean {
    return !this.#endpoint.isIdle;
  }

  /** Others wait for a place among the links. */
  giveWay(): void {
    if (this.#session !== undefined && this.#endpoint.isIdle) this.release('others wait');
  }

  /** There is no adapter any more. */
  stopSeeking(): void {
    this.#seeking?.abort();
  }

  /** Sends what it may still, and ends for good. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#seeking?.abort();
    this.#endpoint.flush();
    this.release('closed');
    this.#endpoint.close();
    await this.#letGo;
  }

  /**
   * Whoever has used the link for long, while others wait for a place, lets it go first and queues up again.
   * @returns the options with what is left of the deadline
   * @throws {LatchkeyError} `link_busy`
   */
  async inTurn(options: RequestOptions): Promise<RequestOptions> {
    const { clock, radio } = this.#options;
    const began = clock.monotonic();
    const isOver = this.#session !== undefined && began - this.#session.since > RADIO_TIMES.turn;
    if (isOver && radio.slots.isContended) this.#turns.end();
    if (!this.#turns.isOver) return options;
    if (this.#endpoint.isIdle) this.idle();
    await this.#turns.park(options);
    const deadline = options.deadline - (clock.monotonic() - began);
    if (deadline <= 0) throw new LatchkeyError('link_busy', 'the deadline passed while others had their turn');
    return { ...options, deadline };
  }

  /** What was asked waits for a connection. */
  seek(): void {
    this.#cancelLinger?.();
    this.#cancelLinger = undefined;
    if (this.#session !== undefined || this.#seeking !== undefined || this.#closed) return;
    const seeking = new AbortController();
    this.#seeking = seeking;
    void this.#connectWhenHeard(seeking.signal).finally(() => {
      if (this.#seeking === seeking) this.#seeking = undefined;
      this.#visiting = false;
      // A request may have come while the search was being given up.
      if (!this.#endpoint.isIdle && this.#options.radio.fault() === undefined) this.seek();
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
      radio.sightings.reached(this.#options.name, address);
      this.#session = { gatt, address, since: clock.monotonic() };
      log.debug({ event: 'device_connected', address }, 'the device is connected');
      this.#options.onConnected(address);
      if (this.#closed) this.release('closed');
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

  #begin(gatt: DeviceSession): void {
    this.#endpoint.connected({
      send: (value) => {
        this.#options.radio.counters.bytesSent += value.length;
        gatt.send(value);
      },
      onStalled: () => {
        this.#options.radio.counters.lost += 1;
        this.silent();
        this.release('stalled');
      },
    });
    if (this.#endpoint.isIdle) this.idle();
    else if (this.#options.radio.slots.isContended) this.giveWay();
  }

  /** Whoever is connected was asked, and does not answer. */
  silent(): void {
    if (this.#session !== undefined) this.#options.radio.sightings.silent(this.#options.name, this.#session.address);
  }

  #failed(address: string): void {
    this.#pace.trouble();
    this.#options.radio.counters.connectFailed += 1;
    this.#options.radio.sightings.unreachable(this.#options.name, address);
  }

  #lost(error: LatchkeyError): void {
    const session = this.#session;
    if (session === undefined) return;
    if (!this.#endpoint.isIdle) this.silent();
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
    if (!this.#endpoint.isIdle) this.seek();
  }

  /** Nothing is asked of the device. What follows soon after finds the link still there. */
  idle(): void {
    if (!this.#visiting) this.#seeking?.abort();
    if (this.#session === undefined || this.#cancelLinger !== undefined) return;
    const { radio } = this.#options;
    if (radio.slots.isContended || this.#turns.isOver) {
      radio.counters.gaveWay += 1;
      this.release('others wait');
      return;
    }
    this.#linger();
  }

  #linger(): void {
    const { settings, timers } = this.#options;
    this.#cancelLinger?.();
    this.#cancelLinger = timers.after(settings.linger, () => this.release('idle'));
  }

  /** Lets the connection go, if there is one. */
  release(reason: string): void {
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
  #letGoOf(gatt: DeviceSession): void {
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

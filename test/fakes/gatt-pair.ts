import type { CoapHandler } from '../../src/codec/coap/responder.ts';
import { GattEndpoint, type GattSettings } from '../../src/codec/gatt-endpoint.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import { FakeTime } from './fake-time.ts';

export type GattSide = 'hub' | 'device';

export interface GattPairOptions {
  readonly handler?: CoapHandler;
  readonly hubHandler?: CoapHandler;
  readonly settings?: Partial<GattSettings>;
  /** Milliseconds each way. */
  readonly latency?: number;
  /** What a value comes to: carried, or the link is lost before it arrives. */
  readonly fate?: (sent: { readonly from: GattSide; readonly value: Uint8Array }, index: number) => 'carried' | 'lost';
}

/** Two endpoints and a radio between them that keeps the order, and that a test can make lose the connection. */
export class GattPair {
  readonly time = new FakeTime();
  readonly hub: GattEndpoint;
  readonly device: GattEndpoint;
  readonly sent: { readonly from: GattSide; readonly value: Uint8Array; readonly at: number }[] = [];
  readonly #options: GattPairOptions;
  #connection = 0;
  stalled: GattSide[] = [];

  constructor(options: GattPairOptions = {}) {
    this.#options = options;
    const common = { timers: this.time, random: this.time, clock: this.time, settings: options.settings };
    this.hub = new GattEndpoint({ ...common, handler: options.hubHandler });
    this.device = new GattEndpoint({ ...common, handler: options.handler });
  }

  connect(): void {
    this.#connection += 1;
    const connection = this.#connection;
    const carry = (from: GattSide) => (value: Uint8Array) => {
      const sent = { from, value, at: this.time.monotonic() };
      this.sent.push(sent);
      const fate = this.#options.fate?.(sent, this.sent.length - 1) ?? 'carried';
      this.time.after(this.#options.latency ?? 1, () => {
        if (connection !== this.#connection) return;
        if (fate === 'lost') this.lose();
        else if (from === 'hub') this.device.receive(value);
        else this.hub.receive(value);
      });
    };
    for (const side of ['device', 'hub'] as const)
      this[side].connected({ send: carry(side), onStalled: () => this.stalled.push(side) });
  }

  lose(): void {
    this.#connection += 1;
    for (const side of ['device', 'hub'] as const) this[side].disconnected(new LatchkeyError('link_down', 'lost'));
  }
}

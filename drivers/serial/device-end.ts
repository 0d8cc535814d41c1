import type { RequestOptions } from '../../src/codec/coap/requester.ts';
import type { CoapHandler } from '../../src/codec/coap/responder.ts';
import type { CoapSettings } from '../../src/codec/coap/settings.ts';
import type { Clock, Random, Timers } from '../../src/core/clock.ts';
import type { CoapRequest, CoapResponse } from '../../src/core/coap-exchange.ts';
import type { LineSettings } from './line-settings.ts';

export interface DevicePortOptions {
  /** `tcp://127.0.0.1:PORT`, where port 0 lets the system choose, or the path of a tty. */
  readonly listen: string;
  readonly handler: CoapHandler;
  readonly timers: Timers;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly random: Random;
  readonly baudRate?: number | undefined;
  readonly coap?: Partial<CoapSettings> | undefined;
  readonly settings?: Partial<LineSettings> | undefined;
}

/** The device's end of a line. */
export interface DevicePort {
  /** Where it is, with the real port: what a hub's configuration takes as the path of the line. */
  readonly address: string;
  /** Whether a hub is connected (TCP) or the tty is open. */
  isConnected(): boolean;
  /** A request of the device to the hub. @throws {LatchkeyError} as `DeviceLink.request` */
  request(request: CoapRequest, options: RequestOptions): Promise<CoapResponse>;
  /** Text for people, as a diagnostic frame; lost while no peer is connected. */
  sendDiagnostic(text: string): void;
  counters(): Readonly<Record<string, number>>;
  close(): Promise<void>;
}

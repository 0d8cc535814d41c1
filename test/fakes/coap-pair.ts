import { CoapEndpoint } from '../../src/codec/coap/endpoint.ts';
import { type CoapMessage, decodeMessage } from '../../src/codec/coap/message.ts';
import type { CoapHandler } from '../../src/codec/coap/responder.ts';
import type { CoapSettings } from '../../src/codec/coap/settings.ts';
import { FakeTime } from './fake-time.ts';

export interface Sent {
  readonly from: 'client' | 'server';
  readonly at: number;
  readonly bytes: Uint8Array;
  readonly message: CoapMessage;
}

/** What the medium does with a message: the copies that arrive, each after so many milliseconds. None is a loss. */
type Medium = (sent: Sent, index: number) => readonly number[];

export interface CoapPairOptions {
  readonly handler?: CoapHandler;
  readonly clientHandler?: CoapHandler;
  readonly client?: Partial<CoapSettings>;
  readonly server?: Partial<CoapSettings>;
  readonly medium?: Medium;
  readonly time?: FakeTime;
}

/** Two endpoints and a medium between them that a test can make lose, double and delay messages. */
export class CoapPair {
  readonly time: FakeTime;
  readonly client: CoapEndpoint;
  readonly server: CoapEndpoint;
  readonly sent: Sent[] = [];

  constructor(options: CoapPairOptions = {}) {
    this.time = options.time ?? new FakeTime();
    const medium = options.medium ?? (() => [1]);
    const common = { timers: this.time, random: this.time, clock: this.time };
    const carry = (from: Sent['from'], to: () => CoapEndpoint) => (bytes: Uint8Array) => {
      const sent: Sent = { from, at: this.time.monotonic(), bytes, message: decodeMessage(bytes) };
      this.sent.push(sent);
      for (const delay of medium(sent, this.sent.length - 1)) this.time.after(delay, () => to().receive(bytes));
    };
    this.client = new CoapEndpoint({
      ...common,
      send: carry('client', () => this.server),
      handler: options.clientHandler,
      settings: options.client,
    });
    this.server = new CoapEndpoint({
      ...common,
      send: carry('server', () => this.client),
      handler: options.handler,
      settings: options.server,
    });
  }

  from(side: Sent['from']): Sent[] {
    return this.sent.filter((sent) => sent.from === side);
  }
}

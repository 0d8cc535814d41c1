import { createServer, type Server, type Socket } from 'node:net';
import { newCounters } from '../../src/codec/coap/counters.ts';
import type { RequestOptions } from '../../src/codec/coap/requester.ts';
import type { CoapRequest, CoapResponse } from '../../src/core/coap-exchange.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import { within } from './deadline.ts';
import type { DevicePort, DevicePortOptions } from './device-end.ts';
import { addCounters, allCounters, newLineCounters } from './line-counters.ts';
import { formatTcpAddress } from './line-port.ts';
import { LineSession, type LineSurroundings } from './line-session.ts';
import { DEFAULT_BAUD_RATE, DEFAULT_LINE_SETTINGS } from './line-settings.ts';
import { socketPort } from './tcp-port.ts';

/** @throws {LatchkeyError} `address_unavailable` if the port cannot be listened on */
export function serveTcp(
  options: DevicePortOptions,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<DevicePort> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(new LatchkeyError('address_unavailable', `${options.listen} (${error.code})`, { cause: error }));
    });
    server.listen({ host, port }, () => {
      const bound = server.address();
      const actual = bound !== null && typeof bound === 'object' ? bound.port : port;
      resolve(new TcpDevicePort(server, formatTcpAddress(host, actual), options));
    });
  });
}

class TcpDevicePort implements DevicePort {
  readonly address: string;
  readonly #server: Server;
  readonly #surroundings: LineSurroundings;
  readonly #past = newCounters();
  #session: LineSession | undefined;

  constructor(server: Server, address: string, options: DevicePortOptions) {
    this.address = address;
    this.#server = server;
    this.#surroundings = {
      ...options,
      baudRate: options.baudRate ?? DEFAULT_BAUD_RATE,
      settings: { ...DEFAULT_LINE_SETTINGS, ...options.settings },
      counters: newLineCounters(),
    };
    server.on('connection', (socket) => this.#accept(socket));
  }

  isConnected(): boolean {
    return this.#session !== undefined;
  }

  async request(request: CoapRequest, options: RequestOptions): Promise<CoapResponse> {
    if (this.#session === undefined) throw new LatchkeyError('link_down', 'no hub is connected');
    return this.#session.request(request, options);
  }

  sendDiagnostic(text: string): void {
    this.#session?.sendDiagnostic(text);
  }

  counters(): Readonly<Record<string, number>> {
    return allCounters(this.#surroundings.counters, this.#past, this.#session?.coapCounters());
  }

  async close(): Promise<void> {
    const stopped = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    const session = this.#session;
    if (session !== undefined) await this.#end(session);
    await within(this.#surroundings.settings.closeDeadline, this.#surroundings.timers, stopped);
  }

  #accept(socket: Socket): void {
    const replaced = this.#session;
    if (replaced !== undefined) void this.#end(replaced);
    const port = socketPort(socket, {
      onData: (chunk) => session.take(chunk),
      onClosed: () => void this.#end(session),
    });
    const session: LineSession = new LineSession(port, this.#surroundings, {
      onHeard: () => undefined,
      // Diagnostics are for the host's side; a platform ignores them (draft-bormann-t2trg-slipmux).
      onDiagnostic: () => undefined,
      // A device keeps no log; its handler tells the operator what happened.
      onHandlerFailure: () => undefined,
      onHung: () => void this.#end(session),
    });
    this.#session = session;
    this.#surroundings.counters.opened += 1;
  }

  async #end(session: LineSession): Promise<void> {
    const { timers, settings, counters } = this.#surroundings;
    if (session !== this.#session) return;
    this.#session = undefined;
    counters.lost += 1;
    addCounters(this.#past, session.coapCounters());
    await within(settings.closeDeadline, timers, session.end());
  }
}

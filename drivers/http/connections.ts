/** How many connections there may be, of all together and of one network, so that no peer takes the room of all. */
import type { Server, Socket } from 'node:net';

export interface ConnectionLimits {
  readonly overall: number;
  /** Of one IPv4 address or one IPv6 /64, which is what a subscriber has at least (RFC 6177 §2). */
  readonly perNetwork: number;
}

/** The connections of a server, held to the limits: those past them are closed at once. */
export class Connections {
  readonly #open = new Set<Socket>();
  readonly #ofNetwork = new Map<string, number>();

  /** @param onRefused is called for each connection past the limits */
  constructor(server: Server, limits: ConnectionLimits, onRefused: () => void) {
    server.maxConnections = limits.overall;
    server.on('drop', onRefused);
    server.on('connection', (socket: Socket) => {
      this.#open.add(socket);
      socket.once('close', () => this.#open.delete(socket));
      if (this.#countOf(socket) <= limits.perNetwork) return;
      onRefused();
      socket.destroy();
    });
  }

  /** Also those in the middle of a TLS handshake, of which node's own `closeAllConnections` knows nothing. */
  destroyAll(): void {
    for (const socket of this.#open) socket.destroy();
  }

  /** How many connections there are of its network, itself included. */
  #countOf(socket: Socket): number {
    const network = networkOf(socket.remoteAddress);
    // A unix socket, whose mode says who may connect; or a peer that is gone already.
    if (network === undefined) return 0;
    const count = (this.#ofNetwork.get(network) ?? 0) + 1;
    this.#ofNetwork.set(network, count);
    socket.once('close', () => {
      const left = (this.#ofNetwork.get(network) ?? 1) - 1;
      if (left > 0) this.#ofNetwork.set(network, left);
      else this.#ofNetwork.delete(network);
    });
    return count;
  }
}

/** The network that an address counts for; undefined where there is no address. */
export function networkOf(address: string | undefined): string | undefined {
  if (address === undefined) return undefined;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!address.includes(':')) return address;
  const [plain = ''] = address.split('%');
  const [head = '', tail] = plain.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0');
  return [...before, ...zeros, ...after].slice(0, 4).join(':');
}

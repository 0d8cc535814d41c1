/** How many connections there may be, of all together and of one network, so that no peer takes the room of all. */
import type { Server, Socket } from 'node:net';
import type { OwnLinks } from './own-links.ts';
import { type NetworkLimits, NetworkShares, networkOf } from './peer-network.ts';

export type ConnectionLimits = NetworkLimits;

/** The connections of a server, held to the limits: those past them are closed at once. */
export class Connections {
  readonly #open = new Set<Socket>();
  readonly #shares: NetworkShares;
  readonly #links: OwnLinks | undefined;

  /** @param onRefused is called for each connection past the limits */
  constructor(server: Server, limits: ConnectionLimits, onRefused: () => void, links?: OwnLinks) {
    this.#links = links;
    this.#shares = new NetworkShares(limits);
    server.maxConnections = limits.overall;
    server.on('drop', onRefused);
    server.on('connection', (socket: Socket) => {
      this.#open.add(socket);
      socket.once('close', () => this.#open.delete(socket));
      if (this.#hasRoom(socket)) return;
      onRefused();
      socket.destroy();
    });
  }

  /** Also those in the middle of a TLS handshake, of which node's own `closeAllConnections` knows nothing. */
  destroyAll(): void {
    for (const socket of this.#open) socket.destroy();
  }

  #hasRoom(socket: Socket): boolean {
    const network = networkOf(socket, this.#links);
    if (network === undefined) return true;
    if (!this.#shares.take(network)) return false;
    socket.once('close', () => this.#shares.release(network));
    return true;
  }
}

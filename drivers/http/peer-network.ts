/** What a peer counts for where each network has a share, so that no host takes the room of all. */
import type { Socket } from 'node:net';
import { Shares } from '../../src/core/shares.ts';

export interface PeerNetwork {
  /** An IPv4 address; an IPv6 /64, which is what a subscriber has at least (RFC 6177 §2); or one IPv6 address of a neighbour. */
  readonly name: string;
  /** Whether it is on a link of the hub. All hosts there have one /64, so that each counts by its whole address. */
  readonly isNeighbour: boolean;
}

export interface NetworkLimits {
  readonly overall: number;
  /** Of one network. */
  readonly perNetwork: number;
}

/** What networks have of something at present. One that is too large, or a crowd of neighbours that is, gets no more. */
export class NetworkShares {
  readonly #ofNetwork: Shares;
  /** One host of a link can invent as many addresses as it likes: all of them together leave a half to the others. */
  readonly #ofNeighbours: Shares;

  constructor({ overall, perNetwork }: NetworkLimits) {
    this.#ofNetwork = new Shares(perNetwork);
    this.#ofNeighbours = new Shares(Math.max(perNetwork, Math.ceil(overall / 2)));
  }

  /** Takes more for the network, unless that would be beyond its share: then the answer is false. */
  take({ isNeighbour, name }: PeerNetwork, amount = 1): boolean {
    if (!this.#ofNetwork.take(name, amount)) return false;
    if (!isNeighbour || this.#ofNeighbours.take(NEIGHBOURS, amount)) return true;
    this.#ofNetwork.release(name, amount);
    return false;
  }

  /** Gives back what `take` took. */
  release({ isNeighbour, name }: PeerNetwork, amount = 1): void {
    this.#ofNetwork.release(name, amount);
    if (isNeighbour) this.#ofNeighbours.release(NEIGHBOURS, amount);
  }
}

const NEIGHBOURS = 'neighbours';
/** Of 16 bits each. */
const GROUPS = { all: 8, network: 4 } as const;

/** Undefined for a unix socket, whose mode says who may connect, and for a peer that is gone already. */
export function networkOf({
  localAddress,
  remoteAddress,
}: Partial<Pick<Socket, 'localAddress' | 'remoteAddress'>>): PeerNetwork | undefined {
  if (remoteAddress === undefined) return undefined;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(remoteAddress)?.[1];
  if (mapped !== undefined) return { name: mapped, isNeighbour: false };
  if (!remoteAddress.includes(':')) return { name: remoteAddress, isNeighbour: false };
  const groups = groupsOf(remoteAddress);
  const network = groups.slice(0, GROUPS.network).join(':');
  const own = localAddress?.includes(':') ? groupsOf(localAddress).slice(0, GROUPS.network).join(':') : undefined;
  if (network !== own && !isLinkLocal(groups)) return { name: network, isNeighbour: false };
  const [, zone] = remoteAddress.split('%');
  return { name: groups.join(':') + (zone === undefined ? '' : `%${zone}`), isNeighbour: true };
}

/** fe80::/10. */
function isLinkLocal([first = '']: readonly string[]): boolean {
  return (Number.parseInt(first, 16) & 0xffc0) === 0xfe80;
}

function groupsOf(address: string): readonly string[] {
  const [plain = ''] = address.split('%');
  const [head = '', tail] = plain.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array<string>(Math.max(0, GROUPS.all - before.length - after.length)).fill('0');
  return [...before, ...zeros, ...after];
}

/** What a peer counts for where each network has a share, so that no host takes the room of all. */
import type { Socket } from 'node:net';
import { Shares } from '../../src/core/shares.ts';
import { isLinkLocal, type OwnLinks, systemLinks } from './own-links.ts';

export interface PeerNetwork {
  /** An IPv4 address; an IPv6 /64, which is what a subscriber has at least (RFC 6177 §2); or one IPv6 address of a neighbour. */
  readonly name: string;
  /**
   * What one host can invent addresses in: a link of the hub, or a private IPv4 /24. Each host there counts by its address, and all of
   * them together have a share. Undefined for the other peers.
   */
  readonly crowd: string | undefined;
}

export interface NetworkLimits {
  readonly overall: number;
  /** Of one network. */
  readonly perNetwork: number;
  /** Of all addresses of one link together: half of all unless told otherwise, and never less than one network has. */
  readonly perLink?: number;
}

/** What networks have of something at present. One that is too large, or a crowd that is, gets no more. */
export class NetworkShares {
  readonly #ofNetwork: Shares;
  readonly #ofCrowd: Shares;

  constructor({ overall, perLink = Math.ceil(overall / 2), perNetwork }: NetworkLimits) {
    this.#ofNetwork = new Shares(perNetwork);
    this.#ofCrowd = new Shares(Math.max(perNetwork, perLink));
  }

  /** Takes more for the network, unless that would be beyond its share: then the answer is false. */
  take({ crowd, name }: PeerNetwork, amount = 1): boolean {
    if (!this.#ofNetwork.take(name, amount)) return false;
    if (crowd === undefined || this.#ofCrowd.take(crowd, amount)) return true;
    this.#ofNetwork.release(name, amount);
    return false;
  }

  /** Gives back what `take` took. */
  release({ crowd, name }: PeerNetwork, amount = 1): void {
    this.#ofNetwork.release(name, amount);
    if (crowd !== undefined) this.#ofCrowd.release(crowd, amount);
  }
}

/** Neighbours whose link has no name, where the interfaces cannot be read. */
const SOME_LINK = 'a link';
/** Of 16 bits each. */
const GROUPS = { all: 8, network: 4 } as const;

/** Undefined for a unix socket, whose mode says who may connect, and for a peer that is gone already. */
export function networkOf(
  { localAddress, remoteAddress }: Partial<Pick<Socket, 'localAddress' | 'remoteAddress'>>,
  links: OwnLinks = systemLinks,
): PeerNetwork | undefined {
  if (remoteAddress === undefined) return undefined;
  const remote = unmapped(remoteAddress);
  const local = localAddress === undefined ? undefined : unmapped(localAddress);
  const isOwn = links.isOwn(remote, local);
  if (!remote.includes(':')) {
    const crowd = isOwn ? undefined : (links.linkOf(remote, local) ?? privateNetworkOf(remote));
    return { name: remote, crowd };
  }
  const groups = groupsOf(remote);
  const [, zone] = remote.split('%');
  const host = groups.join(':') + (zone === undefined ? '' : `%${zone}`);
  if (isOwn) return { name: host, crowd: undefined };
  const network = prefixOf(groups);
  const isNeighbour = isLinkLocal(remote) || (local?.includes(':') === true && prefixOf(groupsOf(local)) === network);
  const crowd = links.linkOf(remote, local) ?? (isNeighbour ? SOME_LINK : undefined);
  return { name: crowd === undefined ? network : host, crowd };
}

/** An IPv4 address as such, also where it comes as IPv6. */
function unmapped(address: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
}

/** The /24 of a private address (RFC 1918): another network of the same site, or the hub's own where no interface can be read. */
function privateNetworkOf(address: string): string | undefined {
  const [first = 0, second = 0, third = 0] = address.split('.').map(Number);
  const isPrivate = first === 10 || (first === 172 && second >= 16 && second < 32) || (first === 192 && second === 168);
  return isPrivate ? `${first}.${second}.${third}.0/24` : undefined;
}

function prefixOf(groups: readonly string[]): string {
  return groups.slice(0, GROUPS.network).join(':');
}

function groupsOf(address: string): readonly string[] {
  const [plain = ''] = address.split('%');
  const [head = '', tail] = plain.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array<string>(Math.max(0, GROUPS.all - before.length - after.length)).fill('0');
  return [...before, ...zeros, ...after];
}

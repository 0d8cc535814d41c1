/**
 * The links of the hub: which peers are its neighbours. One host of a link takes as many addresses there as it likes, by ARP or by
 * neighbour discovery, so that all neighbours of one link have a bound share together.
 */
import { BlockList, isIPv6 } from 'node:net';
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';

export type Interfaces = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

export interface OwnLinksOptions {
  readonly read?: () => Interfaces;
  /** Milliseconds. */
  readonly monotonic?: () => number;
}

/** Milliseconds after which the interfaces are read again. To read them takes 0.1 ms, which is too much for each connection. */
const READ_EVERY = 10_000;
/** The same where a connection came to an address that was not known: an interface has a new one. */
const READ_EVERY_AT_NEW_ADDRESS = 1_000;
/** Longest prefix that counts for IPv6: an address by DHCPv6 has 128, and still its neighbours in the /64. */
const LINK_PREFIX = 64;

/** Of every Linux. */
const LOOPBACK = [
  { address: '127.0.0.0', length: 8 },
  { address: '::1', length: 128 },
];

/** Interfaces that share a prefix are on one link: a wired and a wireless one of the same home, for example. */
interface Link {
  readonly interfaces: readonly string[];
  /** Of the hub, without link-local ones, and the prefixes of these. */
  readonly addresses: readonly string[];
  readonly subnets: readonly BlockList[];
}

interface Known {
  readonly at: number;
  readonly links: readonly Link[];
  /** Addresses of the hub, and the prefixes of its loopback interface. */
  readonly own: ReadonlySet<string>;
  readonly loopback: readonly BlockList[];
}

export class OwnLinks {
  readonly #read: () => Interfaces;
  readonly #monotonic: () => number;
  #known: Known | undefined;

  constructor({ monotonic = () => performance.now(), read = networkInterfaces }: OwnLinksOptions = {}) {
    this.#read = read;
    this.#monotonic = monotonic;
  }

  /** Whether the peer is the hub's own machine. Linux drops packets of others that come from such an address. */
  isOwn(address: string, localAddress: string | undefined): boolean {
    const { loopback, own } = this.#look(localAddress);
    return own.has(address) || isIn(loopback, address);
  }

  /** The name of the link that the peer is on; undefined where it is on none, or where the interfaces cannot be read. */
  linkOf(address: string, localAddress: string | undefined): string | undefined {
    const { links } = this.#look(localAddress);
    const [plain = '', zone] = address.split('%');
    const found = links.find((link) =>
      zone === undefined ? isIn(link.subnets, plain) : link.interfaces.includes(zone),
    );
    return found === undefined ? zone : found.interfaces.join('+');
  }

  #look(localAddress: string | undefined): Known {
    const now = this.#monotonic();
    const known = this.#known;
    if (known !== undefined) {
      const { loopback, own } = known;
      const isNew = localAddress !== undefined && !own.has(localAddress) && !isIn(loopback, localAddress);
      if (now - known.at < (isNew ? READ_EVERY_AT_NEW_ADDRESS : READ_EVERY)) return known;
    }
    const read = { at: now, ...this.#readLinks() };
    this.#known = read;
    return read;
  }

  #readLinks(): Omit<Known, 'at'> {
    let interfaces: Interfaces;
    try {
      interfaces = this.#read();
    } catch {
      // A sandbox without AF_NETLINK does not let the hub ask. `networkOf` then has rules that need no interface.
      return { links: [], own: new Set(), loopback: LOOPBACK.map(({ address, length }) => subnet(address, length)) };
    }
    const own = new Set<string>();
    const loopback: BlockList[] = [];
    let links: readonly Link[] = [];
    for (const [name, infos = []] of Object.entries(interfaces)) {
      const outward = infos.filter(({ internal }) => !internal);
      for (const { address } of infos) own.add(isLinkLocal(address) ? `${address}%${name}` : address);
      loopback.push(...infos.filter(({ internal }) => internal).flatMap((info) => subnetsOf(info)));
      const placed = outward.filter(({ address }) => !isLinkLocal(address));
      const link = {
        interfaces: [name],
        addresses: placed.map(({ address }) => address),
        subnets: placed.flatMap((info) => subnetsOf(info, LINK_PREFIX)),
      };
      if (outward.length > 0) links = joined(links, link);
    }
    return { links, own, loopback };
  }
}

/** Of this machine. */
export const systemLinks = new OwnLinks();

/** fe80::/10. */
export function isLinkLocal(address: string): boolean {
  return isIPv6(address) && (Number.parseInt(address, 16) & 0xffc0) === 0xfe80;
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIPv6(address) ? 'ipv6' : 'ipv4';
}

function isIn(subnets: readonly BlockList[], address: string): boolean {
  const family = familyOf(address);
  return subnets.some((each) => each.check(address, family));
}

/** The links with this one, as one with those that it shares a prefix with. */
function joined(links: readonly Link[], added: Link): readonly Link[] {
  const isSame = (link: Link) =>
    added.addresses.some((address) => isIn(link.subnets, address)) ||
    link.addresses.some((address) => isIn(added.subnets, address));
  const same = [...links.filter(isSame), added];
  const one: Link = {
    interfaces: same.flatMap(({ interfaces }) => interfaces),
    addresses: same.flatMap(({ addresses }) => addresses),
    subnets: same.flatMap(({ subnets }) => subnets),
  };
  return [...links.filter((link) => !isSame(link)), one];
}

function subnetsOf({ address, cidr }: NetworkInterfaceInfo, longest = 128): readonly BlockList[] {
  const length = Number(cidr?.split('/')[1] ?? 0);
  return length === 0 ? [] : [subnet(address, Math.min(length, isIPv6(address) ? longest : length))];
}

function subnet(address: string, length: number): BlockList {
  const list = new BlockList();
  list.addSubnet(address, length, familyOf(address));
  return list;
}

/** One host takes the room of no other one: on the internet by its /64, on a link of the hub by its address. */
import { createServer, Socket } from 'node:net';
import type { NetworkInterfaceInfo } from 'node:os';
import { describe, expect, test } from 'vitest';
import { BodyRoom } from '../../../drivers/http/body-room.ts';
import { Connections } from '../../../drivers/http/connections.ts';
import { EventStreams } from '../../../drivers/http/event-streams.ts';
import { type Interfaces, OwnLinks } from '../../../drivers/http/own-links.ts';
import { NetworkShares, networkOf, type PeerNetwork } from '../../../drivers/http/peer-network.ts';
import { LatchkeyError } from '../../../src/core/errors.ts';

/** On the hub's side. */
const OWN = '2001:db8:1:2::1';

const HOME: Interfaces = {
  lo: [infoOf('127.0.0.1/8', true), infoOf('::1/128', true)],
  eth0: [infoOf('192.0.2.1/25'), infoOf(`${OWN}/64`), infoOf('2001:db8:9:9::1/128'), infoOf('fe80::2/64')],
  wlan0: [infoOf('192.0.2.9/25'), infoOf('fe80::3/64')],
  eth1: [infoOf('10.1.0.1/16'), infoOf('fe80::4/64')],
};
const LINKS = new OwnLinks({ read: () => HOME });

function infoOf(cidr: string, internal = false): NetworkInterfaceInfo {
  const [address = ''] = cidr.split('/');
  const info = { address, cidr, internal, mac: '00:00:00:00:00:00', netmask: '' };
  return address.includes(':') ? { ...info, family: 'IPv6', scopeid: 0 } : { ...info, family: 'IPv4' };
}

function peer(remoteAddress: string, localAddress = OWN, links = LINKS): PeerNetwork {
  const found = networkOf({ remoteAddress, localAddress }, links);
  if (found === undefined) throw new Error('no address');
  return found;
}

const HOME_LINK = 'eth0+wlan0';

describe('a peer counts for', () => {
  test.each([
    ['192.0.2.7', '192.0.2.7', HOME_LINK],
    ['192.0.2.127', '192.0.2.127', HOME_LINK],
    ['192.0.2.128', '192.0.2.128', undefined],
    ['::ffff:192.0.2.7', '192.0.2.7', HOME_LINK],
    ['10.1.200.7', '10.1.200.7', 'eth1'],
    ['10.2.200.7', '10.2.200.7', '10.2.200.0/24'],
    ['172.15.0.1', '172.15.0.1', undefined],
    ['172.16.0.1', '172.16.0.1', '172.16.0.0/24'],
    ['172.31.9.1', '172.31.9.1', '172.31.9.0/24'],
    ['172.32.0.1', '172.32.0.1', undefined],
    ['192.168.7.1', '192.168.7.1', '192.168.7.0/24'],
    ['::ffff:192.168.7.1', '192.168.7.1', '192.168.7.0/24'],
    ['192.169.7.1', '192.169.7.1', undefined],
    ['2001:db8:1:3:3:4:5:6', '2001:db8:1:3', undefined],
    ['2001:db8:1:3::6', '2001:db8:1:3', undefined],
    ['2001:db8::6', '2001:db8:0:0', undefined],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2:3:4:5:6', HOME_LINK],
    ['2001:db8:1:2::6', '2001:db8:1:2:0:0:0:6', HOME_LINK],
    ['2001:db8:9:9::6', '2001:db8:9:9:0:0:0:6', HOME_LINK],
    ['fe80::1%eth0', 'fe80:0:0:0:0:0:0:1%eth0', HOME_LINK],
    ['fe80::1%wlan0', 'fe80:0:0:0:0:0:0:1%wlan0', HOME_LINK],
    ['fe80::1%eth1', 'fe80:0:0:0:0:0:0:1%eth1', 'eth1'],
    ['febf::1%usb0', 'febf:0:0:0:0:0:0:1%usb0', 'usb0'],
    ['fec0::1', 'fec0:0:0:0', undefined],
    ['fe7f::1', 'fe7f:0:0:0', undefined],
  ])('%s: %s of %s', (remoteAddress, name, crowd) => {
    expect(peer(remoteAddress)).toEqual({ name, crowd });
  });

  test.each(['127.0.0.1', '127.3.2.1', '192.0.2.1', '10.1.0.1'])('itself where it is the hub: %s', (address) => {
    expect(peer(address)).toEqual({ name: address, crowd: undefined });
    expect(peer(`::ffff:${address}`)).toEqual({ name: address, crowd: undefined });
  });

  test.each([
    ['::1', '0:0:0:0:0:0:0:1'],
    [OWN, '2001:db8:1:2:0:0:0:1'],
    ['fe80::2%eth0', 'fe80:0:0:0:0:0:0:2%eth0'],
  ])('itself where it is the hub: %s', (address, name) => {
    expect(peer(address)).toEqual({ name, crowd: undefined });
  });

  test('nothing where it has no address', () => {
    expect(networkOf({}, LINKS)).toBeUndefined();
  });
});

test('where no interface can be read, a private /24 and the /64 of the hub are links', () => {
  const blind = new OwnLinks({
    read: () => {
      throw new Error('EAFNOSUPPORT');
    },
  });
  expect(peer('192.168.1.7', '192.168.1.1', blind)).toEqual({ name: '192.168.1.7', crowd: '192.168.1.0/24' });
  expect(peer('2001:db8:1:2::6', OWN, blind)).toEqual({ name: '2001:db8:1:2:0:0:0:6', crowd: 'a link' });
  expect(peer('fe80::1%eth0', 'fe80::2%eth0', blind)).toMatchObject({ crowd: 'eth0' });
  expect(peer('fe80::1', 'fe80::2', blind)).toMatchObject({ crowd: 'a link' });
  expect(peer('2001:db8:1:3::6', OWN, blind)).toEqual({ name: '2001:db8:1:3', crowd: undefined });
  for (const address of ['127.0.0.1', '::1']) expect(peer(address, address, blind).crowd).toBeUndefined();
});

test('interfaces are read now and then, and sooner when a connection comes to a new address', () => {
  let now = 0;
  let reads = 0;
  let interfaces: Interfaces = { eth0: [infoOf('192.0.2.1/24')] };
  const read = () => {
    reads += 1;
    return interfaces;
  };
  const links = new OwnLinks({ read, monotonic: () => now });
  const crowdAt = (localAddress: string) => peer('198.51.100.7', localAddress, links).crowd;
  expect(crowdAt('192.0.2.1')).toBeUndefined();
  interfaces = { eth0: [infoOf('192.0.2.1/24'), infoOf('198.51.100.1/24')] };
  now = 9_999;
  expect(crowdAt('192.0.2.1')).toBeUndefined();
  expect(reads).toBe(1);
  now = 10_000;
  expect(crowdAt('192.0.2.1')).toBe('eth0');
  interfaces = { eth1: [infoOf('198.51.100.2/24')] };
  now = 10_999;
  expect(crowdAt('198.51.100.2')).toBe('eth0');
  now = 11_000;
  expect(crowdAt('198.51.100.2')).toBe('eth1');
  expect(reads).toBe(3);
});

describe('of the room of all', () => {
  const shares = () => new NetworkShares({ overall: 16, perNetwork: 4 });
  const takenBy = (from: NetworkShares, names: readonly string[]) =>
    names.filter((name) => from.take(peer(name))).length;
  const addresses = (prefix: string, count: number) =>
    Array.from({ length: count }, (_, index) => `${prefix}::${index + 10}`);

  test('a hostile neighbour takes its share, and an honest one has its own', () => {
    const room = shares();
    expect(takenBy(room, Array(16).fill('2001:db8:1:2::bad'))).toBe(4);
    expect(takenBy(room, Array(16).fill('2001:db8:1:2::900d'))).toBe(4);
    expect(takenBy(room, Array(16).fill('fe80::900d%eth0'))).toBe(0);
  });

  test('all addresses that a neighbour invents have a half: of each prefix, of IPv4 and link-local ones included', () => {
    const room = shares();
    const invented = [...addresses('2001:db8:1:2', 3), ...addresses('2001:db8:9:9', 3), '192.0.2.7', '192.0.2.8'];
    expect(takenBy(room, [...invented, ...invented])).toBe(8);
    expect(takenBy(room, ['192.0.2.10', 'fe80::bad%eth0', 'fe80::bad%wlan0', '2001:db8:9:9::900d'])).toBe(0);
    expect(takenBy(room, Array(16).fill('127.0.0.1'))).toBe(4);
    expect(takenBy(room, addresses('2001:db8:1:3', 16))).toBe(4);
  });

  test('a crowd in a private network behind a router has a half, too', () => {
    const room = shares();
    const crowd = Array.from({ length: 100 }, (_, index) => `192.168.7.${index}`);
    expect(takenBy(room, crowd)).toBe(8);
    expect(takenBy(room, Array(16).fill('192.168.8.1'))).toBe(4);
    expect(takenBy(room, Array(16).fill('192.0.2.7'))).toBe(4);
  });

  test('one link leaves the others theirs', () => {
    const room = shares();
    expect(
      takenBy(
        room,
        Array.from({ length: 100 }, (_, index) => `10.1.7.${index}`),
      ),
    ).toBe(8);
    expect(takenBy(room, ['192.0.2.7', '192.0.2.8', 'fe80::1%wlan0'])).toBe(3);
  });

  test('a link may have more than a half, where most peers are on it', () => {
    const room = new NetworkShares({ overall: 16, perNetwork: 4, perLink: 14 });
    expect(takenBy(room, addresses('2001:db8:1:2', 100))).toBe(14);
    expect(takenBy(room, Array(16).fill('127.0.0.1'))).toBe(4);
  });

  test('what was given back is there again, and what was refused took nothing', () => {
    const room = shares();
    const crowd = addresses('2001:db8:1:2', 8).map((name) => peer(name));
    for (const each of crowd) expect(room.take(each)).toBe(true);
    const late = peer('2001:db8:1:2::face');
    for (let count = 0; count < 10; count += 1) expect(room.take(late)).toBe(false);
    for (const each of crowd) room.release(each);
    expect(takenBy(room, Array(16).fill('2001:db8:1:2::face'))).toBe(4);
  });

  test('a proxy on the link has all, where it may', () => {
    const room = new NetworkShares({ overall: 16, perNetwork: 16 });
    expect(takenBy(room, Array(20).fill('2001:db8:1:2::80'))).toBe(16);
  });
});

describe('a hostile neighbour leaves an honest one', () => {
  const LIMITS = { overall: 16, perNetwork: 4 };

  /** A connection from this address: the machine of a test has no other address of IPv6 than ::1. */
  function from(remoteAddress: string): Socket {
    const socket = new Socket();
    Object.defineProperties(socket, { remoteAddress: { value: remoteAddress }, localAddress: { value: OWN } });
    return socket;
  }

  test('connections', () => {
    const server = createServer();
    let refused = 0;
    const onRefused = () => {
      refused += 1;
    };
    new Connections(server, LIMITS, onRefused, LINKS);
    const hostile = Array.from({ length: 12 }, () => from('2001:db8:1:2::bad'));
    for (const socket of hostile) server.emit('connection', socket);
    expect(hostile.filter(({ destroyed }) => destroyed)).toHaveLength(8);
    const honest = from('2001:db8:1:2::900d');
    server.emit('connection', honest);
    expect(honest.destroyed).toBe(false);
    expect(refused).toBe(8);
    for (const socket of [...hostile, honest]) socket.destroy();
  });

  test('room for bodies, and event streams', () => {
    const bodies = new BodyRoom(LIMITS);
    bodies.take(peer('2001:db8:1:2::bad'), 4);
    expect(() => bodies.take(peer('2001:db8:1:2::bad'), 1)).toThrow(LatchkeyError);
    expect(() => bodies.take(peer('2001:db8:1:2::900d'), 4)).not.toThrow();
    const streams = new EventStreams(LIMITS);
    for (let count = 0; count < 4; count += 1) streams.reserve(peer('2001:db8:1:2::bad'), undefined);
    expect(() => streams.reserve(peer('2001:db8:1:2::bad'), undefined)).toThrow(LatchkeyError);
    expect(() => streams.reserve(peer('2001:db8:1:2::900d'), undefined)).not.toThrow();
  });
});

/** One host takes the room of no other one: on the internet by its /64, on a link of the hub by its address. */
import { createServer, Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { BodyRoom } from '../../../drivers/http/body-room.ts';
import { Connections } from '../../../drivers/http/connections.ts';
import { EventStreams } from '../../../drivers/http/event-streams.ts';
import { NetworkShares, networkOf, type PeerNetwork } from '../../../drivers/http/peer-network.ts';
import { LatchkeyError } from '../../../src/core/errors.ts';

/** On the hub's side. */
const OWN = '2001:db8:1:2::1';

function peer(remoteAddress: string, localAddress = OWN): PeerNetwork {
  const found = networkOf({ remoteAddress, localAddress });
  if (found === undefined) throw new Error('no address');
  return found;
}

describe('a peer counts for', () => {
  test.each([
    ['192.0.2.7', '192.0.2.1', '192.0.2.7', false],
    ['::ffff:192.0.2.7', '::ffff:192.0.2.1', '192.0.2.7', false],
    ['2001:db8:1:3:3:4:5:6', OWN, '2001:db8:1:3', false],
    ['2001:db8:1:3::6', OWN, '2001:db8:1:3', false],
    ['2001:db8::6', OWN, '2001:db8:0:0', false],
    ['2001:db8:1:2:3:4:5:6', OWN, '2001:db8:1:2:3:4:5:6', true],
    ['2001:db8:1:2::6', OWN, '2001:db8:1:2:0:0:0:6', true],
    ['fe80::1%eth0', 'fe80::2%eth0', 'fe80:0:0:0:0:0:0:1%eth0', true],
    ['fe80::1%wlan0', 'fe80::2%wlan0', 'fe80:0:0:0:0:0:0:1%wlan0', true],
    ['febf::1', OWN, 'febf:0:0:0:0:0:0:1', true],
    ['fec0::1', OWN, 'fec0:0:0:0', false],
    ['fe7f::1', OWN, 'fe7f:0:0:0', false],
    ['::1', '::1', '0:0:0:0:0:0:0:1', true],
    ['::1', OWN, '0:0:0:0', false],
  ])('%s, at %s: %s', (remoteAddress, localAddress, name, isNeighbour) => {
    expect(networkOf({ remoteAddress, localAddress })).toEqual({ name, isNeighbour });
  });

  test('a whole /64 where its own side is not known', () => {
    expect(networkOf({ remoteAddress: '2001:db8:1:2::6' })).toEqual({ name: '2001:db8:1:2', isNeighbour: false });
  });

  test('nothing where it has no address', () => {
    expect(networkOf({})).toBeUndefined();
  });
});

describe('of the room of all', () => {
  const shares = () => new NetworkShares({ overall: 16, perNetwork: 4 });
  const takenBy = (from: NetworkShares, names: readonly string[]) =>
    names.filter((name) => from.take(peer(name))).length;
  const addresses = (prefix: string, count: number) =>
    Array.from({ length: count }, (_, index) => `${prefix}::${index}`);

  test('a hostile neighbour takes its share, and an honest one has its own', () => {
    const room = shares();
    expect(takenBy(room, Array(16).fill('2001:db8:1:2::bad'))).toBe(4);
    expect(takenBy(room, Array(16).fill('2001:db8:1:2::900d'))).toBe(4);
    expect(takenBy(room, Array(16).fill('fe80::900d%eth0'))).toBe(0);
  });

  test('all addresses that a neighbour invents have a half, link-local ones included', () => {
    const room = shares();
    expect(
      takenBy(room, [...addresses('2001:db8:1:2', 100), ...addresses('fe80', 100), ...addresses('fe80:1', 100)]),
    ).toBe(8);
    expect(takenBy(room, Array(16).fill('192.0.2.7'))).toBe(4);
    expect(takenBy(room, addresses('2001:db8:1:3', 16))).toBe(4);
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
    new Connections(server, LIMITS, () => {
      refused += 1;
    });
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

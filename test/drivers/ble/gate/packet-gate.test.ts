/** Rules of the gate, one by one. What an honest peer may do passes; what the rules forbid names its rule. */
import { beforeEach, describe, expect, it } from 'vitest';
import { type Judged, PacketGate } from '../../../../drivers/ble/gate/packet-gate.ts';
import { dataPacket, eventPacket, words } from '../../../fixtures/virtual-radio/h4.ts';

const HANDLE = 0x40;
const ATTRIBUTES = 4;
const SIGNALLING = 5;
const SECURITY = 6;
const ADDRESS = Buffer.from('010000eeffc0', 'hex');

let gate: PacketGate;

/** `pass`, `drop`, or the rule. */
const outcome = ({ breach, pass }: Judged) => breach ?? (pass === undefined ? 'drop' : 'pass');

function connect(role = 0): Judged {
  const head = Buffer.concat([Buffer.of(1, 0), words(HANDLE), Buffer.of(role, 0), ADDRESS]);
  return gate.judge(eventPacket(0x3e, head, words(24, 0, 200), Buffer.of(0)));
}

const onChannel = (channel: number, payload: readonly number[]) =>
  gate.judge(dataPacket(HANDLE, 2, Buffer.concat([words(payload.length, channel), Buffer.from(payload)])));
const att = (...pdu: readonly number[]) => outcome(onChannel(ATTRIBUTES, pdu));
const smp = (...packet: readonly number[]) => outcome(onChannel(SECURITY, packet));
const signal = (...packet: readonly number[]) => outcome(onChannel(SIGNALLING, packet));
const sent = (...pdu: readonly number[]) => gate.sent(HANDLE, ATTRIBUTES, Buffer.from(pdu));
const zeros = (count: number) => Array.from({ length: count }, () => 0);
const event = (code: number, ...parameters: readonly number[]) =>
  outcome(gate.judge(eventPacket(code, Buffer.from(parameters))));

beforeEach(() => {
  gate = new PacketGate();
  connect();
});

describe('the attribute protocol', () => {
  it('lets an answer through behind its request, once, and no other one', () => {
    expect(att(0x13)).toBe('att 0x13: not asked for');
    connect();
    sent(0x12, 3, 0, 1);
    expect(att(0x13)).toBe('pass');
    expect(att(0x13)).toBe('att 0x13: not asked for');
    connect();
    sent(0x12, 3, 0, 1);
    expect(att(0x0b, 1)).toBe('att 0x0b: not asked for');
  });

  it('lets an error through for the request that is under way', () => {
    sent(0x10, 1, 0, 0xff, 0xff, 0, 0x28);
    expect(att(0x01, 0x10, 1, 0, 0x0a)).toBe('pass');
    sent(0x10, 1, 0, 0xff, 0xff, 0, 0x28);
    expect(att(0x01, 0x12, 1, 0, 0x0a)).toBe('att 0x01: value');
  });

  it.each([
    ['smaller than any may be', 22, 'att 0x03: value'],
    ['the smallest', 23, 'pass'],
    ['large', 517, 'pass'],
  ])('takes an MTU that is %s: %s', (_, mtu, verdict) => {
    sent(0x02, 5, 2);
    expect(att(0x03, mtu & 0xff, mtu >> 8)).toBe(verdict);
  });

  it('takes as much as was agreed on, whoever asked, and no more', () => {
    expect(att(0x1b, 5, 0, ...zeros(20))).toBe('pass');
    expect(att(0x1b, 5, 0, ...zeros(21))).toBe('att 0x1b: length');
    connect();
    sent(0x02, 0, 1);
    expect(att(0x03, 64, 0)).toBe('pass');
    expect(att(0x1b, 5, 0, ...zeros(61))).toBe('pass');
    expect(att(0x1b, 5, 0, ...zeros(62))).toBe('att 0x1b: length');
    connect();
    expect(att(0x02, 100, 0)).toBe('pass');
    sent(0x03, 0, 1);
    expect(att(0x1b, 5, 0, ...zeros(97))).toBe('pass');
  });

  it('takes one indication at a time', () => {
    expect(att(0x1d, 5, 0, 1)).toBe('pass');
    sent(0x1e);
    expect(att(0x1d, 5, 0, 1)).toBe('pass');
    expect(att(0x1d, 5, 0, 1)).toBe('att 0x1d: the one before is not confirmed');
  });

  it.each([
    ['nothing', [], 'att 0x00: length'],
    ['a confirmation of nothing', [0x1e], 'att 0x1e: not asked for'],
    ['several values at once', [0x23, 5, 0, 1, 0, 1], 'att 0x23: not asked for'],
    ['a command, which is for a server', [0x52, 5, 0, 1], 'drop'],
    ['an unknown command', [0x72, 5], 'drop'],
    ['a request, which noble refuses', [0x0a, 5, 0], 'pass'],
    ['a request that is cut off', [0x0a, 5], 'att 0x0a: length'],
    ['an unknown request', [0x32], 'pass'],
    ['an unknown answer', [0x33], 'att 0x33: not asked for'],
  ])('%s', (_, pdu, verdict) => {
    expect(att(...pdu)).toBe(verdict);
  });

  it('refuses to be asked without end', () => {
    for (let request = 0; request < 64; request += 1) expect(att(0x0a, 5, 0)).toBe('pass');
    expect(att(0x0a, 5, 0)).toBe('att 0x0a: too many requests');
  });

  it('reads no value that is longer than one can be', () => {
    sent(0x02, 5, 2);
    expect(att(0x03, 5, 2)).toBe('pass');
    sent(0x0c, 5, 0, 0xf0, 1);
    expect(att(0x0d, ...zeros(16))).toBe('pass');
    sent(0x0c, 5, 0, 0xf0, 1);
    expect(att(0x0d, ...zeros(17))).toBe('att 0x0d: value');
  });

  /** Of services: first and last handle, UUID. */
  it.each([
    ['one', [6, 1, 0, 6, 0, 0, 0x18], 'pass'],
    ['two in order', [6, 1, 0, 6, 0, 0, 0x18, 7, 0, 9, 0, 1, 0x18], 'pass'],
    ['none', [6], 'att 0x11: length'],
    ['cut off', [6, 1, 0, 6, 0, 0, 0x18, 7], 'att 0x11: value'],
    ['entries of no length', [0, 1, 0, 6, 0, 0, 0x18], 'att 0x11: value'],
    ['entries of a length that there is not', [7, 1, 0, 6, 0, 0, 0x18, 1], 'att 0x11: value'],
    ['backwards', [6, 7, 0, 9, 0, 0, 0x18, 1, 0, 6, 0, 1, 0x18], 'att 0x11: value'],
    ['one that ends before it begins', [6, 6, 0, 1, 0, 0, 0x18], 'att 0x11: value'],
    ['handle 0', [6, 0, 0, 0, 0, 0, 0x18], 'att 0x11: value'],
  ])('goes through services: %s', (_, list, verdict) => {
    sent(0x10, 1, 0, 0xff, 0xff, 0, 0x28);
    expect(att(0x11, ...list)).toBe(verdict);
  });

  /** Declaration, properties, value, UUID. */
  it.each([
    ['one', [7, 2, 0, 8, 3, 0, 0, 0x2a], 'pass'],
    ['a value before its declaration', [7, 3, 0, 8, 2, 0, 0, 0x2a], 'att 0x09: value'],
    ['a value behind the service, where noble would ask on', [7, 2, 0, 8, 0xff, 0xff, 0, 0x2a], 'att 0x09: value'],
    ['one behind the service', [7, 9, 0, 8, 10, 0, 0, 0x2a], 'att 0x09: value'],
    ['an entry without a UUID', [5, 2, 0, 8, 3, 0], 'att 0x09: value'],
  ])('goes through characteristics: %s', (_, list, verdict) => {
    sent(0x08, 1, 0, 6, 0, 0x03, 0x28);
    expect(att(0x09, ...list)).toBe(verdict);
  });

  it('takes a configuration of two bytes', () => {
    sent(0x08, 4, 0, 6, 0, 0x02, 0x29);
    expect(att(0x09, 4, 6, 0, 0, 0)).toBe('pass');
    sent(0x08, 4, 0, 6, 0, 0x02, 0x29);
    expect(att(0x09, 3, 6, 0, 0)).toBe('att 0x09: value');
  });
});

describe('the other channels', () => {
  it.each([
    ['a request for other parameters', [0x12, 1, 8, 0, 6, 0, 24, 0, 0, 0, 200, 0], 'pass'],
    [
      'one for parameters that there are not',
      [0x12, 1, 8, 0, 24, 0, 6, 0, 0, 0, 200, 0],
      'signalling 0x12: parameters',
    ],
    ['one without them', [0x12, 1, 0, 0], 'signalling 0x12: length'],
    ['one byte', [0x12], 'signalling 0x12: length'],
    ['no identifier', [0x01, 0, 2, 0, 0, 0], 'signalling 0x01: identifier'],
    ['a rejection', [0x01, 1, 2, 0, 0, 0], 'drop'],
    ['an unknown command', [0x7f, 1, 1, 0, 0], 'drop'],
  ])('signalling: %s', (_, packet, verdict) => {
    expect(signal(...packet)).toBe(verdict);
  });

  it('security: takes a pairing that noble began, in its order, and the encryption that it ends in', () => {
    const encrypted = () => event(0x08, 0, HANDLE, 0, 1);
    expect(encrypted()).toBe('drop');
    expect(smp(0x02, ...zeros(6))).toBe('smp 0x02: not asked for');
    connect();
    gate.sent(HANDLE, SECURITY, Buffer.of(0x01, 3, 0, 1, 16, 0, 1));
    expect([smp(0x02, ...zeros(6)), smp(0x03, ...zeros(16)), smp(0x04, ...zeros(16))]).toEqual([
      'pass',
      'pass',
      'pass',
    ]);
    expect(encrypted()).toBe('pass');
    expect(encrypted()).toBe('drop');
    expect([smp(0x06, ...zeros(16)), smp(0x07, ...zeros(10)), smp(0x08, ...zeros(16))]).toEqual([
      'pass',
      'pass',
      'drop',
    ]);
    connect();
    gate.sent(HANDLE, SECURITY, Buffer.of(0x01, 3, 0, 1, 16, 0, 1));
    expect(smp(0x04, ...zeros(16))).toBe('smp 0x04: not asked for');
  });

  it.each([
    ['an empty packet', [], 'smp 0x00: length'],
    ['a request for security, which is not answered', [0x0b, 1], 'drop'],
    ['a code that is reserved', [0x7f, 1, 2], 'drop'],
    ['a failure of nothing', [0x05, 1], 'smp 0x05: not asked for'],
  ])('security: %s', (_, packet, verdict) => {
    expect(smp(...packet)).toBe(verdict);
  });

  it('does not look at channels that the stack does not read', () => {
    expect(outcome(onChannel(0x40, [1, 2, 3]))).toBe('drop');
  });
});

describe('fragments', () => {
  const fragment = (flags: number, ...bytes: readonly number[]) =>
    gate.judge(dataPacket(HANDLE, flags, Buffer.from(bytes)));

  it('become one packet for the stack, however they are cut', () => {
    expect(outcome(fragment(2, 4, 0, 4, 0))).toBe('drop');
    expect(outcome(fragment(1, 0x1b, 5))).toBe('drop');
    const { pass } = fragment(1, 0, 9);
    expect(pass).toEqual(dataPacket(HANDLE, 2, Buffer.of(4, 0, 4, 0, 0x1b, 5, 0, 9)));
  });

  it.each([
    ['one that is too short for its header', [[2, 1]], 'l2cap 0x00: header'],
    ['more than was announced', [[2, 1, 0, 4, 0, 0x1b, 5]], 'l2cap 0x04: more than it says'],
    [
      'more than was announced, later',
      [
        [2, 3, 0, 4, 0, 0x1b],
        [1, 1, 2, 3],
      ],
      'l2cap 0x04: more than it says',
    ],
    ['a packet that is larger than any', [[2, 6, 2, 4, 0]], 'l2cap 0x04: length'],
    [
      'one inside another',
      [
        [2, 3, 0, 4, 0, 0x1b],
        [2, 3, 0, 4, 0],
      ],
      'l2cap 0x00: a packet begins inside another',
    ],
    ['one that continues nothing', [[1, 1, 2]], 'drop'],
    ['what another program sends', [[0, 1, 0, 4, 0, 0x1b]], 'drop'],
  ])('%s', (_, fragments, verdict) => {
    const outcomes = fragments.map(([flags = 0, ...bytes]) => outcome(fragment(flags, ...bytes)));
    expect(outcomes.at(-1)).toBe(verdict);
  });

  it('of a link that is not there, or not ours, are passed over', () => {
    expect(outcome(gate.judge(dataPacket(0x41, 2, Buffer.of(1))))).toBe('drop');
    expect(outcome(gate.judge(Buffer.of(2, 0x40, 0x20, 9, 0)))).toBe('acl 0x00: length');
  });

  it('name the link and the address of who sent them', () => {
    expect(fragment(2, 1)).toMatchObject({ handle: HANDLE, address: 'c0:ff:ee:00:00:01' });
  });
});

describe('events', () => {
  it.each([
    ['the end of a link', 0x05, [0, HANDLE, 0, 0x13], 'pass'],
    ['the end of a link of others, at which noble complains', 0x05, [0, 0x41, 0, 0x13], 'drop'],
    ['one that is cut off', 0x05, [0, HANDLE, 0], 'hci 0x05: length'],
    ['an answer without a status, to no command', 0x0e, [1, 0, 0], 'drop'],
    ['an answer to a reset', 0x0e, [1, 0x03, 0x0c, 0], 'pass'],
    ['an answer about buffers that is cut off', 0x0e, [1, 0x02, 0x20, 0, 27, 0], 'hci answer 0x2002: length'],
    ['a failed one about signal strength, of which noble reads more', 0x0e, [1, 0x05, 0x14, 2], 'drop'],
    ['a failed one about buffers', 0x0e, [1, 0x02, 0x20, 1], 'pass'],
    ['counts of packets', 0x13, [2, 0x40, 0, 1, 0, 0x41, 0, 1, 0], 'pass'],
    ['fewer counts than it says', 0x13, [2, 0x40, 0, 1, 0], 'hci 0x13: length'],
    ['what noble does not read', 0xff, [1, 2, 3], 'drop'],
    ['an empty one', 0x3e, [], 'hci 0x3e: length'],
  ])('%s', (_, code, parameters, verdict) => {
    expect(event(code, ...parameters)).toBe(verdict);
  });

  it.each([
    ['nothing', [], 'h4 0x00: type'],
    ['an unknown type', [9, 1], 'h4 0x09: type'],
    ['a scan that another program starts', [1, 0x0c, 0x20, 2, 1, 0], 'pass'],
    ['one that is cut off', [1, 0x0c, 0x20, 1, 1], 'hci command 0x200c: length'],
    ['another command', [1, 0x03, 0x0c, 0], 'drop'],
    ['a command that is cut off', [1, 3], 'hci 0x01: length'],
  ])('%s', (_, packet, verdict) => {
    expect(outcome(gate.judge(Buffer.from(packet)))).toBe(verdict);
  });

  const legacy = (...data: readonly number[]) => event(0x3e, 2, 1, 0, 0, ...ADDRESS, data.length, ...data, 0xc4);
  const extended = (...data: readonly number[]) =>
    event(0x3e, 13, 1, 0x13, 0, 0, ...ADDRESS, ...zeros(14), data.length, ...data);

  it.each([
    ['fields', [2, 0x01, 6, 3, 0x09, 0x61, 0x62], 'pass'],
    ['fields that end early', [2, 0x01, 6, 0, 0], 'pass'],
    ['a power without a number, which noble reads', [1, 0x0a], 'field of the data'],
    ['a field that is cut off', [9, 0x09, 0x61], 'field of the data'],
  ])('advertisements with %s', (_, data, verdict) => {
    expect(legacy(...data)).toBe(verdict === 'pass' ? 'pass' : `hci le 0x02: ${verdict}`);
    expect(extended(...data)).toBe(verdict === 'pass' ? 'pass' : `hci le 0x0d: ${verdict}`);
  });

  it.each([
    ['none', [2, 0], 'hci le 0x02: count'],
    ['more than there are', [2, 2, 0, 0, ...ADDRESS, 0, 0xc4], 'hci le 0x02: length'],
    ['longer data than there are', [2, 1, 0, 0, ...ADDRESS, 9, 0xc4], 'hci le 0x02: length of the data'],
    ['bytes behind the last', [2, 1, 0, 0, ...ADDRESS, 0, 0xc4, 1], 'hci le 0x02: length'],
    ['a subevent that noble does not read', [0x21, 1, 2], 'drop'],
    ['a connection that is cut off', [1, 0, 0x40], 'hci le 0x01: length'],
  ])('reports: %s', (_, parameters, verdict) => {
    expect(event(0x3e, ...parameters)).toBe(verdict);
  });
});

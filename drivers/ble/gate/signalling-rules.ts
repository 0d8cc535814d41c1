import { breach, type Verdict } from './verdict.ts';

/** Code, identifier and length before the data of a command (Core 5.4, Vol 3 Part A §4). */
const HEADER_BYTES = 4;
const PARAMETER_UPDATE_REQUEST = 0x12;

/** Least and most bytes of the data of each command that a peripheral may send. */
const COMMANDS: ReadonlyMap<number, readonly [least: number, most: number]> = new Map([
  [0x01, [2, 6]], // Command Reject, §4.1
  [0x06, [4, 4]], // Disconnection Request, §4.6
  [0x07, [4, 4]], // Disconnection Response, §4.7
  [PARAMETER_UPDATE_REQUEST, [8, 8]], // §4.20
  [0x14, [10, 10]], // LE Credit Based Connection Request, §4.22
  [0x15, [10, 10]], // its response, §4.23
  [0x16, [4, 4]], // Flow Control Credit, §4.24
  [0x17, [10, 18]], // Credit Based Connection Request, §4.25
  [0x18, [8, 18]], // its response, §4.26
  [0x19, [6, 14]], // Credit Based Reconfigure Request, §4.27
  [0x1a, [2, 2]], // its response, §4.28
]);

/** What a central may be asked for: interval, latency and timeout (Vol 3 Part A §4.20), each in its own unit. */
const RANGE = { interval: [6, 3_200], latency: [0, 499], timeout: [10, 3_200] } as const;

/** A packet of the signalling channel. noble reads requests to update the connection, and nothing else. */
export function judgeSignalling(packet: Buffer): Verdict {
  const code = packet[0] ?? 0;
  if (packet.length < HEADER_BYTES || packet.length !== HEADER_BYTES + packet.readUInt16LE(2))
    return breach('signalling', code, 'length');
  if (packet[1] === 0) return breach('signalling', code, 'identifier');
  const command = COMMANDS.get(code);
  if (command === undefined) return 'drop';
  const [least, most] = command;
  const data = packet.subarray(HEADER_BYTES);
  if (data.length < least || data.length > most) return breach('signalling', code, 'length');
  if (code !== PARAMETER_UPDATE_REQUEST) return 'drop';
  return areParametersRight(data) ? 'pass' : breach('signalling', code, 'parameters');
}

function areParametersRight(data: Buffer): boolean {
  const [least, most, latency, timeout] = [0, 2, 4, 6].map((at) => data.readUInt16LE(at)) as [
    number,
    number,
    number,
    number,
  ];
  return (
    least <= most &&
    isWithin(least, RANGE.interval) &&
    isWithin(most, RANGE.interval) &&
    isWithin(latency, RANGE.latency) &&
    isWithin(timeout, RANGE.timeout)
  );
}

function isWithin(value: number, [least, most]: readonly [number, number]): boolean {
  return value >= least && value <= most;
}

import { reportFault } from './advertising-rules.ts';
import { EVENT, EVENT_HEADER_BYTES, LE_EVENT } from './hci-numbers.ts';
import { breach, type Verdict } from './verdict.ts';

/** Bytes of the parameters of each event that noble reads. `undefined`: a rule of its own below. */
const EVENTS: ReadonlyMap<number, number | undefined> = new Map([
  [EVENT.disconnectionComplete, 4],
  [EVENT.encryptionChange, 4],
  [EVENT.commandComplete, undefined],
  [EVENT.commandStatus, 4],
  [EVENT.completedPackets, undefined],
  [EVENT.leMeta, undefined],
]);

/** The same for subevents of LE Meta, their own number included. */
const LE_EVENTS: ReadonlyMap<number, number | undefined> = new Map([
  [LE_EVENT.connectionComplete, 19],
  [LE_EVENT.connectionUpdateComplete, 10],
  [LE_EVENT.dataLengthChange, 11],
  [LE_EVENT.enhancedConnectionComplete, 31],
  [LE_EVENT.advertisingReport, undefined],
  [LE_EVENT.extendedAdvertisingReport, undefined],
]);

interface Answer {
  /** Bytes behind the status. */
  readonly bytes: number;
  /** noble reads them also where the command failed, and a controller may leave them out then. */
  readonly alsoFailed?: true;
}

/** Answers to commands that noble reads, by opcode (group << 10 | command). What is not here it passes over. */
const ANSWERS: ReadonlyMap<number, Answer> = new Map<number, Answer>([
  [0x0c03, { bytes: 0 }], // Reset, 7.3.2
  [0x0c6c, { bytes: 2 }], // Read LE Host Support, 7.3.78
  [0x1001, { bytes: 8 }], // Read Local Version Information, 7.4.1
  [0x1002, { bytes: 64 }], // Read Local Supported Commands, 7.4.2
  [0x1005, { bytes: 7 }], // Read Buffer Size, 7.4.5
  [0x1009, { bytes: 6 }], // Read BD_ADDR, 7.4.6
  [0x1405, { bytes: 3, alsoFailed: true }], // Read RSSI, 7.5.4
  [0x2002, { bytes: 3 }], // LE Read Buffer Size, 7.8.2
  [0x2003, { bytes: 8 }], // LE Read Local Supported Features, 7.8.3
  [0x200b, { bytes: 0 }], // LE Set Scan Parameters, 7.8.10
  [0x200c, { bytes: 0 }], // LE Set Scan Enable, 7.8.11
  [0x2022, { bytes: 0 }], // LE Set Data Length, 7.8.33
  [0x202f, { bytes: 8 }], // LE Read Maximum Data Length, 7.8.46
  [0x2041, { bytes: 0 }], // LE Set Extended Scan Parameters, 7.8.64
  [0x2042, { bytes: 0 }], // LE Set Extended Scan Enable, 7.8.65
]);

/** An event of the controller, as an H4 packet. */
export function judgeEvent(packet: Buffer): Verdict {
  const code = packet[1] ?? 0;
  if (packet.length !== EVENT_HEADER_BYTES + (packet[2] ?? 0)) return breach('hci', code, 'length');
  if (!EVENTS.has(code)) return 'drop';
  const parameters = packet.subarray(EVENT_HEADER_BYTES);
  const bytes = EVENTS.get(code);
  if (bytes !== undefined) return parameters.length === bytes ? 'pass' : breach('hci', code, 'length');
  if (code === EVENT.commandComplete) return judgeAnswer(parameters);
  if (code === EVENT.completedPackets)
    return parameters.length === 1 + 4 * (parameters[0] ?? 0) ? 'pass' : breach('hci', code, 'length');
  return judgeLeEvent(parameters);
}

function judgeAnswer(parameters: Buffer): Verdict {
  if (parameters.length < 3) return breach('hci', EVENT.commandComplete, 'length');
  const opcode = parameters.readUInt16LE(1);
  const answer = ANSWERS.get(opcode);
  // Opcode 0 says only how many commands the controller takes, and has no status.
  if (answer === undefined) return 'drop';
  if (parameters.length < 4) return breach('hci answer', opcode, 'length');
  const { alsoFailed, bytes } = answer;
  const failed = parameters[3] !== 0;
  if (parameters.length >= 4 + bytes || (failed && alsoFailed === undefined)) return 'pass';
  return failed ? 'drop' : breach('hci answer', opcode, 'length');
}

function judgeLeEvent(parameters: Buffer): Verdict {
  const subevent = parameters[0];
  if (subevent === undefined) return breach('hci', EVENT.leMeta, 'length');
  if (!LE_EVENTS.has(subevent)) return 'drop';
  const bytes = LE_EVENTS.get(subevent);
  if (bytes !== undefined) return parameters.length === bytes ? 'pass' : breach('hci le', subevent, 'length');
  const kind = subevent === LE_EVENT.advertisingReport ? 'legacy' : 'extended';
  const fault = reportFault(parameters.subarray(1), kind);
  return fault === undefined ? 'pass' : breach('hci le', subevent, fault);
}

/** LE Set Scan Enable and its extended form: the commands of other programs that noble reads. */
const SCAN_ENABLE: ReadonlySet<number> = new Set([0x200c, 0x2042]);

/** A command that another program sent by the same adapter. */
export function judgeCommand(packet: Buffer): Verdict {
  if (packet.length < 4 || packet.length !== 4 + packet.readUInt8(3)) return breach('hci', 0x01, 'length');
  const opcode = packet.readUInt16LE(1);
  if (!SCAN_ENABLE.has(opcode)) return 'drop';
  return packet.length >= 6 ? 'pass' : breach('hci command', opcode, 'length');
}

import { LIMITS } from '../../src/core/limits.ts';
import type { GattProfile } from './gatt-profile.ts';

/** Times in milliseconds. */
export interface BleSettings {
  /** `auto`, `hciN`, or the path of a serial port that has a controller on it. */
  readonly adapter: string;
  readonly baudRate: number;
  readonly profile: GattProfile;
  readonly connections: number;
  /** Percent of the time. */
  readonly scanDuty: number;
  readonly presence: number;
  readonly linger: number;
  /** 0: never. */
  readonly visit: number;
  readonly mtu: number;
  readonly connectTimeout: number;
  readonly operationTimeout: number;
}

/** The MTU that every device takes, and has before anything else was agreed (Bluetooth Core 5.2, volume 3, part F §3.2.8). */
export const LEAST_MTU = 23;

/** Bytes of an ATT message around a value that is written, or indicated. */
export const VALUE_HEADER_BYTES = 3;

/** Largest value that is sent: beyond the clamp noble's own pieces would be too large (`clampMtu`), and blocks are as good. */
export function largestValue(mtu: number): number {
  return Math.min(LIMITS.gattValueBytes, mtu - VALUE_HEADER_BYTES);
}

/** Milliseconds. */
export const RADIO_TIMES = {
  /** A controller answers its first dozen commands in far less, on a slow UART too. */
  start: 5_000,
  /** Starting or stopping a scan, or taking back a connection: one command to the controller. */
  command: 2_000,
  /** A link that is let go ends within a supervision timeout. */
  disconnect: 3_000,
  /** An adapter that is not there is looked for so often: it costs two calls to the system. */
  recheck: 250,
  /** First wait after an adapter that is there did not start or was lost; doubles with every failure. */
  reopen: 250,
  reopenCap: 15_000,
  /** An adapter that works this long counts as good, and the next wait is the first one again. */
  settled: 30_000,
  /** A scan is begun anew so often: controllers lose it in a reset, and noble what it heard is forgotten then. */
  rescan: 5_000,
  /** A device that was heard so lately takes a connection now; else the next advertisement is waited for. */
  fresh: 1_000,
  /** How long a place among the links is held for a device that did not advertise again. */
  hold: 5_000,
  /** The radio's process is asked so often whether it answers, and ended when it does not for so long. */
  heartbeat: 500,
  silence: 3_000,
  /** It loads its stack within this time, on a small machine that just booted too. */
  ready: 15_000,
  /** It ends within this time when it is told to, or is ended. The links are let go before that. */
  end: 3_000,
  gone: 500,
  /** What is told of packets that broke a rule is gathered for so long. */
  tell: 200,
  /** A link that is used longer than this, while others wait for a place, takes no further requests. */
  turn: 5_000,
} as const;

/** 2 s in units of 10 ms: noble's own 420 ms end a link at the first passer-by. */
export const SUPERVISION_TIMEOUT = 200;

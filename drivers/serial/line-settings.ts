import { LIMITS } from '../../src/core/limits.ts';

/** The speed that slipmux assumes (draft-bormann-t2trg-slipmux, "Using a UART interface"). */
export const DEFAULT_BAUD_RATE = 115_200;

/** Times of one line, milliseconds. */
export interface LineSettings {
  /** First wait before a line is opened again; doubles with every failure. */
  readonly reopenAfter: number;
  /** The wait grows no further than this. */
  readonly reopenCap: number;
  /** A session that lasts this long counts as good, and the next wait is the first one again. */
  readonly settledAfter: number;
  readonly openDeadline: number;
  readonly closeDeadline: number;
  /** A write that has not left after this, and the time that its bytes need at the line's speed, means a hung line. */
  readonly writeDeadline: number;
  /** A device heard again after so much silence has been away. */
  readonly silence: number;
  /** Requests in a row without a single byte heard, after which a network connection is taken for dead. */
  readonly silentRequests: number;
}

/**
 * A replugged adapter is back in the first second; a network serial server takes half a minute to boot, which the cap
 * keeps up with. TCP alone takes a quarter of an hour to notice a peer without power when data is under way.
 */
export const DEFAULT_LINE_SETTINGS: LineSettings = {
  reopenAfter: 250,
  reopenCap: 30_000,
  settledAfter: 10_000,
  openDeadline: 10_000,
  closeDeadline: 2_000,
  writeDeadline: 5_000,
  silence: 30_000,
  silentRequests: 3,
};

/** 8N1: a start bit, eight data bits, a stop bit. */
const BITS_PER_BYTE = 10;

/** Milliseconds that `bytes` need on the line. */
export function timeOnLine(bytes: number, baudRate: number): number {
  return Math.ceil((bytes * BITS_PER_BYTE * 1000) / baudRate);
}

/** Wait for an acknowledgement on a line of this speed: one largest frame there and one back on top of the usual. */
export function ackTimeoutAt(baudRate: number, ackTimeout: number): number {
  return ackTimeout + timeOnLine(2 * LIMITS.coapMessageBytes, baudRate);
}

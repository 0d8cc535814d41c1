/**
 * What is known about the present, as NumericDate seconds since 1970-01-01T00:00:00Z (RFC 7519 §2). A Raspberry Pi has
 * no battery clock: after a boot without NTP only `earliest` is known (the time floor), and `latest` is undefined.
 */
export interface TimeBounds {
  readonly earliest: number;
  readonly latest: number | undefined;
  /** Why `latest` is unknown: the system clock reads less than what is surely past. */
  readonly behindFloor?: boolean;
}

export interface Clock {
  now(): TimeBounds;
  /** Milliseconds that only grow; no relation to the calendar. For deadlines and ages within one run. */
  monotonic(): number;
}

/** A clock that also tells what neither an issuer nor the system clock alone had a hand in: for what cannot be taken back. */
export interface FloorClock extends Clock {
  /**
   * NumericDate, whole seconds, not later than the present and at most `now().earliest`: what was confirmed. `earliest`
   * may stand higher by a clock or an issuer that can be wrong.
   */
  certain(): number;
}

export interface Timers {
  /** Calls `action` once after `milliseconds`; the answer cancels it. Never keeps the process alive by itself. */
  after(milliseconds: number, action: () => void): () => void;
}

export interface Random {
  /** `length` bytes from a cryptographically secure source. */
  bytes(length: number): Uint8Array;
  /** A uniform number in [0, 1), for jitter only. */
  fraction(): number;
}

/** Certainty of the clock as every verdict states it. */
export type ClockCertainty = 'sure' | 'unsure';

export function certainty(bounds: TimeBounds): ClockCertainty {
  return bounds.latest === undefined ? 'unsure' : 'sure';
}

/** The code of what cannot be decided since the time is not known. */
export function unsureCode({ behindFloor }: TimeBounds): 'clock_behind_floor' | 'clock_unsure' {
  return behindFloor === true ? 'clock_behind_floor' : 'clock_unsure';
}

/** The best single guess at the present, for records and messages (never for a verdict). */
export function bestGuess(bounds: TimeBounds): number {
  return bounds.latest ?? bounds.earliest;
}

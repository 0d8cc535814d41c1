/** What authorization servers say of the present in the `Date` of their answers (RFC 9110 §6.6.1). */
import { LAST_PLAUSIBLE } from './floor-record.ts';

/** Milliseconds for which a date serves, moved on by the monotonic clock: two of the longest pauses between refreshes. */
const SERVES_FOR = 2 * 86_400_000;
/** Seconds by which two clocks may differ and still agree: what TLS libraries and Kerberos allow, and twice that. */
const AGREES_WITHIN = 600;

interface Heard {
  /** NumericDate. */
  readonly date: number;
  /** `monotonic()` at which it was true. */
  readonly at: number;
}

export interface ClockDifference {
  readonly issuer: string;
  /** Seconds by which the clock of this machine is ahead of that of the server; negative where it is behind. */
  readonly ahead: number;
}

/** The last date of each configured issuer. An issuer that is wrong speaks for itself alone. */
export class ServerDates {
  readonly #heard = new Map<string, Heard>();

  hear(issuer: string, date: number, monotonic: number): void {
    if (date > 0 && date <= LAST_PLAUSIBLE) this.#heard.set(issuer, { date, at: monotonic });
  }

  /** The latest time that a server gave, moved on to the present; undefined where none gave one. */
  latest(monotonic: number): number | undefined {
    // Without a list: every verdict asks for the time several times.
    let latest: number | undefined;
    for (const { at, date } of this.#heard.values()) {
      const passed = monotonic - at;
      if (passed > SERVES_FOR) continue;
      const present = date + passed / 1_000;
      if (latest === undefined || present > latest) latest = present;
    }
    return latest;
  }

  /** Whether a server has the time that the system clock has. */
  agree(system: number, monotonic: number): boolean {
    return this.#present(monotonic).some(({ date }) => Math.abs(system - date) <= AGREES_WITHIN);
  }

  /** Servers whose clock differs from the system clock. */
  differing(system: number, monotonic: number): readonly ClockDifference[] {
    return this.#present(monotonic).flatMap(({ date, issuer }) => {
      const ahead = Math.round(system - date);
      return Math.abs(ahead) <= AGREES_WITHIN ? [] : [{ issuer, ahead }];
    });
  }

  #present(monotonic: number): readonly { readonly issuer: string; readonly date: number }[] {
    return [...this.#heard].flatMap(([issuer, { at, date }]) => {
      const passed = monotonic - at;
      return passed > SERVES_FOR ? [] : [{ issuer, date: date + passed / 1_000 }];
    });
  }
}

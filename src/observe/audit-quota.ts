/**
 * How many records one device can cause. A device that asks without pause would otherwise displace the records of all others.
 * Each device has a quota for each kind and verdict, apart for tokens that verify and for all else, a day's worth at once at most. Entries beyond it are counted, and one
 * record says how many they were.
 */
import type { AuditEntry } from '../ports/audit.ts';

/** What peers can cause as often as they like. The rest is what operators do, or has a pause of its own. */
const BOUNDED: ReadonlySet<AuditEntry['kind']> = new Set(['relay', 'deliver', 'deliver-end', 'answer']);
/** Milliseconds in which a quota is there again. */
const DAY = 86_400_000;

interface Quota {
  left: number;
  /** Milliseconds of the monotonic clock. */
  at: number;
}

export class AuditQuotas {
  readonly #perDay: number;
  readonly #quotas = new Map<string, Quota>();
  /** What came beyond a quota, as one entry each. */
  #sums = new Map<string, AuditEntry & { readonly count: number }>();

  /** @param perDay records of one device, kind and verdict, with or without a token that verifies */
  constructor(perDay: number) {
    this.#perDay = perDay;
  }

  /** Whether the entry gets a record of its own; otherwise it is counted. @param monotonic milliseconds */
  take(entry: AuditEntry, monotonic: number): boolean {
    if (!BOUNDED.has(entry.kind)) return true;
    // Without any token a peer can have requests refused: those must not use up the records of tokens that an issuer signed.
    const origin = entry.issuer === undefined ? 'unknown' : 'issued';
    const name = `${entry.kind} ${entry.verdict} ${origin} ${entry.device ?? ''}`;
    const quota = this.#quotas.get(name) ?? { left: this.#perDay, at: monotonic };
    this.#quotas.set(name, quota);
    this.#refill(quota, monotonic);
    if (quota.left >= 1) {
      quota.left -= 1;
      return true;
    }
    const { code, device, kind, request, verdict } = entry;
    const sum = this.#sums.get(name);
    const count = (sum?.count ?? 0) + 1;
    const isAlike = sum === undefined || sum.code === code;
    this.#sums.set(name, { kind, verdict, device, request, code: isAlike ? code : undefined, count });
    return false;
  }

  /** What was counted since the last call. @param monotonic milliseconds */
  sums(monotonic: number): readonly (AuditEntry & { readonly count: number })[] {
    const sums = [...this.#sums.values()];
    this.#sums = new Map();
    for (const [name, quota] of this.#quotas) {
      this.#refill(quota, monotonic);
      if (quota.left >= this.#perDay) this.#quotas.delete(name);
    }
    return sums;
  }

  #refill(quota: Quota, monotonic: number): void {
    quota.left = Math.min(this.#perDay, quota.left + ((monotonic - quota.at) / DAY) * this.#perDay);
    quota.at = monotonic;
  }
}

/**
 * The audit: every verdict in a chain of records that shows what was removed or altered (docs/security.md, "The audit").
 *
 * `record` numbers and chains an entry in memory and returns. Entries that come within 20 ms are written together and
 * handed to the operating system: they survive the end of the process, even by SIGKILL. Once in a while they are put on
 * the medium: a power cut takes the newest ones along, but never one out of the middle. Should the store refuse, they
 * wait, as many as the limit says; those beyond it are counted, and a record of their own says how many they were. What one
 * device causes beyond its quota is summed up as well (audit-quota.ts).
 */
import type { FloorClock, Random, Timers } from '../core/clock.ts';
import type { ErrorCode } from '../core/error-catalogue.ts';
import { coded } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import { Secret } from '../core/secret.ts';
import type { Audit, AuditEntry, AuditHead, AuditRecord } from '../ports/audit.ts';
import type { Log } from '../ports/log.ts';
import type { Store } from '../ports/store.ts';
import { SEGMENT_RECORDS } from './audit-page.ts';
import { AuditQuotas } from './audit-quota.ts';
import { chain, gapRecord, headText, recordOf } from './audit-record.ts';
import { type AuditItem, type AuditLimits, AuditRing, type RingPlan } from './audit-ring.ts';
import type { RingState } from './audit-state.ts';
import { SubjectHashes } from './subject-hashes.ts';

const KEY = 'audit/key';
const KEY_BYTES = 32;

/** What comes within so many milliseconds is written together: the most that SIGKILL can take along. */
const GATHER = 20;
/** Records of one write: no more than a segment, so that what a write drops was written before it. */
const WRITE_RECORDS = SEGMENT_RECORDS;
/** Waiting records that may hold signed answers, which are large; those behind name only their hash. */
const WAITING_EVIDENCE = 256;
/** Milliseconds until a write that failed is tried again: the first time, and at most. */
const RETRY_FIRST = 1_000;
const RETRY_MOST = 10_000;
/** Milliseconds between two log lines that say where the chain stands. */
const HEAD_EVERY = 600_000;
/** Milliseconds between two looks for records whose time is over. */
const EXPIRE_EVERY = 3_600_000;
/** Milliseconds for which entries beyond a quota are counted before a record says how many: a kill takes that count along. */
const SUM_UP_AFTER = 600_000;

export interface AuditSettings extends AuditLimits {
  /** Milliseconds after which records are put on the medium. */
  readonly flushInterval: number;
  /** Records of one device, kind and verdict that are kept of a day; more are summed up. */
  readonly perDevice: number;
}

export interface AuditDependencies {
  readonly store: Store;
  readonly clock: FloorClock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  readonly settings: AuditSettings;
}

export interface AuditStatus {
  /** Records that are kept. */
  readonly records: number;
  readonly head: AuditHead;
  /** Entries of this run that are in no record. */
  readonly lost: number;
  /** What is wrong with the audit, for `latchkey status`. */
  readonly code: ErrorCode | undefined;
}

export class AuditTrail implements Audit {
  readonly #dependencies: AuditDependencies;
  readonly #ring: AuditRing;
  readonly #subjects: SubjectHashes;
  readonly #mended: boolean;
  readonly #quotas: AuditQuotas;
  /** Of the newest record, written or not. */
  #head: AuditHead;
  #waiting: AuditItem[] = [];
  #lost = 0;
  /** Lost since the last record that says so. */
  #gap = 0;
  /** A write that failed is tried again as it was: it may have taken effect all the same. */
  #plan: { readonly ring: RingPlan; readonly items: number } | undefined;
  #failures = 0;
  #unflushed = false;
  #flushedAt: number;
  #announced = 0;
  #announcedAt: number | undefined;
  #warnedAt: number | undefined;
  #last: Promise<void> = Promise.resolve();
  #cancelWrite: (() => void) | undefined;
  #cancelFlush: (() => void) | undefined;
  #cancelExpiry: (() => void) | undefined;
  #cancelSums: (() => void) | undefined;

  private constructor(
    dependencies: AuditDependencies,
    parts: { readonly ring: AuditRing; readonly mended: boolean; readonly subjects: SubjectHashes },
  ) {
    this.#dependencies = dependencies;
    this.#ring = parts.ring;
    this.#mended = parts.mended;
    this.#subjects = parts.subjects;
    this.#quotas = new AuditQuotas(dependencies.settings.perDevice);
    this.#head = parts.ring.state.head;
    this.#flushedAt = dependencies.clock.monotonic();
  }

  /** Errors of the store are thrown; a chain that lost its end is taken up after the last record, logged and told of. */
  static async open(dependencies: AuditDependencies): Promise<AuditTrail> {
    const { log, random, settings, store } = dependencies;
    const seed = random.bytes(KEY_BYTES);
    const { ring, mended } = await AuditRing.open({ store, limits: settings, seed });
    if (mended) log.error({ event: 'audit_mended', code: 'audit_broken' }, 'the entry that ends the audit was gone');
    const subjects = new SubjectHashes(await keyOf(store, random));
    return new AuditTrail(dependencies, { ring, mended, subjects });
  }

  /** Looks for records whose time is over, now and then. */
  start(): void {
    void this.#expire();
  }

  record(entry: AuditEntry): void {
    const { clock, timers } = this.#dependencies;
    if (this.#quotas.take(entry, clock.monotonic())) this.#keep(entry);
    else this.#cancelSums ??= timers.after(SUM_UP_AFTER, () => this.#sumUp());
  }

  #sumUp(): void {
    const { clock, log } = this.#dependencies;
    this.#cancelSums?.();
    this.#cancelSums = undefined;
    for (const sum of this.#quotas.sums(clock.monotonic())) {
      this.#keep(sum);
      const { count, device, kind, verdict } = sum;
      const fields = { event: 'audit_summed', device, kind, verdict, count };
      log.warn(fields, 'a device causes more verdicts than its quota of audit records; one record has their number');
    }
  }

  #keep(entry: AuditEntry): void {
    if (this.#waiting.length >= LIMITS.auditWaiting) {
      const { count = 1 } = entry;
      this.#lost += count;
      this.#gap += count;
      return;
    }
    const { clock } = this.#dependencies;
    const jws = this.#waiting.length < WAITING_EVIDENCE ? entry.evidence?.jws : undefined;
    this.#append(
      recordOf(entry, { sequence: this.#head.sequence + 1, time: clock.now(), subjects: this.#subjects }),
      jws,
    );
    // While writes fail the next attempt has its own time.
    if (this.#cancelWrite === undefined && this.#failures === 0) this.#writeAfter(GATHER);
  }

  /** Where the chain begins and ends in the store. */
  get kept(): Pick<RingState, 'dropped' | 'head'> {
    return this.#ring.state;
  }

  get subjects(): SubjectHashes {
    return this.#subjects;
  }

  status(): AuditStatus {
    const { dropped } = this.#ring.state;
    const code = this.#failures > 0 ? 'audit_failing' : this.#mended ? 'audit_broken' : undefined;
    return { records: this.#head.sequence - dropped.sequence, head: this.#head, lost: this.#lost, code };
  }

  /** Resolves when all that was recorded so far was handed to the store; says so in the log where that failed. */
  async written(options: { readonly flush?: boolean } = {}): Promise<void> {
    const { flush = false } = options;
    do await this.#enqueue(() => this.#write(flush));
    while (this.#waiting.length > 0 && this.#failures === 0);
  }

  /** Puts everything on the medium. Nothing may be recorded after. */
  async close(): Promise<void> {
    this.#cancelExpiry?.();
    this.#sumUp();
    await this.written({ flush: true });
    this.#cancelWrite?.();
    this.#cancelFlush?.();
    this.#announce();
    const lost = this.#waiting.length + this.#gap;
    if (lost > 0)
      this.#dependencies.log.error(
        { event: 'audit_lost', code: 'audit_failing', lost },
        'the hub ends with verdicts that the audit could not take',
      );
  }

  #append(record: AuditRecord, evidence: Secret<string> | undefined): void {
    const chained = chain(record, this.#head.hash);
    this.#head = { sequence: record.sequence, hash: chained.hash };
    this.#waiting.push({ ...chained, evidence });
  }

  #writeAfter(milliseconds: number): void {
    this.#cancelWrite?.();
    this.#cancelWrite = this.#dependencies.timers.after(milliseconds, () => {
      this.#cancelWrite = undefined;
      void this.#enqueue(() => this.#write(false));
    });
  }

  /** One after the other. A step never rejects: what fails is logged and tried again. */
  #enqueue(step: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(step);
    return this.#last;
  }

  async #write(flush: boolean): Promise<void> {
    const { clock, settings } = this.#dependencies;
    const isDue = flush || clock.monotonic() - this.#flushedAt >= settings.flushInterval;
    if (this.#plan === undefined && this.#waiting.length === 0 && !(isDue && this.#unflushed)) return;
    await this.#carryOut(isDue, async () => {
      const items = this.#waiting.slice(0, WRITE_RECORDS);
      return { ring: await this.#ring.plan(items), items: items.length };
    });
    if (this.#waiting.length > 0 && this.#failures === 0) this.#writeAfter(0);
    // While writes fail the next attempt has its own time: the flush before is long due, and would be tried without a pause.
    if (this.#unflushed && this.#failures === 0)
      this.#flushAfter(this.#flushedAt + settings.flushInterval - clock.monotonic());
  }

  #flushAfter(milliseconds: number): void {
    this.#cancelFlush ??= this.#dependencies.timers.after(milliseconds, () => {
      this.#cancelFlush = undefined;
      void this.#enqueue(() => this.#write(true));
    });
  }

  async #expire(): Promise<void> {
    const { clock, timers } = this.#dependencies;
    this.#cancelExpiry = timers.after(EXPIRE_EVERY, () => void this.#expire());
    await this.#enqueue(async () => {
      // A write that waits to be tried again comes first, and then the next hour is soon enough.
      if (this.#plan !== undefined) return;
      // A clock that is ahead must not drop what is not old.
      const plan = async () => ({ ring: await this.#ring.planExpiry(clock.certain()), items: 0 });
      await this.#carryOut(false, plan);
    });
  }

  async #carryOut(flush: boolean, plan: () => Promise<{ ring: RingPlan; items: number }>): Promise<void> {
    const { clock, store } = this.#dependencies;
    try {
      this.#plan ??= await plan();
      await store.write(this.#plan.ring.changes, { flush });
    } catch (error) {
      this.#fail(error);
      return;
    }
    const { ring, items } = this.#plan;
    this.#plan = undefined;
    this.#ring.commit(ring);
    this.#waiting.splice(0, items);
    this.#unflushed = !flush;
    if (flush) this.#flushedAt = clock.monotonic();
    this.#recover();
    this.#warn(ring.early);
    if (flush && (this.#announcedAt ?? Number.NEGATIVE_INFINITY) <= clock.monotonic() - HEAD_EVERY) this.#announce();
  }

  #fail(error: unknown): void {
    const { log } = this.#dependencies;
    this.#failures += 1;
    log.error(
      { event: 'audit_failing', code: 'audit_failing', waiting: this.#waiting.length, cause: coded(error).code, error },
      'the audit cannot be written; verdicts wait in memory',
    );
    this.#writeAfter(Math.min(RETRY_FIRST * 2 ** (this.#failures - 1), RETRY_MOST));
  }

  #recover(): void {
    const { clock, log } = this.#dependencies;
    if (this.#gap > 0) {
      this.#append(gapRecord(this.#gap, { sequence: this.#head.sequence + 1, time: clock.now() }), undefined);
      this.#gap = 0;
    }
    if (this.#failures === 0) return;
    this.#failures = 0;
    log.info({ event: 'audit_recovered', lost: this.#lost }, 'the audit is written again');
  }

  /** An operator who reads the log elsewhere can compare the chain with this line: docs/operations.md, "The audit". */
  #announce(): void {
    const { clock, log } = this.#dependencies;
    const { head } = this.#ring.state;
    if (this.#unflushed || head.sequence === this.#announced) return;
    this.#announced = head.sequence;
    this.#announcedAt = clock.monotonic();
    log.info({ event: 'audit_head', head: headText(head) }, 'so far the audit is on the medium');
  }

  #warn(early: number): void {
    const { clock, log } = this.#dependencies;
    if (early === 0 || (this.#warnedAt ?? Number.NEGATIVE_INFINITY) > clock.monotonic() - EXPIRE_EVERY) return;
    this.#warnedAt = clock.monotonic();
    log.warn(
      { event: 'audit_full', dropped: headText(this.#ring.state.dropped) },
      'the audit drops records before their time: raise audit.max_records and audit.max_size, or export it more often',
    );
  }
}

async function keyOf(store: Store, random: Random): Promise<Secret<Uint8Array>> {
  const stored = await store.read(KEY);
  if (stored?.length === KEY_BYTES) return new Secret(stored);
  const made = random.bytes(KEY_BYTES);
  await store.write([{ put: KEY, value: made }]);
  return new Secret(made);
}

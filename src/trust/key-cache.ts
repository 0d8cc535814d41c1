import type { FloorClock, Random, Timers } from '../core/clock.ts';
import type { ErrorCode } from '../core/error-catalogue.ts';
import { coded, LatchkeyError } from '../core/errors.ts';
import type { AuthorizationServer } from '../ports/authorization-server.ts';
import type { Log } from '../ports/log.ts';
import type { Store } from '../ports/store.ts';
import { Cooldown } from './cooldown.ts';
import type { IntrospectionAddresses } from './discovery.ts';
import { describeKeys, type HeldKeys, type IssuerKeys, type IssuerStatus, NO_ADDRESSES } from './issuer-keys.ts';
import type { IssuerPolicy } from './issuer-policy.ts';
import { type FetchedKeys, fetchKeys } from './key-fetch.ts';
import { decodeRecord, encodeRecord, keptAddresses, recordKey } from './key-record.ts';
import type { KeyRing } from './key-ring.ts';
import { refreshDelay, retryDelay } from './refresh-schedule.ts';
import { setAside } from './set-aside.ts';

export interface KeyCacheOptions {
  readonly policy: IssuerPolicy;
  readonly as: AuthorizationServer;
  readonly store: Store;
  readonly clock: FloorClock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  /** Called when other keys are held than before. */
  readonly onChange?: (() => void) | undefined;
}

/** Milliseconds after which the metadata is read anew: an AS that moves its keys announces it there. */
const METADATA_LIFETIME = 86_400_000;
/** Seconds by which a mere confirmation must differ from the one on disk to be written: flash cards wear. */
const WORTH_WRITING = 3_600;
/** Keys that came, went or were passed over and are named in one line of the log. */
const MOST_LOGGED = 8;
/** Seconds by which a date on disk may be in the future: NTP steps a clock back by as much at most between two runs. */
const STEPPED_BACK = 3_600;

/** Keys in use. What is known of their age is kept twice: by the calendar, and by the clock that only grows. */
interface Held {
  readonly ring: KeyRing;
  readonly jwksUri: string;
  readonly etag: string | undefined;
  /** The newest that is known, from whenever: goes onto the disk with the keys. */
  readonly introspection: IntrospectionAddresses | undefined;
  /** NumericDate, never later than the true one. */
  confirmedAt: number;
  /** Whether the issuer confirmed them since the hub started; else they are from the disk. */
  readonly inThisRun: boolean;
  /** Whether the time was not known then, and `confirmedAt` is only what was certain. */
  confirmedUnsure: boolean;
  /** `monotonic()` when these fields were set, and the age in seconds at that moment. */
  readonly mark: number;
  readonly ageAtMark: number;
}

/**
 * The keys of one issuer that is asked over the network, on disk as well as in memory. Good answers replace what is
 * held, so a withdrawn key is distrusted at once; bad answers change nothing but the time of the next attempt. What is
 * held serves until `offlineLimit`, whether the issuer can be reached or not.
 */
export class KeyCache implements IssuerKeys {
  readonly #options: KeyCacheOptions;
  #held: Held | undefined;
  /** `confirmedAt` of the record on disk, if that record holds these very keys. */
  #writtenAt: number | undefined;
  #flight: Promise<void> | undefined;
  #correction: Promise<void> | undefined;
  /** What tokens may set off; refreshes by the timer do not count. One each, so that made-up `kid`s keep nobody waiting. */
  readonly #forKey: Cooldown;
  readonly #forEndpoint: Cooldown;
  #metadataReadAt: number | undefined;
  /** From metadata that was read in this run. */
  #introspection: IntrospectionAddresses | undefined;
  #failures = 0;
  #lastError: ErrorCode | undefined;
  #next: { readonly at: number; readonly cancel: () => void } | undefined;
  #closed = false;

  constructor(options: KeyCacheOptions) {
    this.#options = { ...options, log: options.log.child({ issuer: options.policy.issuer }) };
    const cooldown = options.policy.unknownKeyCooldown * 1000;
    this.#forKey = new Cooldown(options.clock, cooldown);
    this.#forEndpoint = new Cooldown(options.clock, cooldown);
  }

  async start(): Promise<void> {
    await this.#load();
    this.#scheduleIn(0);
  }

  async forKeyId(keyId: string | undefined): Promise<HeldKeys> {
    const lacks = (keys: HeldKeys | undefined) => keys === undefined || (keyId !== undefined && !keys.ring.has(keyId));
    let held = this.#usable();
    if (lacks(held)) {
      const joins = this.#flight !== undefined;
      await this.#askIfAllowed(this.#forKey);
      held = this.#usable();
      // The answer may be older than the token: Ory Hydra makes a key for its first token while it still answers.
      if (joins && this.#failures === 0 && lacks(held)) {
        await this.#askIfAllowed(this.#forKey);
        held = this.#usable();
      }
    }
    if (held === undefined) {
      throw new LatchkeyError(this.#held === undefined ? 'keys_unavailable' : 'keys_too_old', this.#lastError);
    }
    if (lacks(held)) this.#demandAnswer();
    return held;
  }

  /**
   * For a key that is not held: the issuer may have it by now, so only a good answer of the issuer is a reason to refuse
   * the token for good.
   */
  #demandAnswer(): void {
    if (this.#failures === 0 || this.#lastError === undefined) return;
    const timer = (this.#next?.at ?? Number.POSITIVE_INFINITY) - this.#options.clock.monotonic();
    const wait = Math.max(0, Math.min(timer, this.#forKey.left()));
    throw new LatchkeyError(this.#lastError, 'the key is not held, and the issuer could not be asked for it', {
      retryAfter: Math.max(1, Math.ceil(wait / 1_000)),
    });
  }

  async introspection(): Promise<IntrospectionAddresses> {
    const isDiscovered = this.#options.policy.source.kind === 'discovery';
    // The issuer's own word comes first. What the disk says serves only while there is none.
    if (this.#introspection === undefined && isDiscovered) await this.#askIfAllowed(this.#forEndpoint);
    const known = this.#introspection ?? this.#held?.introspection;
    if (known !== undefined) return known;
    if (!isDiscovered) throw new LatchkeyError('introspection_unavailable', 'nothing is discovered of this issuer');
    throw new LatchkeyError(this.#lastError ?? 'introspection_unavailable', 'the endpoint is not known yet');
  }

  knownIntrospection(): IntrospectionAddresses | undefined {
    if (this.#options.policy.source.kind !== 'discovery') return NO_ADDRESSES;
    return this.#introspection ?? this.#held?.introspection;
  }

  ring(): KeyRing | undefined {
    return this.#held?.ring;
  }

  status(): IssuerStatus {
    const { policy, clock } = this.#options;
    return {
      ...describeKeys(policy, this.#held?.ring),
      age: this.#held === undefined ? undefined : this.#age(this.#held),
      lastError: this.#lastError,
      nextRefresh: this.#next === undefined ? undefined : Math.max(0, (this.#next.at - clock.monotonic()) / 1000),
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#next?.cancel();
    this.#next = undefined;
    await this.#options.as.close();
    await this.#flight;
    await this.#correction;
  }

  #usable(): HeldKeys | undefined {
    if (this.#held === undefined) return undefined;
    const age = this.#age(this.#held);
    return age > this.#options.policy.offlineLimit ? undefined : { ring: this.#held.ring, age };
  }

  /**
   * The larger of two measures. A clock set back does not make keys younger, since the time floor holds the calendar;
   * neither does a reboot, since `confirmedAt` is on disk; and a calendar that stands still is overtaken by the
   * monotonic clock.
   */
  #age(held: Held): number {
    const { clock } = this.#options;
    const { earliest, latest } = clock.now();
    const elapsed = held.ageAtMark + (clock.monotonic() - held.mark) / 1000;
    // A date that is still to come tells nothing: the clock that it was read from was wrong.
    const isImpossible = latest !== undefined && held.confirmedAt > latest + STEPPED_BACK;
    if (latest !== undefined && held.inThisRun && (held.confirmedUnsure || isImpossible)) {
      // The time became known: now it can be told when the issuer confirmed the keys in this run.
      held.confirmedAt = earliest - elapsed;
      held.confirmedUnsure = false;
      if (!this.#closed) this.#correction = this.#write();
    } else if (isImpossible) {
      // Nothing else tells how old they are: any age is possible, so the greatest one is taken.
      return earliest;
    }
    return Math.max(0, elapsed, earliest - held.confirmedAt);
  }

  /** For a token's sake: joins an attempt under way, else makes one unless a token set one off a moment ago. */
  async #askIfAllowed(cooldown: Cooldown): Promise<void> {
    if (this.#flight === undefined && !cooldown.take()) return;
    await this.#refresh();
  }

  #refresh(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#flight ??= this.#attempt().finally(() => {
      this.#flight = undefined;
    });
    return this.#flight;
  }

  async #attempt(): Promise<void> {
    const { policy, as, random, log } = this.#options;
    try {
      const fetched = await fetchKeys(as, policy, { known: this.#held, lookUp: this.#metadataIsDue() });
      this.#accept(fetched);
      this.#scheduleIn(refreshDelay(fetched.lifetime, random.fraction()));
      await this.#write();
    } catch (error) {
      // Closing ends the exchange under way: that is no failure of the issuer.
      if (this.#closed) return;
      const { code, detail } = coded(error);
      this.#failures += 1;
      this.#lastError = code;
      // Perhaps the keys moved: the next attempt begins with the metadata.
      this.#metadataReadAt = undefined;
      const delay = retryDelay(this.#failures, random.fraction());
      log.warn(
        { event: 'keys_refresh_failed', code, detail, keys_held: this.#held?.ring.keys.length ?? 0, retry_in: delay },
        'the keys of the issuer could not be refreshed; those that are held stay',
      );
      this.#scheduleIn(delay);
    }
  }

  #metadataIsDue(): boolean {
    const { clock } = this.#options;
    return this.#metadataReadAt === undefined || clock.monotonic() - this.#metadataReadAt >= METADATA_LIFETIME;
  }

  #accept(fetched: FetchedKeys): void {
    const { clock, log, policy } = this.#options;
    const before = this.#held;
    const { earliest, latest } = clock.now();
    const confirmedUnsure = latest === undefined;
    this.#held = {
      ring: fetched.ring,
      jwksUri: fetched.jwksUri,
      etag: fetched.etag,
      introspection: fetched.introspection ?? before?.introspection,
      // Another issuer may have pushed `earliest` ahead: on disk such a date would keep these keys young for years.
      confirmedAt: confirmedUnsure ? clock.certain() : earliest,
      inThisRun: true,
      confirmedUnsure,
      mark: clock.monotonic(),
      ageAtMark: 0,
    };
    this.#introspection = fetched.introspection ?? this.#introspection;
    this.#failures = 0;
    // Metadata that went bad is read at every attempt until it is good again.
    this.#lastError = fetched.metadataError?.code;
    if (fetched.metadataError !== undefined) this.#metadataReadAt = undefined;
    else if (this.#metadataIsDue()) this.#metadataReadAt = clock.monotonic();
    const kept = (held: Held | undefined) => JSON.stringify(keptAddresses(held?.introspection, policy));
    if (kept(before) !== kept(this.#held)) this.#writtenAt = undefined;
    const change = changeOf(before?.ring, fetched.ring);
    if (change === undefined) return;
    this.#writtenAt = undefined;
    const { skipped } = fetched.ring;
    log.info({ event: 'keys_changed', ...change, skipped: firstOf(skipped) }, 'the keys of the issuer changed');
    this.#options.onChange?.();
  }

  async #load(): Promise<void> {
    const { policy, store, clock, log } = this.#options;
    const key = recordKey(policy.issuer);
    const bytes = await store.read(key);
    if (bytes === undefined) return;
    try {
      const record = decodeRecord(bytes, policy);
      if (record === undefined) {
        log.info({ event: 'keys_not_reused' }, 'the issuer is configured anew: its keys on disk are not used');
        return;
      }
      const ageAtMark = Math.max(0, clock.now().earliest - record.confirmedAt);
      const mark = clock.monotonic();
      this.#held = { ...record, etag: undefined, inThisRun: false, confirmedUnsure: false, mark, ageAtMark };
      this.#writtenAt = record.confirmedAt;
    } catch (error) {
      const { code, detail } = coded(error);
      log.error(
        { event: 'keys_set_aside', code, detail },
        'the keys of the issuer on disk cannot be used: quarantined',
      );
      await setAside(store, log, key, bytes);
    }
  }

  /** A failed write costs the next cold boot, not this run: the keys are in memory and the log says so. */
  async #write(): Promise<void> {
    const { clock, policy, store, log } = this.#options;
    const held = this.#held;
    if (held === undefined) return;
    // A clock that is ahead would put a date on disk that no right clock believes, and the keys would count as too old.
    const confirmedAt = Math.min(held.confirmedAt, clock.certain() + STEPPED_BACK);
    if (this.#writtenAt !== undefined && Math.abs(confirmedAt - this.#writtenAt) < WORTH_WRITING) return;
    try {
      await store.write([{ put: recordKey(policy.issuer), value: encodeRecord({ ...held, confirmedAt }, policy) }]);
      this.#writtenAt = confirmedAt;
    } catch (error) {
      const { code, detail } = coded(error);
      log.error({ event: 'keys_write_failed', code, detail }, 'the keys of the issuer could not be written to disk');
    }
  }

  #scheduleIn(seconds: number): void {
    if (this.#closed) return;
    const { clock, timers } = this.#options;
    this.#next?.cancel();
    const cancel = timers.after(seconds * 1000, () => {
      this.#next = undefined;
      void this.#refresh();
    });
    this.#next = { at: clock.monotonic() + seconds * 1000, cancel };
  }
}

/** The `kid`s that came and went, for the log; undefined where the sets are the same. */
function changeOf(before: KeyRing | undefined, after: KeyRing) {
  if (before !== undefined && JSON.stringify(before.document) === JSON.stringify(after.document)) return undefined;
  const names = (ring: KeyRing | undefined) => (ring?.keys ?? []).map(({ keyId }) => keyId ?? '(no kid)');
  const [old, now] = [names(before), names(after)];
  return {
    added: firstOf(now.filter((kid) => !old.includes(kid))),
    withdrawn: firstOf(old.filter((kid) => !now.includes(kid))),
  };
}

/** An issuer says how much there is to say, and how often: a line of the log has no room for all of it. */
function firstOf<T>(all: readonly T[]): { readonly count: number; readonly first: readonly T[] } {
  return { count: all.length, first: all.slice(0, MOST_LOGGED) };
}

/**
 * Tokens that their issuer bound to no key, and the key of the client that presented each of them first. No other key gets in with
 * such a token until it is dead, whatever happens to the records:
 *
 * - A binding is on the medium before its token is used for anything, and all of them are in memory.
 * - A binding is forgotten only when the confirmed time is past the end of its token. What an operator does to the clock can make that
 *   token live again; `drawLine` is called then.
 * - What no record can tell is whether records are missing: a card, a folder or a backup from before may have been put back. So each
 *   start draws a line. A token that is not bound, and may be older than the line, may have had a binding: it is refused. What this
 *   costs is a new token for each that was not presented yet.
 */
import { base64url, fromUtf8, sha256, utf8 } from '../core/bytes.ts';
import { type FloorClock, unsureCode } from '../core/clock.ts';
import { LatchkeyError } from '../core/errors.ts';
import { isJsonObject } from '../core/json.ts';
import { LIMITS } from '../core/limits.ts';
import type { Log } from '../ports/log.ts';
import type { Store, StoreChange } from '../ports/store.ts';

const PREFIX = 'binding/';
/** What is kept of an identity: enough that there is no second token with the same. */
const MARK_BYTES = 16;
const OWNER_BYTES = 12;
/** Milliseconds between two times that dead bindings are looked for. */
const SWEEP_EVERY = 10_000;
/** The same while a share is full: a refused attempt must not cost a walk over all bindings. */
const SWEEP_EVERY_WHEN_FULL = 1_000;
/** The part of a second that surely passed when the monotonic clock says one second: crystals are off by 100 ppm. */
const SLOWEST_CRYSTAL = 0.9999;

/** A good token without `cnf`, presented with a good proof. */
export interface BindingRequest {
  /** SHA-256 over what the issuer signed. 32 bytes. */
  readonly identity: Uint8Array;
  /** Of the key of the presenter: JWK thumbprint (RFC 7638), base64url. */
  readonly thumbprint: string;
  readonly issuer: string;
  readonly clientId: string | undefined;
  readonly subject: string | undefined;
  /** NumericDate, by the clock of the issuer. */
  readonly issuedAt: number | undefined;
  /** Seconds by which that clock may run ahead. */
  readonly leeway: number;
  /** NumericDate. */
  readonly expiresAt: number;
}

interface TokenBinding {
  readonly thumbprint: string;
  readonly expiresAt: number;
  /** Whose share of the room it takes: its issuer, and its client and subject there. */
  readonly issuer: string;
  readonly holder: string;
  /** Of a token without a subject: all such tokens of a client are one holder, and each key has a share of that. */
  readonly presenter: string | undefined;
  /** Resolves once it is on the medium. */
  readonly written: Promise<void>;
}

type Owners = Pick<TokenBinding, 'holder' | 'issuer' | 'presenter'>;

export interface TokenBindingsOptions {
  readonly store: Store;
  readonly clock: FloorClock;
  readonly log: Log;
  readonly limits?: BindingLimits;
}

interface BindingLimits {
  readonly overall: number;
  readonly perIssuer: number;
  readonly perHolder: number;
  readonly perPresenter: number;
}

const DEFAULT_LIMITS: BindingLimits = {
  overall: LIMITS.tokenBindings,
  perIssuer: LIMITS.tokenBindingsPerIssuer,
  perHolder: LIMITS.tokenBindingsPerHolder,
  perPresenter: LIMITS.tokenBindingsPerPresenter,
};

export class TokenBindings {
  readonly #options: TokenBindingsOptions;
  readonly #bindings = new Map<string, TokenBinding>();
  /** Bindings of each issuer, holder and presenter. */
  readonly #counts = new Map<string, number>();
  /** Keys of dead records, which the next write removes. */
  #dead: string[] = [];
  /** Millisecond of the monotonic clock at which the line was drawn. */
  #lineAt: number;
  #sweptAt: number;

  private constructor(options: TokenBindingsOptions) {
    this.#options = options;
    this.#lineAt = options.clock.monotonic();
    this.#sweptAt = this.#lineAt;
  }

  /** A record that cannot be read is logged and left out: its token is older than this start, and so is refused. */
  static async open(options: TokenBindingsOptions): Promise<TokenBindings> {
    const bindings = new TokenBindings(options);
    for (const [key, value] of await options.store.list(PREFIX)) {
      const binding = readBinding(value);
      if (binding === undefined) {
        options.log.error(
          { event: 'binding_record_unreadable', code: 'store_corrupt', key },
          'the binding of a token cannot be read; the token is refused, and its client needs a new one',
        );
        bindings.#dead.push(key);
      } else bindings.#keep(key, binding);
    }
    bindings.#sweep();
    return bindings;
  }

  get size(): number {
    return this.#bindings.size;
  }

  /** The thumbprint of the key that a token is bound to; undefined where it is bound to none. */
  ownerOf(identity: Uint8Array): string | undefined {
    return this.#bindings.get(keyOf(identity))?.thumbprint;
  }

  /** From now on no token is bound that may have been issued before. */
  drawLine(): void {
    this.#lineAt = this.#options.clock.monotonic();
  }

  /**
   * Binds the token to the key, unless it is bound to it already. Resolves once that is on the medium.
   * @throws {LatchkeyError} `token_bound_elsewhere`; `token_binding_unknown` for a token of before the line; `jwt_claim_missing`
   *   without `iat`, `clock_unsure`, `clock_behind_floor`: then its age is not known; `token_bindings_full`; errors of the store
   */
  async bind(request: BindingRequest): Promise<void> {
    const key = keyOf(request.identity);
    const known = this.#bindings.get(key);
    if (known !== undefined) {
      if (known.thumbprint !== request.thumbprint) throw new LatchkeyError('token_bound_elsewhere');
      return known.written;
    }
    this.#demandNew(request);
    const { expiresAt, thumbprint } = request;
    const owners = ownersOf(request);
    this.#demandRoom(owners);
    // A record that was written anew since it was found dead stays.
    const removals = this.#dead.splice(0).filter((dead) => !this.#bindings.has(dead));
    const value = utf8(JSON.stringify({ jkt: thumbprint, exp: expiresAt, ...owners }));
    const written = this.#write(key, [...removals.map((remove) => ({ remove })), { put: key, value }], removals);
    this.#keep(key, { thumbprint, expiresAt, ...owners, written });
    await written;
    const fields = { event: 'token_bound', issuer: request.issuer, key: thumbprint };
    this.#options.log.info(fields, 'a token without a key is bound to that of its first presenter');
  }

  async #write(key: string, changes: readonly StoreChange[], removals: readonly string[]): Promise<void> {
    // A store that throws at once must not do so before the binding is kept: it could not be forgotten.
    await Promise.resolve();
    try {
      await this.#options.store.write(changes);
    } catch (error) {
      // Nothing was done with the token yet: another attempt may bind it, to this key or another one.
      this.#forget(key);
      this.#dead.push(...removals);
      throw error;
    }
  }

  /** What was issued after the line was never presented to a run whose records may be missing. */
  #demandNew({ issuedAt, leeway }: BindingRequest): void {
    const { clock } = this.#options;
    const time = clock.now();
    if (time.latest === undefined) throw new LatchkeyError(unsureCode(time), 'when was the token issued?');
    if (issuedAt === undefined) throw new LatchkeyError('jwt_claim_missing', 'iat');
    // By the clock as it is now: at the start it may have been wrong.
    const line = time.latest - ((clock.monotonic() - this.#lineAt) / 1_000) * SLOWEST_CRYSTAL;
    if (issuedAt - leeway > line) return;
    const wait = Math.ceil(line + leeway + 1 - time.earliest);
    throw new LatchkeyError(
      'token_binding_unknown',
      'issued before the hub started',
      wait > 0 ? { retryAfter: wait } : {},
    );
  }

  #demandRoom(owners: Owners): void {
    const { clock } = this.#options;
    const isFull = () => this.#fullShare(owners) !== undefined;
    if (clock.monotonic() - this.#sweptAt >= (isFull() ? SWEEP_EVERY_WHEN_FULL : SWEEP_EVERY)) this.#sweep();
    const full = this.#fullShare(owners);
    if (full !== undefined) throw new LatchkeyError('token_bindings_full', full);
  }

  /** Whose share is full, for the log; undefined where there is room. */
  #fullShare({ holder, issuer, presenter }: Owners): string | undefined {
    const { limits = DEFAULT_LIMITS } = this.#options;
    const has = (owner: string) => this.#counts.get(owner) ?? 0;
    if (presenter !== undefined && has(presenter) >= limits.perPresenter) return 'of one key, for tokens without sub';
    if (has(holder) >= limits.perHolder) return 'of one client and subject';
    if (has(issuer) >= limits.perIssuer || this.#bindings.size >= limits.overall) return 'of an issuer, or overall';
    return undefined;
  }

  #sweep(): void {
    const { clock } = this.#options;
    const certain = clock.certain();
    this.#sweptAt = clock.monotonic();
    for (const [key, { expiresAt }] of this.#bindings) {
      if (expiresAt > certain) continue;
      this.#forget(key);
      this.#dead.push(key);
    }
  }

  #keep(key: string, binding: TokenBinding): void {
    this.#bindings.set(key, binding);
    for (const owner of allOf(binding)) this.#counts.set(owner, (this.#counts.get(owner) ?? 0) + 1);
  }

  #forget(key: string): void {
    const binding = this.#bindings.get(key);
    if (binding === undefined) return;
    this.#bindings.delete(key);
    for (const owner of allOf(binding)) {
      const left = (this.#counts.get(owner) ?? 1) - 1;
      if (left > 0) this.#counts.set(owner, left);
      else this.#counts.delete(owner);
    }
  }
}

function keyOf(identity: Uint8Array): string {
  return PREFIX + base64url(identity.subarray(0, MARK_BYTES));
}

/** Hashes: what fills the room is counted, and no name of a person is written down for it. */
function ownersOf({ clientId, issuer, subject, thumbprint }: BindingRequest): Owners {
  const name = (...parts: readonly unknown[]) => base64url(sha256(JSON.stringify(parts)).subarray(0, OWNER_BYTES));
  const holder = name(issuer, clientId ?? null, subject ?? null);
  return { issuer: name(issuer), holder, presenter: subject === undefined ? name(holder, thumbprint) : undefined };
}

function allOf({ holder, issuer, presenter }: Owners): readonly string[] {
  return presenter === undefined ? [issuer, holder] : [issuer, holder, presenter];
}

function readBinding(value: Uint8Array): TokenBinding | undefined {
  let json: unknown;
  try {
    json = JSON.parse(fromUtf8(value));
  } catch {
    // A damaged record: who calls says so.
    return undefined;
  }
  if (!isJsonObject(json)) return undefined;
  // Records of earlier versions have no `presenter`: they count for the others alone.
  const { exp: expiresAt, holder, issuer, jkt: thumbprint, presenter } = json;
  if (typeof thumbprint !== 'string' || typeof expiresAt !== 'number') return undefined;
  if (typeof holder !== 'string' || typeof issuer !== 'string') return undefined;
  if (presenter !== undefined && typeof presenter !== 'string') return undefined;
  return { thumbprint, expiresAt, holder, issuer, presenter, written: Promise.resolve() };
}

import { bestGuess } from '../core/clock.ts';
import { isCoded } from '../core/errors.ts';
import type { AccessToken } from './access-token.ts';
import { argumentError, demandObject, demandToken } from './arguments.ts';
import { type ClientEnvironment, systemEnvironment } from './environment.ts';

export interface TokenKeeperOptions {
  /**
   * Brings the next token: `server.clientCredentials(request)` of a machine, `server.refresh(old.refreshToken)` of a person.
   * What is to outlive this process, such as a refresh token that has changed, is written down here, before the token is
   * used: a server may withdraw the old one with the first use of the new.
   * @param old the token that ends; undefined for the first one
   */
  readonly renew: (old: AccessToken | undefined) => Promise<AccessToken>;
  /** The first token; without it `renew` brings it. */
  readonly token?: AccessToken;
  readonly environment?: ClientEnvironment;
}

/** Seconds that a token has left when it is handed out, where the caller names no number. */
const VALID_FOR = 60;

/** Keeps one access token good: renews it before it expires, once for all who ask meanwhile. */
export class TokenKeeper {
  readonly #renew: TokenKeeperOptions['renew'];
  readonly #clock: ClientEnvironment['clock'];
  #current: AccessToken | undefined;
  /** NumericDate at which `#current` came; undefined for the one that was handed in. */
  #since: number | undefined;
  #renewing: Promise<AccessToken> | undefined;

  /** @throws {LatchkeyError} `client_argument_invalid` */
  constructor(options: TokenKeeperOptions) {
    demandObject('options', options);
    if (typeof options.renew !== 'function') throw argumentError('renew: not a function');
    if (options.token !== undefined) demandToken('token', options.token);
    this.#renew = options.renew;
    this.#clock = (options.environment ?? systemEnvironment).clock;
    this.#current = options.token;
  }

  /**
   * A token with time left. One that says no end is handed out until `renew` is called. Where no new one can be had at
   * present, the old one is handed out as long as it lives.
   * @param options.validFor seconds that it shall have left, 60 by default; more for a device that may be away. A server
   *   whose tokens live less than twice as long has them renewed at half their life.
   * @throws {LatchkeyError} what `renew` of the options throws
   */
  async token(options: { readonly validFor?: number } = {}): Promise<AccessToken> {
    const current = this.#current;
    if (current === undefined) return this.renew();
    const left = this.#left(current);
    if (left >= Math.min(options.validFor ?? VALID_FOR, this.#lifeOf(current) / 2)) return current;
    try {
      return await this.renew();
    } catch (error) {
      const isPassing = isCoded(error, 'client_unreachable') || isCoded(error, 'client_server_failed');
      if (isPassing && this.#left(current) > 0) return current;
      throw error;
    }
  }

  /**
   * A new token at once, such as after a refusal of the old one.
   * @throws {LatchkeyError} what `renew` of the options throws
   */
  renew(): Promise<AccessToken> {
    this.#renewing ??= this.#next().finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  async #next(): Promise<AccessToken> {
    const next = await this.#renew(this.#current);
    demandToken('what renew brought', next);
    this.#current = next;
    this.#since = this.#now();
    return next;
  }

  #left({ expiresAt }: AccessToken): number {
    return expiresAt === undefined ? Number.POSITIVE_INFINITY : expiresAt - this.#now();
  }

  /** Seconds from its issue to its end, as far as that is known. */
  #lifeOf({ expiresAt, expiresIn }: AccessToken): number {
    if (expiresIn !== undefined) return expiresIn;
    if (expiresAt === undefined || this.#since === undefined) return Number.POSITIVE_INFINITY;
    return expiresAt - this.#since;
  }

  #now(): number {
    return bestGuess(this.#clock.now());
  }
}

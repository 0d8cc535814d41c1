import type { FloorClock, Random, Timers } from '../core/clock.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import type { AuthorizationServer } from '../ports/authorization-server.ts';
import type { Log } from '../ports/log.ts';
import type { Store } from '../ports/store.ts';
import { type IssuerKeys, type IssuerStatus, StaticKeys } from './issuer-keys.ts';
import type { IssuerPolicy } from './issuer-policy.ts';
import { KeyCache } from './key-cache.ts';

export interface IssuersOptions {
  readonly policies: readonly IssuerPolicy[];
  /** The network side of an issuer, with the TLS trust configured for it. Not called for issuers from a file. */
  readonly connect: (policy: IssuerPolicy) => AuthorizationServer;
  readonly store: Store;
  readonly clock: FloorClock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  /** Called when an issuer has other keys than before. */
  readonly onChange?: (issuer: string) => void;
}

/** One issuer: what is demanded of its tokens, and the keys to check them with. */
export interface Issuer {
  readonly policy: IssuerPolicy;
  readonly keys: IssuerKeys;
}

/** Every issuer that the operator configured. There are no others: who is not here is not believed. */
export class Issuers {
  readonly #issuers = new Map<string, Issuer>();

  /** @throws {LatchkeyError} `config_invalid` for one issuer twice, `jwks_invalid` for a file without a usable key */
  constructor({ policies, connect, onChange, ...shared }: IssuersOptions) {
    for (const policy of policies) {
      if (this.#issuers.has(policy.issuer)) throw new LatchkeyError('config_invalid', `${policy.issuer} twice`);
      const { source } = policy;
      const keys =
        source.kind === 'file'
          ? new StaticKeys(policy, source.jwks)
          : new KeyCache({ ...shared, policy, as: connect(policy), onChange: () => onChange?.(policy.issuer) });
      this.#issuers.set(policy.issuer, { policy, keys });
    }
  }

  find(issuer: string): Issuer | undefined {
    return this.#issuers.get(issuer);
  }

  /** Reads the keys on disk; the network is asked afterwards and nobody waits for it. */
  async start(): Promise<void> {
    await Promise.all([...this.#issuers.values()].map(({ keys }) => keys.start()));
  }

  /**
   * Another key set for an issuer whose keys are from a file; false where it holds the same already, or has no file.
   * @throws {LatchkeyError} `jwks_invalid`
   */
  replaceKeySet(issuer: string, jwks: JsonObject): boolean {
    const keys = this.#issuers.get(issuer)?.keys;
    return keys instanceof StaticKeys && keys.replace(jwks);
  }

  list(): readonly Issuer[] {
    return [...this.#issuers.values()];
  }

  status(): readonly IssuerStatus[] {
    return [...this.#issuers.values()].map(({ keys }) => keys.status());
  }

  async close(): Promise<void> {
    await Promise.all([...this.#issuers.values()].map(({ keys }) => keys.close()));
  }
}

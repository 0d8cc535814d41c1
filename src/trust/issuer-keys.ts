import type { ErrorCode } from '../core/error-catalogue.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { JwtAlgorithm } from '../core/jwt-algorithms.ts';
import type { IntrospectionAddresses } from './discovery.ts';
import type { IssuerPolicy } from './issuer-policy.ts';
import { KeyRing, type SkippedKey } from './key-ring.ts';

/** Keys that may be used now, and how many seconds ago the issuer confirmed them. */
export interface HeldKeys {
  readonly ring: KeyRing;
  readonly age: number;
}

/** What `latchkey status` shows of one issuer. */
export interface IssuerStatus {
  readonly issuer: string;
  readonly source: IssuerPolicy['source']['kind'];
  readonly keys: readonly { readonly keyId: string | undefined; readonly algorithms: readonly JwtAlgorithm[] }[];
  readonly skipped: readonly SkippedKey[];
  /** Seconds since the issuer confirmed the keys; undefined while none are held. */
  readonly age: number | undefined;
  readonly offlineLimit: number;
  /** Why the last attempt to reach the issuer failed; undefined after a good one. */
  readonly lastError: ErrorCode | undefined;
  /** Seconds until the next attempt that nobody has to ask for; undefined where there is none. */
  readonly nextRefresh: number | undefined;
}

/** The keys of one issuer, wherever they come from. */
export interface IssuerKeys {
  /**
   * Keys to check a token of this `kid` with; asks the issuer first when that may help.
   * @throws {LatchkeyError} `keys_unavailable`, `keys_too_old`; `as_*`, `metadata_invalid`, `jwks_invalid` where none of
   *   them has this `kid` and the issuer could not be asked for it
   */
  forKeyId(keyId: string | undefined): Promise<HeldKeys>;
  /**
   * Where the issuer introspects tokens, as its metadata says; asks the issuer first where that is not known yet.
   * @throws {LatchkeyError} `as_*`, `metadata_invalid`, `jwks_invalid`: why the issuer could not tell;
   *   `introspection_unavailable` where it is not asked
   */
  introspection(): Promise<IntrospectionAddresses>;
  /** What is held, however old; undefined while nothing ever was. For what devices are told, not for verdicts. */
  ring(): KeyRing | undefined;
  /** The same without asking: undefined where the issuer may still tell. */
  knownIntrospection(): IntrospectionAddresses | undefined;
  /** Reads what the disk has and begins to keep it fresh. Never waits for the network. */
  start(): Promise<void>;
  status(): IssuerStatus;
  close(): Promise<void>;
}

/** Of an issuer of which nothing is discovered. */
export const NO_ADDRESSES: IntrospectionAddresses = { endpoint: undefined, certificateEndpoint: undefined };

/** Keys from a file of the operator, who answers for their being current: they have no age and no limit. */
export class StaticKeys implements IssuerKeys {
  readonly #policy: IssuerPolicy;
  #held: HeldKeys;

  /** @throws {LatchkeyError} `jwks_invalid` */
  constructor(policy: IssuerPolicy, jwks: ConstructorParameters<typeof KeyRing>[0]) {
    this.#policy = policy;
    this.#held = { ring: new KeyRing(jwks, policy.algorithms), age: 0 };
  }

  /** Whether these are other keys. @throws {LatchkeyError} `jwks_invalid` */
  replace(jwks: ConstructorParameters<typeof KeyRing>[0]): boolean {
    const ring = new KeyRing(jwks, this.#policy.algorithms);
    if (JSON.stringify(ring.document) === JSON.stringify(this.#held.ring.document)) return false;
    this.#held = { ring, age: 0 };
    return true;
  }

  async forKeyId(): Promise<HeldKeys> {
    return this.#held;
  }

  async introspection(): Promise<IntrospectionAddresses> {
    throw new LatchkeyError('introspection_unavailable', 'its keys are from a file: nothing is discovered');
  }

  ring(): KeyRing {
    return this.#held.ring;
  }

  knownIntrospection(): IntrospectionAddresses {
    return NO_ADDRESSES;
  }

  async start(): Promise<void> {}

  status(): IssuerStatus {
    return { ...describeKeys(this.#policy, this.#held.ring), age: 0, lastError: undefined, nextRefresh: undefined };
  }

  async close(): Promise<void> {}
}

export function describeKeys(policy: IssuerPolicy, ring: KeyRing | undefined) {
  return {
    issuer: policy.issuer,
    source: policy.source.kind,
    keys: (ring?.keys ?? []).map(({ keyId, verifiers }) => ({ keyId, algorithms: [...verifiers.keys()] })),
    skipped: ring?.skipped ?? [],
    offlineLimit: policy.offlineLimit,
  };
}

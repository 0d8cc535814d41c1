/** What the hub decided, for whoever has to show it later. Implemented by observe/audit.ts. */
import type { ErrorCode } from '../core/error-catalogue.ts';
import type { IntrospectionEvidence } from '../core/introspected-token.ts';
import type { PresentedProof, RelayFreshness } from '../core/introspection.ts';

export interface AuditEntry {
  /**
   * `deliver`: a token for an offline device was judged; `deliver-end`: what became of it; `relay`: a device asked;
   * `answer`: somebody answered in the place of a device whose key he does not hold; `pair`, `unpair`: what an operator did;
   * `trust`: a device answered a trust bundle; `hub-key`: the signing key of the hub; `clock`: the time floor; `state`: the
   * state folder was mended or restored, so records of before may be missing.
   */
  readonly kind:
    | 'deliver'
    | 'deliver-end'
    | 'relay'
    | 'answer'
    | 'pair'
    | 'unpair'
    | 'trust'
    | 'hub-key'
    | 'clock'
    | 'state';
  /**
   * `deliver`: `queued` (good, and new), `accepted` (good, and waiting already) or `refused`. `deliver-end`: `delivered`,
   * `refused`, `expired` or `cancelled` by an operator. `relay`: `active`, `inactive`, or `refused` where no verdict was possible. `answer`: `refused`.
   * `pair`: `paired` or `refused`. `unpair`: `unpaired`, or `removed` where the device did not say that it gave up its trust.
   * `trust`: `delivered` (the device confirmed it) or `refused`. `hub-key`: `rotated`, or `retired` when no device needs it.
   * `clock`: `reset` by an operator; `state`: `repaired` or `restored`.
   */
  readonly verdict:
    | 'accepted'
    | 'queued'
    | 'delivered'
    | 'refused'
    | 'expired'
    | 'cancelled'
    | 'active'
    | 'inactive'
    | 'paired'
    | 'unpaired'
    | 'removed'
    | 'rotated'
    | 'retired'
    | 'reset'
    | 'repaired'
    | 'restored';
  /** Id of the device, or what the peer named in place of one: kept only if it could be an id. Undefined for none. */
  readonly device: string | undefined;
  /** Id of the request, as in the log. */
  readonly request: string;
  /** SHA-256 over the token as presented, at least its first 16 bytes. */
  readonly token?: Uint8Array | undefined;
  /** Only as an issuer that the configuration has: what an unverified token says is no fact. */
  readonly issuer?: string | undefined;
  readonly subject?: string | undefined;
  /** `device`: the hub left it to the device to verify one. */
  readonly proof?: PresentedProof['kind'] | 'none' | 'device' | undefined;
  readonly freshness?: Pick<RelayFreshness, 'source' | 'age' | 'stale'> | undefined;
  /** Why, where the verdict is not a good one. */
  readonly code?: ErrorCode | undefined;
  /** Id of the delivery, which joins its verdict and its end. */
  readonly delivery?: string | undefined;
  readonly evidence?: IntrospectionEvidence | undefined;
  /** Stands for so many verdicts that have no record of their own; undefined for one. `code` is that of all of them, or none. */
  readonly count?: number | undefined;
}

export interface Audit {
  /** Takes the entry up in its order and returns at once; it reaches the store with others. Never throws. */
  record(entry: AuditEntry): void;
}

/** A place in the chain of records. */
export interface AuditHead {
  /** Number of the record that stands there; 0 before the first. */
  readonly sequence: number;
  /** Its hash: it stands for this record and all before it. 32 bytes. */
  readonly hash: Uint8Array;
}

/** A record as it is kept, shown and exported: flat, text and whole numbers only, bytes in base64url. */
export interface AuditRecord {
  readonly sequence: number;
  /** NumericDate, whole seconds, rounded down; the earliest time that it can have been where the clock is unsure. */
  readonly at: number;
  readonly clock: 'sure' | 'unsure';
  /** `gap`: so many entries could not be kept, because the store did not take them. */
  readonly kind: AuditEntry['kind'] | 'gap';
  readonly verdict?: AuditEntry['verdict'];
  readonly device?: string;
  readonly request?: string;
  /** First 16 bytes of SHA-256 over the token. */
  readonly token?: string;
  readonly issuer?: string;
  /** Keyed hash of issuer and subject, 16 bytes: the same for the same subject at this hub, and nowhere else. */
  readonly subject?: string;
  readonly proof?: string;
  readonly source?: RelayFreshness['source'];
  /** Whole seconds. */
  readonly age?: number;
  readonly stale?: boolean;
  readonly code?: string;
  readonly delivery?: string;
  /** SHA-256 over a signed introspection answer (RFC 9701). */
  readonly evidence?: string;
  readonly lost?: number;
  readonly count?: number;
}

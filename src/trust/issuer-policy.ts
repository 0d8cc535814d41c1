import type { DialectName } from '../core/dialect-names.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { DEFAULT_ALGORITHMS, type JwtAlgorithm } from '../core/jwt-algorithms.ts';
import { readMemberDemand } from '../core/member-demand.ts';
import type { BindMode } from '../core/verified-token.ts';
import type { SharedAudience } from './addressee.ts';
import { DIALECTS, type DialectRules } from './dialects.ts';
import { isLocal, isLoopback } from './local-address.ts';

/** Where the keys of an issuer come from. */
type IssuerSource =
  /** Metadata by RFC 8414 §3.1, then by OpenID Connect Discovery §4; or at `url` alone. */
  | { readonly kind: 'discovery'; readonly url?: string }
  /** A JWK Set at a fixed address, no metadata. */
  | { readonly kind: 'jwks'; readonly url: string }
  /** A JWK Set that the operator put on the disk. Its keys have no age. */
  | { readonly kind: 'file'; readonly jwks: JsonObject };

/** What is believed of one issuer, and under which conditions. */
export interface IssuerPolicy extends DialectRules {
  /** Compared with `iss` code point by code point (RFC 8414 §2, RFC 8725 §3.8). */
  readonly issuer: string;
  readonly source: IssuerSource;
  /** Where the defaults of `DialectRules` come from. Nothing is decided by its name. */
  readonly dialect: DialectName;
  /** Allow-list for the header's `alg` (RFC 8725 §3.1). */
  readonly algorithms: readonly JwtAlgorithm[];
  /** Seconds that keys are believed without word from the issuer. */
  readonly offlineLimit: number;
  /** Seconds by which the issuer's clock may run ahead, for `nbf` and `iat`. Never for `exp`. */
  readonly leeway: number;
  /** Demand every claim that RFC 9068 §2.2 does, not only those that the hub works with. */
  readonly requireRfc9068: boolean;
  /** Take tokens with `exi` and without `exp`, for devices that have no clock (RFC 9200 §5.10.3). */
  readonly exiWithoutExp: boolean;
  /** What becomes of its tokens without `cnf`. */
  readonly bind: BindMode;
  /** An audience that stands for many devices; a token with it names its device in another way. */
  readonly sharedAudience?: SharedAudience;
  /** Bounds in seconds for how long a key set is used before the issuer is asked again, whatever its headers say. */
  readonly refresh: { readonly least: number; readonly most: number };
  /** Seconds between attempts that tokens cause, however many unknown `kid`s a sender makes up. */
  readonly unknownKeyCooldown: number;
}

const DAY = 86_400;

const POLICY_DEFAULTS = {
  algorithms: DEFAULT_ALGORITHMS,
  /** A clinic's uplink can be out for a holiday; a withdrawn key must not live for a season. */
  offlineLimit: 30 * DAY,
  leeway: 60,
  requireRfc9068: false,
  exiWithoutExp: false,
  bind: 'token',
  refresh: { least: 60, most: DAY },
  unknownKeyCooldown: 30,
} as const satisfies Omit<IssuerPolicy, 'issuer' | 'source' | 'dialect' | keyof DialectRules>;

type PolicySettings = Pick<IssuerPolicy, 'issuer' | 'source'> & {
  readonly [Name in keyof IssuerPolicy]?: IssuerPolicy[Name] | undefined;
};

/**
 * A policy with defaults filled in, those of the dialect too, and its addresses judged.
 * @throws {LatchkeyError} `config_invalid`
 */
export function issuerPolicy(settings: PolicySettings): IssuerPolicy {
  const { issuer, source, dialect = 'rfc9068' } = settings;
  const given: Partial<IssuerPolicy> = Object.fromEntries(
    Object.entries(settings).filter(([, value]) => value !== undefined),
  );
  const policy: IssuerPolicy = { ...POLICY_DEFAULTS, ...DIALECTS[dialect], dialect, ...given, issuer, source };
  if (policy.source.kind === 'discovery') {
    demandAddress('issuer', policy.issuer);
    // RFC 8414 §2. The well-known path would be put in the wrong place.
    if (policy.issuer.includes('?')) throw new LatchkeyError('config_invalid', 'issuer must not have a query');
  }
  if (policy.source.kind !== 'file' && policy.source.url !== undefined) demandAddress('url', policy.source.url);
  if (policy.algorithms.length === 0) throw new LatchkeyError('config_invalid', 'an issuer without algorithms');
  if (policy.refresh.least > policy.refresh.most) throw new LatchkeyError('config_invalid', 'refresh bounds');
  for (const demand of [...policy.requiredClaims, ...policy.ignoredHeaders]) {
    if (readMemberDemand(demand) === undefined) throw new LatchkeyError('config_invalid', `"${demand}" is no demand`);
  }
  return { ...policy, tokenTypes: policy.tokenTypes.map(plainType) };
}

function demandAddress(name: string, address: string): void {
  if (!isAcceptableAddress(address)) {
    throw new LatchkeyError('config_invalid', `${name} must be an https address (or http on a loopback host)`);
  }
}

/**
 * Whether keys may be fetched from there: https, or http on this very machine (127.0.0.0/8, ::1, localhost), where
 * nobody sits in between. No user name, no fragment (RFC 8414 §2).
 */
export function isAcceptableAddress(address: string): boolean {
  if (!URL.canParse(address)) return false;
  const url = new URL(address);
  if (url.username !== '' || url.password !== '' || url.hash !== '') return false;
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname));
}

/**
 * Whether metadata may name this address as that of the keys (`jwks_uri`), or as one that tokens are sent to for
 * introspection. It may be of any host, as it is at Google and
 * Entra, with two exceptions: plain http is for metadata that came over plain http itself, from this very machine; and
 * what was asked out there cannot point into the networks on this side. A hub would else ask whatever a hostile
 * issuer likes. Keys of an issuer without metadata come from the address that the operator gave.
 */
export function mayBeNamed(address: string, { issuer, source }: Pick<IssuerPolicy, 'issuer' | 'source'>): boolean {
  if (source.kind === 'jwks') return address === source.url;
  if (!isAcceptableAddress(address)) return false;
  const asked = new URL(source.kind === 'discovery' && source.url !== undefined ? source.url : issuer);
  const named = new URL(address);
  if (named.protocol === 'http:') return asked.protocol === 'http:';
  return isLocal(asked.hostname) || !isLocal(named.hostname);
}

/**
 * Whether tokens may be sent to this address on the word of the hub's own disk, while the issuer cannot be asked: only to
 * an origin that the configuration names. Whoever changed the disk could else have tokens, and the secret that the hub
 * shows with them, brought to a server of their own.
 */
export function mayBeKept(address: string, policy: Pick<IssuerPolicy, 'issuer' | 'source'>): boolean {
  const { issuer, source } = policy;
  if (source.kind !== 'discovery' || !mayBeNamed(address, policy)) return false;
  const configured = [issuer, ...(source.url === undefined ? [] : [source.url])];
  return configured.some((own) => new URL(own).origin === new URL(address).origin);
}

/** A media type as `typ` spells it: case does not count, `application/` may be left out (RFC 7515 §4.1.9). */
export function plainType(type: string): string {
  const lower = type.toLowerCase();
  return lower.startsWith('application/') ? lower.slice('application/'.length) : lower;
}

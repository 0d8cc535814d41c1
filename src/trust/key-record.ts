import { parseStrictJsonObject } from '../codec/strict-json.ts';
import { base64url, sha256, utf8 } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';
import type { IntrospectionAddresses } from './discovery.ts';
import { type IssuerPolicy, mayBeKept, mayBeNamed } from './issuer-policy.ts';
import { KeyRing } from './key-ring.ts';

/**
 * What is kept on disk of one issuer, so that a cold boot works while the AS is gone. Public keys and addresses only; no
 * ETag, with which the issuer would confirm keys that it never saw, had somebody changed the disk.
 */
export interface KeyRecord {
  readonly ring: KeyRing;
  /**
   * NumericDate at which the issuer last confirmed the keys: never later than it truly was. Where the time was not known
   * then, it is what the hub was certain of by its own clock.
   */
  readonly confirmedAt: number;
  readonly jwksUri: string;
  /** What of it `keptAddresses` lets onto the disk. */
  readonly introspection: IntrospectionAddresses | undefined;
}

const FORMAT = 'latchkey-issuer-keys-1';

export function recordKey(issuer: string): string {
  return `issuer/${base64url(sha256(issuer).subarray(0, 16))}`;
}

export function encodeRecord(known: KeyRecord, policy: IssuerPolicy): Uint8Array {
  const { ring, confirmedAt, jwksUri } = known;
  const record = {
    format: FORMAT,
    issuer: policy.issuer,
    source: sourceName(policy),
    jwks_uri: jwksUri,
    confirmed_at: confirmedAt,
    ...keptAddresses(known.introspection, policy),
    jwks: ring.document,
  };
  return utf8(JSON.stringify(record));
}

/**
 * The introspection addresses as members of the record: those that a record may give back (`mayBeKept`). An issuer that
 * introspects elsewhere is asked for the address after each start.
 */
export function keptAddresses(addresses: IntrospectionAddresses | undefined, policy: IssuerPolicy): JsonObject {
  const kept = (address: string | undefined) => address !== undefined && mayBeKept(address, policy);
  const { endpoint, certificateEndpoint } = addresses ?? {};
  return {
    ...(kept(endpoint) ? { introspection_endpoint: endpoint as string } : {}),
    ...(kept(certificateEndpoint) ? { certificate_introspection_endpoint: certificateEndpoint as string } : {}),
  };
}

/**
 * The record, judged as strictly as an answer of the network, under the policy of today: an algorithm that is no longer
 * allowed takes its keys along. Undefined where the issuer's source was configured anew since.
 * @throws {LatchkeyError} `store_corrupt`, or `jwks_invalid` when none of its keys can be used any more
 */
export function decodeRecord(bytes: Uint8Array, policy: IssuerPolicy): KeyRecord | undefined {
  const record = parseStrictJsonObject(bytes, { code: 'store_corrupt' });
  if (record.format !== FORMAT || record.issuer !== policy.issuer) corrupt('not a record of this issuer');
  if (record.source !== sourceName(policy)) return undefined;
  const { confirmed_at: confirmedAt, jwks_uri: jwksUri, jwks } = record;
  if (typeof confirmedAt !== 'number' || confirmedAt < 0) corrupt('confirmed_at');
  if (typeof jwksUri !== 'string' || !mayBeNamed(jwksUri, policy)) corrupt('jwks_uri');
  if (jwks === undefined) corrupt('jwks');
  const introspection = addressesOf(record, policy);
  return { ring: new KeyRing(jwks, policy.algorithms), confirmedAt, jwksUri, introspection };
}

function addressesOf(record: JsonObject, policy: IssuerPolicy): IntrospectionAddresses | undefined {
  const acceptable = (name: string): string | undefined => {
    const address: JsonValue | undefined = record[name];
    if (address === undefined) return undefined;
    return typeof address === 'string' && mayBeKept(address, policy) ? address : corrupt(name);
  };
  const endpoint = acceptable('introspection_endpoint');
  const certificateEndpoint = acceptable('certificate_introspection_endpoint');
  return endpoint === undefined && certificateEndpoint === undefined ? undefined : { endpoint, certificateEndpoint };
}

/** Keys that came from somewhere else than configured now are not keys of the issuer as configured now. */
function sourceName({ source }: IssuerPolicy): string {
  return source.kind === 'file' ? 'file' : `${source.kind} ${source.url ?? ''}`.trim();
}

function corrupt(reason: string): never {
  throw new LatchkeyError('store_corrupt', reason);
}

import { parseStrictJson } from '../codec/strict-json.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import type { AuthorizationServer, FetchedDocument } from '../ports/authorization-server.ts';
import { type IntrospectionAddresses, type IssuerMetadata, metadataAddresses, readMetadata } from './discovery.ts';
import type { IssuerPolicy } from './issuer-policy.ts';
import { KeyRing } from './key-ring.ts';
import { lifetimeOf } from './refresh-schedule.ts';

/** What is known from an earlier good answer. */
export interface KnownKeys {
  readonly ring: KeyRing;
  readonly jwksUri: string;
  /** Of the answer that held these very keys; undefined for keys from the disk. */
  readonly etag: string | undefined;
}

/** A good answer of the issuer, judged. */
export interface FetchedKeys extends KnownKeys {
  /** Seconds for which it may be used without asking again. */
  readonly lifetime: number;
  /** Why the metadata could not be read anew, if so: the keys came from the address known before. */
  readonly metadataError: LatchkeyError | undefined;
  /** From the metadata, where it was read this time. */
  readonly introspection: IntrospectionAddresses | undefined;
}

/** What came of one question on the way to the keys, for a command that shows it. */
export interface WatchedAnswer {
  readonly of: 'metadata' | 'keys';
  readonly address: string;
  /** As it came; undefined where the answer was none with status 200. */
  readonly document: Uint8Array | undefined;
  /** Why it is no good. */
  readonly error: LatchkeyError | undefined;
}

type Watch = (answer: WatchedAnswer) => void;

/** Longest ETag that is sent back; a longer one is not worth its bytes. */
const MOST_ETAG = 256;
/** Milliseconds for one exchange: a slow mobile uplink needs three seconds; a client waits behind an unknown `kid`. */
const DEADLINE = 5_000;

/**
 * Asks the issuer for its keys. Anything but a good answer throws, and so costs no key that is held.
 * @param options.lookUp whether to look up the address of the keys, even if one is known
 * @param options.watch is called with each answer, before anything else is asked
 * @throws {LatchkeyError} `as_*`, `metadata_invalid`, `jwks_invalid`
 */
export async function fetchKeys(
  as: AuthorizationServer,
  policy: IssuerPolicy,
  { known, lookUp, watch }: { readonly known: KnownKeys | undefined; readonly lookUp: boolean; readonly watch?: Watch },
): Promise<FetchedKeys> {
  const located = await locate(as, policy, lookUp ? undefined : known?.jwksUri, known, watch);
  const { address } = located;
  const etag = known?.jwksUri === address ? known.etag : undefined;
  const answer = await keysAt(as, address, etag, watch);
  const common = {
    jwksUri: address,
    lifetime: lifetimeOf(answer, policy.refresh),
    metadataError: located.metadataError,
    introspection: located.introspection,
  };
  if (answer.kind === 'unchanged') {
    // RFC 9110 §15.4.5: an answer to a conditional request only; to any other there is nothing that it could confirm.
    if (known === undefined || etag === undefined) throw unasked();
    return { ...common, ring: known.ring, etag: usableEtag(answer.etag) ?? etag };
  }
  const jwks = parseStrictJson(answer.body, { code: 'jwks_invalid' });
  return { ...common, ring: new KeyRing(jwks, policy.algorithms), etag: usableEtag(answer.etag) };
}

async function keysAt(
  as: AuthorizationServer,
  address: string,
  etag: string | undefined,
  watch: Watch | undefined,
): Promise<FetchedDocument> {
  try {
    const options = { deadline: DEADLINE, maxBytes: LIMITS.jwksBytes, ...(etag === undefined ? {} : { etag }) };
    const answer = await as.get(address, options);
    const document = answer.kind === 'document' ? successful(answer).body : undefined;
    watch?.({ of: 'keys', address, document, error: undefined });
    return answer;
  } catch (error) {
    if (isCoded(error)) watch?.({ of: 'keys', address, document: undefined, error });
    throw error;
  }
}

interface Located {
  readonly address: string;
  readonly metadataError?: LatchkeyError;
  readonly introspection?: IntrospectionAddresses;
}

/** Where to ask. A metadata document that went bad does not keep us from the address that served until now. */
async function locate(
  as: AuthorizationServer,
  policy: IssuerPolicy,
  address: string | undefined,
  known: KnownKeys | undefined,
  watch: Watch | undefined,
): Promise<Located> {
  if (address !== undefined) return { address };
  if (policy.source.kind === 'jwks') return { address: policy.source.url };
  try {
    const { jwksUri, introspection } = await findMetadata(as, policy, watch);
    return { address: jwksUri, introspection };
  } catch (error) {
    if (known === undefined || !isAnswer(error)) throw error;
    return { address: known.jwksUri, metadataError: error };
  }
}

async function findMetadata(
  as: AuthorizationServer,
  policy: IssuerPolicy,
  watch: Watch | undefined,
): Promise<IssuerMetadata> {
  const { source, issuer } = policy;
  const addresses = source.kind === 'discovery' && source.url !== undefined ? [source.url] : metadataAddresses(issuer);
  let failure: LatchkeyError | undefined;
  for (const address of addresses) {
    let document: Uint8Array | undefined;
    try {
      const answer = await as.get(address, { deadline: DEADLINE, maxBytes: LIMITS.metadataBytes });
      document = successful(answer).body;
      const metadata = readMetadata(document, policy);
      watch?.({ of: 'metadata', address, document, error: undefined });
      return metadata;
    } catch (error) {
      if (isCoded(error)) watch?.({ of: 'metadata', address, document, error });
      // A server that is not there is not there at the other address either.
      if (!isAnswer(error)) throw error;
      // What is wrong with a document tells more than that the other address has none.
      if (failure === undefined || error.code === 'metadata_invalid') failure = error;
    }
  }
  throw failure ?? new LatchkeyError('metadata_invalid', 'no address to ask');
}

const BAD_ANSWERS: ReadonlySet<string> = new Set([
  'as_answer_refused',
  'as_redirected',
  'as_answer_too_large',
  'metadata_invalid',
]);

/** Whether the server is there and said something, if not what was hoped for. */
function isAnswer(error: unknown): error is LatchkeyError {
  return isCoded(error) && BAD_ANSWERS.has(error.code);
}

function successful(answer: FetchedDocument): Extract<FetchedDocument, { kind: 'document' }> {
  if (answer.kind !== 'document') throw unasked();
  if (answer.status !== 200) throw new LatchkeyError('as_answer_refused', `status ${answer.status}`);
  return answer;
}

function unasked(): LatchkeyError {
  return new LatchkeyError('as_answer_refused', 'status 304, unasked');
}

/** An ETag worth sending back (RFC 9110 §8.8.3), without characters that could end a header. */
function usableEtag(etag: string | undefined): string | undefined {
  return etag !== undefined && etag.length <= MOST_ETAG && /^[\x21-\x7e]+$/.test(etag) ? etag : undefined;
}

/** Asks a server for its metadata and keys as the hub does at its start, and keeps what it answered, for a command that shows it. */
import { connectAuthorizationServer } from '../../drivers/as/authorization-server.ts';
import { parseStrictJson, parseStrictJsonObject } from '../codec/strict-json.ts';
import { readCertificate } from '../config/setting-files.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import { JWT_ALGORITHMS } from '../core/jwt-algorithms.ts';
import { shown } from '../core/shown.ts';
import type { FetchedIssuer } from '../flows/explain/check-issuer.ts';
import type { AuthorizationServer } from '../ports/authorization-server.ts';
import { isAcceptableAddress, issuerPolicy, mayBeNamed } from '../trust/issuer-policy.ts';
import { fetchKeys, type WatchedAnswer } from '../trust/key-fetch.ts';

interface Question {
  /** Certificate authorities for its TLS certificate, as `ca_file` of an issuer. */
  readonly caFile?: string | undefined;
  /** Is called with each answer as it comes. */
  readonly watch: (answer: WatchedAnswer) => void;
}

const OAUTH = '/.well-known/oauth-authorization-server';
const OPENID = '/.well-known/openid-configuration';

/**
 * The issuer that an address stands for: itself, or what its metadata is at (RFC 8414 §3.1, OpenID Connect Discovery §4).
 * @throws {LatchkeyError} `usage` for an address that no issuer may have
 */
export function issuerAt(address: string): string {
  if (!/^[\x21-\x7e]+$/.test(address) || !isAcceptableAddress(address) || address.includes('?')) {
    throw new LatchkeyError(
      'usage',
      `${shown(address)} is no address of an issuer: https, or http on this machine alone, without user name, query or fragment. Over http an attacker on the way could put in other keys`,
    );
  }
  for (const place of [OAUTH, OPENID]) {
    const [before, after, ...more] = address.split(place);
    if (before === undefined || after === undefined || more.length > 0) continue;
    // RFC 8414 puts the path of the issuer behind; before it was a standard, servers put it in front.
    if (place === OAUTH && after.startsWith('/')) return before + after;
    if (after === '') return before;
  }
  return address;
}

/** @throws {LatchkeyError} why the hub could not use it: `as_*`, `metadata_invalid`, `jwks_invalid` */
export async function askIssuer(asked: string, { caFile, watch }: Question): Promise<FetchedIssuer> {
  const as = connectAuthorizationServer(caFile === undefined ? {} : { ca: readCertificate('--ca', caFile) });
  try {
    const answer = await ask(as, asked, watch);
    return { asked, ...('named' in answer ? await askNamed(as, asked, answer, watch) : answer) };
  } finally {
    await as.close();
  }
}

type Fetched = Omit<FetchedIssuer, 'asked'>;

/** The metadata is that of another issuer. */
interface OtherIssuer {
  readonly named: string;
  readonly error: LatchkeyError;
}

/** Another issuer counts only where its own metadata says the same of it: a server would else speak for others. */
async function askNamed(
  as: AuthorizationServer,
  asked: string,
  { error, named }: OtherIssuer,
  watch: Question['watch'],
): Promise<Fetched> {
  const names = `the metadata for ${shown(asked)} names the issuer ${shown(named)}`;
  if (/[{}]/.test(named)) throw refused(`${names}, a pattern: put the id of your tenant into the address`, error);
  const isFetchable =
    /^[\x21-\x7e]+$/.test(named) &&
    !named.includes('?') &&
    mayBeNamed(named, { issuer: asked, source: { kind: 'discovery' } });
  if (!isFetchable) {
    throw refused(
      `${names}, and nothing may be fetched from there: it is not https, or in a network on this side`,
      error,
    );
  }
  try {
    const answer = await ask(as, named, watch);
    if (!('named' in answer)) return answer;
    throw answer.error;
  } catch (cause) {
    if (!isCoded(cause)) throw cause;
    throw refused(`${names}, whose own metadata does not say so (${cause.code}: ${cause.detail ?? ''})`, cause);
  }
}

function refused(detail: string, cause: LatchkeyError): LatchkeyError {
  return new LatchkeyError('metadata_invalid', detail, { cause });
}

async function ask(as: AuthorizationServer, issuer: string, watch: Question['watch']): Promise<Fetched | OtherIssuer> {
  const answers: WatchedAnswer[] = [];
  const policy = issuerPolicy({ issuer, source: { kind: 'discovery' }, algorithms: JWT_ALGORITHMS });
  const seen = (answer: WatchedAnswer) => {
    answers.push(answer);
    watch(answer);
  };
  try {
    const { introspection, jwksUri, ring } = await fetchKeys(as, policy, {
      known: undefined,
      lookUp: true,
      watch: seen,
    });
    const [metadata, keys] = [goodOf('metadata', answers), goodOf('keys', answers)];
    return {
      issuer,
      metadataAddress: metadata.address,
      jwksUri,
      metadata: parseStrictJsonObject(metadata.document),
      jwks: parseStrictJson(keys.document),
      ring,
      introspection: introspection ?? { endpoint: undefined, certificateEndpoint: undefined },
    };
  } catch (error) {
    const named = isCoded(error, 'metadata_invalid') ? otherIssuerIn(answers, issuer) : undefined;
    if (named === undefined || !isCoded(error)) throw error;
    return { named, error };
  }
}

function goodOf(of: WatchedAnswer['of'], answers: readonly WatchedAnswer[]) {
  for (const { address, document, error, of: what } of answers.toReversed()) {
    if (what === of && document !== undefined && error === undefined) return { address, document };
  }
  throw new LatchkeyError('internal', `no ${of} among the answers`);
}

function otherIssuerIn(answers: readonly WatchedAnswer[], issuer: string): string | undefined {
  return answers
    .flatMap(({ document, of }) => (of === 'metadata' && document !== undefined ? (issuerIn(document) ?? []) : []))
    .find((named) => named !== issuer);
}

function issuerIn(document: Uint8Array): string | undefined {
  try {
    const { issuer } = parseStrictJsonObject(document);
    return typeof issuer === 'string' ? issuer : undefined;
  } catch (error) {
    if (isCoded(error)) return undefined;
    throw error;
  }
}

/** One question to the AS about one token: request, answer, and what of the answer may be believed. */

import { readCacheControl } from '../../codec/cache-control.ts';
import type { SignatureVerifier } from '../../codec/jws-signature.ts';
import { retryAfterOf } from '../../codec/retry-after.ts';
import { parseStrictJson, parseStrictJsonObject } from '../../codec/strict-json.ts';
import { fromUtf8, sha256 } from '../../core/bytes.ts';
import type { Clock, Random } from '../../core/clock.ts';
import { coded, isCoded, LatchkeyError } from '../../core/errors.ts';
import { isJsonObject, type JsonObject } from '../../core/json.ts';
import type { JwtAlgorithm } from '../../core/jwt-algorithms.ts';
import { LIMITS } from '../../core/limits.ts';
import type { AuthorizationServer, PostedAnswer } from '../../ports/authorization-server.ts';
import { type ClientAuthentication, formEncoded } from './client-authentication.ts';
import { judgeSignedAnswer, takeAnswerApart, type UnverifiedAnswer } from './signed-answer.ts';

/** `optional`: a signed answer is verified, and one that is not signed is believed as TLS vouches for it. */
type SigningDemand = 'required' | 'optional';

export interface Asking {
  readonly issuer: string;
  readonly as: Pick<AuthorizationServer, 'post'>;
  readonly authentication: ClientAuthentication;
  readonly signing: SigningDemand;
  /**
   * Keys of the issuer that a signed answer with this `kid` and algorithm may be checked with.
   * @throws {LatchkeyError} `keys_*`; `key_unknown`, `jwt_algorithm_refused`
   */
  readonly verifiers: (keyId: string | undefined, algorithm: JwtAlgorithm) => Promise<readonly SignatureVerifier[]>;
  /** Milliseconds for one question, a second attempt included. */
  readonly deadline: number;
  /** Seconds by which the clock of the AS may differ from ours. */
  readonly leeway: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly witness?: ((issuedAt: number) => void) | undefined;
}

/** What the AS said, and that it was the AS who said it. What the members mean is not judged yet. */
export interface TrustedAnswer {
  /** An error where the answer is authentic and cannot be read: that is the matter of this one token. */
  readonly members: JsonObject | LatchkeyError;
  /** The signed answer as it came, if it was one. */
  readonly signed: { readonly jws: string; readonly digest: Uint8Array } | undefined;
  /** Seconds for which the AS lets the answer be used; undefined where it does not say. */
  readonly lifetime: number | undefined;
  /** Size of the answer. */
  readonly bytes: number;
}

/**
 * Asks, a second time if the first attempt met a dead connection.
 * @throws {LatchkeyError} `as_*`, with `retryAfter` where the AS names it, `introspection_overloaded`, `introspection_client_refused`, `introspection_refused`,
 * `introspection_answer_untrusted`, `keys_*`; `introspection_answer_invalid` for what is no introspection answer at all
 */
export async function askIssuer(url: string, token: string, asking: Asking): Promise<TrustedAnswer> {
  const answer = await postTwice(url, token, asking);
  demandSuccess(answer, asking.clock);
  const lifetime = lifetimeOf(answer);
  const bytes = answer.body.length;
  if (mediaType(answer) === 'application/token-introspection+jwt') {
    const jws = textOf(answer.body);
    return { members: await verify(jws, asking), signed: { jws, digest: sha256(jws) }, lifetime, bytes };
  }
  if (asking.signing === 'required') throw new LatchkeyError('introspection_answer_untrusted', 'not signed');
  if (mediaType(answer) !== 'application/json') {
    throw new LatchkeyError('introspection_answer_invalid', 'neither JSON nor a signed answer');
  }
  const members = readable(() => parseStrictJsonObject(answer.body, { code: 'introspection_answer_invalid' }));
  return { members, signed: undefined, lifetime, bytes };
}

/** RFC 9701 §4: the AS sees by Accept which form is wanted. */
const ACCEPT: Readonly<Record<SigningDemand, string>> = {
  required: 'application/token-introspection+jwt',
  optional: 'application/token-introspection+jwt, application/json;q=0.9',
};

/** The request of RFC 7662 §2.1, with fresh credentials. */
function introspectionRequest(
  token: string,
  { authentication, signing, clock, random }: Pick<Asking, 'authentication' | 'signing' | 'clock' | 'random'>,
): { readonly headers: Readonly<Record<string, string>>; readonly body: string } {
  const { authorization, parameters } = authentication.credentials({ time: clock.now(), random });
  return {
    headers: {
      accept: ACCEPT[signing],
      'content-type': 'application/x-www-form-urlencoded',
      ...(authorization === undefined ? {} : { authorization }),
    },
    body: `token=${formEncoded(token)}&token_type_hint=access_token${parameters}`,
  };
}

/** To ask what a token is changes nothing, so it may be asked again (RFC 9110 §9.2.2); each time with new credentials. */
async function postTwice(url: string, token: string, asking: Asking): Promise<PostedAnswer> {
  const { as, clock, deadline } = asking;
  const maxBytes = LIMITS.introspectionAnswerBytes;
  const start = clock.monotonic();
  try {
    return await as.post(url, { ...introspectionRequest(token, asking), deadline, maxBytes });
  } catch (error) {
    const rest = Math.floor(deadline - (clock.monotonic() - start));
    if (!isCoded(error, 'as_unreachable') || rest <= 0) throw error;
    return await as.post(url, { ...introspectionRequest(token, asking), deadline: rest, maxBytes });
  }
}

function demandSuccess(answer: PostedAnswer, clock: Clock): void {
  const { status } = answer;
  if (status === 200) return;
  const detail = `status ${status}${reasonOf(answer)}`;
  // RFC 7662 §2.3: credentials that are not accepted are answered with 401.
  if (status === 401) throw new LatchkeyError('introspection_client_refused', detail);
  const retryAfter = retryAfterOf(answer.retryAfter, clock.now().latest);
  if (status === 429 || (status === 503 && retryAfter !== undefined)) {
    throw new LatchkeyError('as_busy', detail, retryAfter === undefined ? {} : { retryAfter });
  }
  throw new LatchkeyError(
    status >= 500 || status < 400 || status === 408 ? 'as_answer_refused' : 'introspection_refused',
    detail,
  );
}

/** The `error` of an OAuth error response (RFC 6749 §5.2), if it is one of plain letters: it goes to the log. */
function reasonOf(answer: PostedAnswer): string {
  if (mediaType(answer) !== 'application/json') return '';
  try {
    const value = parseStrictJson(answer.body);
    const error = isJsonObject(value) ? value.error : undefined;
    return typeof error === 'string' && /^[a-z_]{1,40}$/.test(error) ? ` ${error}` : '';
  } catch (error) {
    if (isCoded(error)) return '';
    throw error;
  }
}

async function verify(jws: string, asking: Asking): Promise<TrustedAnswer['members']> {
  const unverified = takeAnswerApart(jws);
  const verifiers = await verifiersFor(unverified, asking);
  const { issuer, leeway, clock, witness, authentication } = asking;
  const { clientId } = authentication;
  const rules = { verifiers, issuer, clientId, time: clock.now(), leeway, witness };
  return readable(() => judgeSignedAnswer(unverified, rules));
}

function readable(read: () => JsonObject): TrustedAnswer['members'] {
  try {
    return read();
  } catch (error) {
    if (isCoded(error, 'introspection_answer_invalid')) return error;
    throw error;
  }
}

/** Codes `key_unknown` and `jwt_*` speak of access tokens: a device would take them for a word about its own. */
async function verifiersFor({ keyId, algorithm }: UnverifiedAnswer, { verifiers }: Asking) {
  try {
    return await verifiers(keyId, algorithm);
  } catch (cause) {
    const { code, entry } = coded(cause);
    if (entry.status === 401) throw new LatchkeyError('introspection_answer_untrusted', code, { cause });
    // The key set could not be had: that is no failure of the endpoint, and no reason for an old verdict.
    throw code.startsWith('keys_') ? cause : new LatchkeyError('keys_unavailable', code, { cause });
  }
}

function textOf(body: Uint8Array): string {
  try {
    return fromUtf8(body);
  } catch (cause) {
    throw new LatchkeyError('introspection_answer_untrusted', 'not text', { cause });
  }
}

/** `no-store` stands in every answer of an OAuth server (RFC 6749 §5.1); it is for HTTP caches, of which this is none. */
function lifetimeOf({ cacheControl, age }: PostedAnswer): number | undefined {
  const { maxAge, isNotKept } = readCacheControl(cacheControl);
  return maxAge === undefined || isNotKept ? undefined : Math.max(0, maxAge - Math.max(0, age ?? 0));
}

function mediaType({ contentType = '' }: PostedAnswer): string {
  return contentType.split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

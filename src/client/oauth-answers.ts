/** What openid-client asks and throws, by way of this library's own exchange and errors. */
import * as oauth from 'openid-client';
import { retryAfterOf } from '../codec/retry-after.ts';
import { utf8 } from '../core/bytes.ts';
import { bestGuess } from '../core/clock.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { argumentError } from './arguments.ts';
import type { ClientEnvironment } from './environment.ts';
import { exchange, type HttpAnswer, networkReason } from './http.ts';
import { readJson } from './hub-answer.ts';
import { ServerRefusal } from './server-refusal.ts';

const REQUEST_DEADLINE = 30_000;
const NO_BODY_STATUS: ReadonlySet<number> = new Set([204, 205, 304]);

/**
 * `fetch` for openid-client: bounded, and with errors that keep the server's own code and status. openid-client itself
 * sees a refusal only where it has to answer it, with the nonce that the server asks for.
 */
export function oauthFetch(environment: ClientEnvironment): oauth.CustomFetch {
  return async (url, { method, headers, body }) => {
    const request = {
      method: method === 'POST' ? 'POST' : 'GET',
      url: new URL(url),
      headers,
      deadline: REQUEST_DEADLINE,
      ...(body === undefined || body === null ? {} : { body: utf8(String(body)) }),
    } as const;
    const answer = await exchange(request, environment);
    const { status } = answer;
    if (status >= 400 && !asksForNonce(answer)) throw refusalOf(answer, environment);
    return new Response(NO_BODY_STATUS.has(status) ? null : Buffer.from(answer.body), {
      status,
      headers: new Headers([...answer.headers]),
    });
  };
}

/** RFC 9449 §8. */
function asksForNonce(answer: HttpAnswer): boolean {
  return answer.headers.has('dpop-nonce') && oauthErrorOf(answer).error === 'use_dpop_nonce';
}

/** What the server says of its refusal (RFC 6749 §5.2), whatever media type it calls it; else of the challenge. */
function oauthErrorOf(answer: HttpAnswer): { readonly error?: string; readonly description?: string } {
  const { error, error_description: description } = bodyOf(answer);
  if (typeof error === 'string') return { error, ...(typeof description === 'string' ? { description } : {}) };
  const [, challenged] = /\berror="([^"]*)"/.exec(answer.headers.get('www-authenticate') ?? '') ?? [];
  return challenged === undefined ? {} : { error: challenged };
}

function bodyOf(answer: HttpAnswer): JsonObject {
  try {
    return readJson(answer);
  } catch (error) {
    if (!isCoded(error)) throw error;
    // A page for people: all that it tells is its status.
    return {};
  }
}

const TOO_MANY_REQUESTS = 429;
/** What a server answers at an address where none of its endpoints is. */
const NOT_AN_ENDPOINT: ReadonlySet<number> = new Set([404, 405, 410]);

function refusalOf(answer: HttpAnswer, { clock }: Pick<ClientEnvironment, 'clock'>): LatchkeyError {
  const { status, headers } = answer;
  const contentType = headers.get('content-type') ?? undefined;
  const refusal = { status, contentType, ...oauthErrorOf(answer) };
  if (status >= 500 || status === TOO_MANY_REQUESTS) {
    const retryAfter = retryAfterOf(headers.get('retry-after') ?? undefined, bestGuess(clock.now()));
    return new ServerRefusal('client_server_failed', { ...refusal, retryAfter });
  }
  if (refusal.error === undefined && NOT_AN_ENDPOINT.has(status))
    return new LatchkeyError('client_answer_invalid', `status ${status}: no endpoint of an authorization server`);
  return new ServerRefusal('client_token_refused', refusal);
}

/** openid-client's errors as ours. Their causes hold requests with secrets in them, so only codes are taken over. */
export async function withOauthErrors<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw codedOf(error);
  }
}

function codedOf(error: unknown): LatchkeyError {
  for (let cause = error; cause instanceof Error; cause = cause.cause) if (cause instanceof LatchkeyError) return cause;
  if (error instanceof oauth.ResponseBodyError || error instanceof oauth.AuthorizationResponseError) {
    const { error: code, error_description: description } = error;
    const status = error instanceof oauth.ResponseBodyError ? error.status : undefined;
    return new ServerRefusal('client_token_refused', { status, error: code, description });
  }
  const reason = networkReason(error);
  return reason.startsWith('ERR_INVALID_ARG')
    ? argumentError(reason)
    : new LatchkeyError('client_answer_invalid', reason);
}

/** What a connected device asks its hub, and how it verifies the answer. Pure; nothing of JOSE, and no JSON. */
import { CONCISE_PROBLEM_TYPE, readConciseProblem, readProblemNonce } from '../codec/concise-problem.ts';
import type { Credentials } from '../codec/credentials-file.ts';
import { makeDeviceRequest, openDeviceAnswer } from '../codec/device-request.ts';
import { writeIntrospectionCbor } from '../codec/introspection-message.ts';
import { type IntrospectionReading, readIntrospectionCborAnswer } from '../codec/introspection-reader.ts';
import { openForDevice, type SessionKey, tokenHashOf } from '../codec/session-key.ts';
import { equal, sha256 } from '../core/bytes.ts';
import { CATALOGUE, type ErrorCode } from '../core/error-catalogue.ts';
import { isCoded, isErrorCode, LatchkeyError } from '../core/errors.ts';
import type { PresentedProof } from '../core/introspection.ts';
import type { Secret } from '../core/secret.ts';

export interface HubAnswer {
  readonly contentType: string;
  readonly payload: Uint8Array;
}

/** One question: the nonce binds the answer to it. */
export interface Question {
  readonly credentials: Credentials;
  /** 12 bytes, fresh. */
  readonly nonce: Uint8Array;
  readonly token: Secret<string>;
}

/** What the device asks of a client beyond the hub's word. */
export interface VerdictPolicy {
  /** Must be in the scope of the token. */
  readonly scope: string;
  /** Whether a verdict counts that the operator's grace alone keeps alive. */
  readonly takesStale: boolean;
}

export interface AdmittedClient {
  readonly session: SessionKey;
  /** The client's copy, for the device to hand on: a compact JWE. */
  readonly copy: string;
  readonly scope: string;
  /** Seconds since the AS confirmed the token. */
  readonly age: number;
}

/** A COSE_Mac0: is the token good, does the proof prove its key, and may client and device have one of their own? */
export function makeQuestion({
  credentials: { device, introspectKey },
  nonce,
  hubNonce,
  token,
  proof,
}: Question & {
  readonly hubNonce: Uint8Array | undefined;
  readonly proof: Extract<PresentedProof, { readonly kind: 'dpop' }>;
}): Uint8Array {
  const payload = writeIntrospectionCbor({ token, proof, wantsSessionKey: true, clientFormat: 'jose' });
  return makeDeviceRequest({ device, nonce, hubNonce, key: introspectKey, payload });
}

/** The nonce with which the hub wants to be asked again; undefined where it wants nothing of the kind. */
export function requiredNonce({ contentType, payload }: HubAnswer): Uint8Array | undefined {
  if (contentType !== CONCISE_PROBLEM_TYPE || readConciseProblem(payload) !== 'hub_nonce_required') return undefined;
  return readProblemNonce(payload);
}

/** What the hub said, and its nonce for the next question. */
export interface HubWord {
  readonly reading: IntrospectionReading;
  readonly hubNonce: Uint8Array | undefined;
}

/**
 * Takes a client in, by the hub's word. Whatever is not a yes is a no.
 * @throws {LatchkeyError} `token_inactive`, `proof_*`, `jwt_*` and such where the hub says no; `scope_insufficient`,
 *   `verdict_stale`, `session_key_unsupported` where the device does; `hub_no_answer` for a key that is not for this token
 */
export function judgeWord({ reading }: HubWord, question: Question, policy: VerdictPolicy): AdmittedClient {
  if (!reading.active) throw new LatchkeyError(refusalOf(reading.code));
  if (reading.proof !== 'dpop') throw new LatchkeyError('proof_missing', 'the hub verified none');
  const { age, stale } = reading.freshness ?? {};
  if (typeof age !== 'number' || (stale !== false && !policy.takesStale)) throw new LatchkeyError('verdict_stale');
  const { scope } = reading.members;
  if (typeof scope !== 'string' || !scope.split(' ').includes(policy.scope)) {
    throw new LatchkeyError('scope_insufficient');
  }
  const copy = reading.sessionKey?.forClient;
  if (reading.sessionKey === undefined || typeof copy !== 'string') throw new LatchkeyError('session_key_unsupported');
  return { session: openSession(reading.sessionKey.forDevice, question), copy, scope, age };
}

/**
 * Opens the hub's answer to this very question.
 * @throws {LatchkeyError} `hub_no_answer`, `as_*`, `introspection_*` where there is no verdict
 */
export function openAnswer({ contentType, payload }: HubAnswer, { credentials, nonce }: Question): HubWord {
  if (contentType === CONCISE_PROBLEM_TYPE) throw faultOf(readConciseProblem(payload));
  const { device, sessionKey: key } = credentials;
  return trusted(() => {
    const opened = openDeviceAnswer(payload, { device, nonce, key });
    return { reading: readIntrospectionCborAnswer(opened.payload), hubNonce: opened.hubNonce };
  });
}

function openSession(sealed: Uint8Array, { credentials, token }: Question): SessionKey {
  const { audience, device, sessionKey: key } = credentials;
  const session = trusted(() => openForDevice(sealed, { device, audience, key }));
  if (equal(session.tokenHash, tokenHashOf(sha256(token.expose())))) return session;
  throw new LatchkeyError('hub_no_answer', 'the session key is for another token');
}

/** What does not open is not of the hub, or not for this device or this question. */
function trusted<T>(open: () => T): T {
  try {
    return open();
  } catch (error) {
    if (!isCoded(error)) throw error;
    throw new LatchkeyError('hub_no_answer', `the answer does not open: ${error.code}`);
  }
}

/** Why the hub said no; with a code that is not known here, that it did. */
function refusalOf(code: string | undefined): ErrorCode {
  return code !== undefined && isErrorCode(code) && CATALOGUE[code].status < 500 ? code : 'token_inactive';
}

/**
 * Why there is no verdict. Nothing authenticates a problem, so it can say no more than that the other side is away: a refusal
 * in it would be taken for the hub's own.
 */
function faultOf(code: ErrorCode | undefined): LatchkeyError {
  if (code !== undefined && CATALOGUE[code].status === 503) return new LatchkeyError(code);
  return new LatchkeyError('hub_no_answer', code);
}

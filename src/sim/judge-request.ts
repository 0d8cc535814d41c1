/**
 * The device's verdict over a request on one of its resources: RFC 9200 §5.10.2, with the proof of possession as
 * docs/protocol.md, "Signed requests", says. The codes that tell what a token permits (4.03, 4.05) go to a client whose
 * proof verified, and to no other peer.
 */
import { COAP_CODE, CONTENT_FORMAT } from '../codec/iana.ts';
import { openSignedRequest, readSignedRequest } from '../codec/signed-request.ts';
import type { CoapRequest } from '../core/coap-exchange.ts';
import { isCoded } from '../core/errors.ts';
import type { Challenges } from './challenges.ts';
import type { JudgedToken } from './judge-token.ts';
import type { TokenSlots } from './token-slots.ts';

export const REQUEST_REFUSALS = {
  query_refused: COAP_CODE.badOption,
  answer_format_refused: COAP_CODE.notAcceptable,
  proof_missing: COAP_CODE.unauthorized,
  proof_unparsable: COAP_CODE.badRequest,
  time_unknown: COAP_CODE.unauthorized,
  token_unknown: COAP_CODE.unauthorized,
  nonce_unknown: COAP_CODE.unauthorized,
  proof_wrong: COAP_CODE.unauthorized,
  path_not_granted: COAP_CODE.forbidden,
  method_not_granted: COAP_CODE.methodNotAllowed,
} as const;
export type RequestRefusal = keyof typeof REQUEST_REFUSALS;

/** Who asked, once a proof verified: the answer is made for this very request. */
export interface ProvenClient {
  readonly token: JudgedToken;
  /** The name by which the client knows its token. */
  readonly tokenHash: Uint8Array;
  /** The signed request as it came. */
  readonly request: Uint8Array;
}

export type RequestVerdict =
  | {
      readonly kind: 'granted';
      readonly client: ProvenClient;
      readonly payload: Uint8Array;
      readonly contentFormat: number | undefined;
    }
  /** `client` where the proof was good and only the permission was lacking. */
  | { readonly kind: 'refused'; readonly reason: RequestRefusal; readonly client?: ProvenClient };

export interface RequestTrust {
  readonly audience: string;
  readonly slots: TokenSlots;
  readonly challenges: Challenges;
  /** The present on the scale that tokens end on, at its latest; undefined where the time is not known. */
  readonly latest: number | undefined;
}

export function judgeRequest(request: CoapRequest, trust: RequestTrust): RequestVerdict {
  // A query is not under the signature, so a peer that forwards the request could have added it.
  if (request.query !== undefined && request.query.length > 0) return refused('query_refused');
  if (request.accept !== undefined && request.accept !== CONTENT_FORMAT.coseMac0) {
    return refused('answer_format_refused');
  }
  const kind = proofKind(request.contentFormat);
  if (kind === undefined || request.payload === undefined) return refused('proof_missing');

  let named: ReturnType<typeof readSignedRequest>;
  try {
    named = readSignedRequest(request.payload);
  } catch (error) {
    if (!isCoded(error)) throw error;
    return refused('proof_unparsable');
  }
  if (named.kind !== kind) return refused('proof_unparsable');
  if (trust.latest === undefined) return refused('time_unknown');
  const token = trust.slots.find(named.tokenHash, trust.latest);
  if (token === undefined) return refused('token_unknown');
  const { nonce } = named;
  if (!trust.challenges.isOutstanding(token.identity, nonce)) return refused('nonce_unknown');

  let opened: ReturnType<typeof openSignedRequest>;
  try {
    opened = openSignedRequest(request.payload, {
      key: token.key,
      audience: trust.audience,
      method: request.method,
      path: request.path,
    });
  } catch (error) {
    if (!isCoded(error)) throw error;
    trust.challenges.countWrongProof(token.identity, nonce);
    return refused('proof_wrong');
  }
  trust.challenges.spend(token.identity, nonce);

  const client = { token, tokenHash: named.tokenHash, request: request.payload };
  const methods = token.grants.get(request.path.join('/'));
  if (methods === undefined) return { ...refused('path_not_granted'), client };
  if (!methods.has(request.method)) return { ...refused('method_not_granted'), client };
  return { kind: 'granted', client, payload: opened.payload, contentFormat: opened.contentFormat };
}

function proofKind(contentFormat: number | undefined): 'sign1' | 'mac0' | undefined {
  if (contentFormat === CONTENT_FORMAT.coseSign1) return 'sign1';
  return contentFormat === CONTENT_FORMAT.coseMac0 ? 'mac0' : undefined;
}

function refused(reason: RequestRefusal): { readonly kind: 'refused'; readonly reason: RequestRefusal } {
  return { kind: 'refused', reason };
}

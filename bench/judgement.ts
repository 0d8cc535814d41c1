/** What the hub and a device do for every message besides: strict decoding, and the check of a signed request. */
import { createHash, randomBytes } from 'node:crypto';
import { importJwk } from '../src/codec/cose/key.ts';
import { type CwtClaims, decodeClaims, encodeClaims, openCwt } from '../src/codec/cwt.ts';
import { COAP_METHOD } from '../src/codec/iana.ts';
import { makeSignedRequest, openSignedRequest, tokenHash } from '../src/codec/signed-request.ts';
import { translate } from '../src/token/translate.ts';
import { compare, describe, type Effort, type Figure, micro } from './harness.ts';
import {
  AUDIENCE,
  clientKey,
  clientPublicJwk,
  deviceProfile,
  KEYS,
  makeJwt,
  random,
  TIME,
  verifyReference,
} from './reference-token.ts';
import { bareVerification } from './translation.ts';

export function judgementFigures(effort: Effort): readonly Figure[] {
  const jwt = makeJwt();
  const floor = bareVerification(jwt);
  const translated = translate(verifyReference(jwt), {
    profile: deviceProfile('mac0', 'slim'),
    device: 'tube-1',
    audience: AUDIENCE,
    keys: KEYS,
    random,
    time: TIME,
  });
  const cwt = translated.cwt.expose();
  return [
    decoding(translated.claims.expose(), floor, effort),
    opening(cwt, floor, effort),
    requestCheck(cwt, floor, effort),
  ];
}

/** The gate and the decoder over the claims of a CWT, in units of an ES256 verification. */
function decoding(claims: CwtClaims, floor: () => unknown, effort: Effort): Figure {
  const bytes = encodeClaims(claims);
  const { subject, floor: reference } = compare(floor, () => decodeClaims(bytes), effort);
  return {
    name: 'decode-claims',
    value: subject.p50 / reference.p50,
    goal: 0.2,
    better: 'lower',
    remark: `verifications; p50 ${micro(subject.p50)}, p99 ${micro(subject.p99)} for ${bytes.length} bytes`,
  };
}

/** A whole Mac0 token, from bytes to claims. */
function opening(cwt: Uint8Array, floor: () => unknown, effort: Effort): Figure {
  const keys = KEYS.authentication === undefined ? [] : [KEYS.authentication];
  const { subject, floor: reference } = compare(floor, () => openCwt(cwt, { keys, expected: 'mac0' }), effort);
  return {
    name: 'open-mac0',
    value: subject.p50 / reference.p50,
    goal: 0.5,
    better: 'lower',
    remark: `verifications; p50 ${micro(subject.p50)}, p99 ${micro(subject.p99)} for ${cwt.length} bytes`,
  };
}

/** The device's check of a request signed with ES256, against the bare verification of a signature. */
function requestCheck(cwt: Uint8Array, floor: () => unknown, effort: Effort): Figure {
  const target = { audience: AUDIENCE, method: COAP_METHOD.FETCH, path: ['temperature'] };
  const request = makeSignedRequest({
    ...target,
    key: clientKey,
    payload: createHash('sha256').update('a reading').digest(),
    nonce: randomBytes(16),
    clientNonce: randomBytes(8),
    tokenHash: tokenHash(cwt),
  });
  const key = importJwk(clientPublicJwk);
  const comparison = compare(floor, () => openSignedRequest(request, { ...target, key }), effort);
  return {
    name: 'check-signed-request',
    value: comparison.ratio.median,
    goal: 0.75,
    better: 'higher',
    remark: `of the floor's speed; ${describe(comparison)}`,
  };
}

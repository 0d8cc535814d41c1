/** Bytes of the CWT against bytes of the JWT that it was made of. */
import type { CwtKeys } from '../src/codec/cwt.ts';
import type { Wrap } from '../src/core/device-profile.ts';
import type { JsonObject } from '../src/core/json.ts';
import type { Figure } from './harness.ts';
import { clientPublicJwk, deviceProfile, KEYS, makeJwt, SIGN_KEYS, verifyAndTranslate } from './reference-token.ts';

export function sizeFigures(): readonly Figure[] {
  const byKeyId: JsonObject = { kid: 'ekg-17' };
  const byKey: JsonObject = { jwk: clientPublicJwk };
  return [
    size('size-mac0-slim-kid', 0.22, { wrap: 'mac0', claims: 'slim', keys: KEYS, confirmation: byKeyId }),
    size('size-sign1-full', 0.46, { wrap: 'sign1', claims: 'full', keys: SIGN_KEYS, confirmation: byKey }),
  ];
}

interface Case {
  readonly wrap: Wrap;
  readonly claims: 'slim' | 'full';
  readonly keys: CwtKeys;
  readonly confirmation: JsonObject;
}

function size(name: string, goal: number, { wrap, claims, keys, confirmation }: Case): Figure {
  const jwt = makeJwt({ cnf: confirmation });
  const cwt = verifyAndTranslate(jwt, deviceProfile(wrap, claims), keys);
  const remark = `${cwt.length} bytes for a JWT of ${jwt.length}`;
  return { name, value: cwt.length / jwt.length, goal, better: 'lower', remark };
}

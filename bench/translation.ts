/** Verify a JWT and make a CWT of it, against bare node:crypto with keys at hand. */
import { sign, verify } from 'node:crypto';
import { compare, describe, type Effort, type Figure } from './harness.ts';
import {
  deviceProfile,
  issuerPrivateKey,
  issuerPublicKey,
  KEYS,
  makeJwt,
  SIGN_KEYS,
  verifyAndTranslate,
} from './reference-token.ts';

/** p99 of the whole way, in units of the floor's. */
const P99_GOAL = 1.5;

export function translationFigures(effort: Effort): readonly Figure[] {
  const jwt = makeJwt();
  const verifyOnly = bareVerification(jwt);
  const signOnly = bareSignature();
  const verifyAndSign = () => {
    verifyOnly();
    return signOnly();
  };
  return [
    ...translation('sign1', 0.9, verifyAndSign, () => verifyAndTranslate(jwt, deviceProfiles.sign1, SIGN_KEYS), effort),
    ...translation('mac0', 0.85, verifyOnly, () => verifyAndTranslate(jwt, deviceProfiles.mac0, KEYS), effort),
    ...translation('encrypt0', 0.83, verifyOnly, () => verifyAndTranslate(jwt, deviceProfiles.encrypt0, KEYS), effort),
  ];
}

const deviceProfiles = {
  sign1: deviceProfile('sign1', 'slim'),
  mac0: deviceProfile('mac0', 'slim'),
  encrypt0: deviceProfile('encrypt0', 'slim'),
};

/** ES256 verification of the token's own signature over its own bytes, with nothing parsed. */
export function bareVerification(jwt: string): () => boolean {
  const end = jwt.lastIndexOf('.');
  const input = Buffer.from(jwt.slice(0, end));
  const signature = Buffer.from(jwt.slice(end + 1), 'base64url');
  const key = { key: issuerPublicKey, dsaEncoding: 'ieee-p1363' } as const;
  return () => verify('sha256', input, key, signature);
}

/** ES256 signature over as many bytes as the claims and headers of a CWT take. */
function bareSignature(): () => Uint8Array {
  const input = Buffer.alloc(180);
  const key = { key: issuerPrivateKey, dsaEncoding: 'ieee-p1363' } as const;
  return () => sign('sha256', input, key);
}

function translation(
  name: string,
  goal: number,
  floor: () => unknown,
  subject: () => unknown,
  effort: Effort,
): readonly Figure[] {
  const comparison = compare(floor, subject, effort);
  return [
    {
      name: `translate-${name}`,
      value: comparison.ratio.median,
      goal,
      better: 'higher',
      remark: `of the floor's speed; ${describe(comparison)}`,
    },
    {
      name: `translate-${name}-p99`,
      value: comparison.subject.p99 / comparison.floor.p99,
      goal: P99_GOAL,
      better: 'lower',
      remark: "times the floor's p99",
    },
  ];
}

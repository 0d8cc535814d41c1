/**
 * Signatures that an issuer may use: all of RFC 7518 §3.1, and Ed25519 and Ed448 (RFC 8037 §3.1, RFC 9864). `none` and the
 * HMACs (HS256 and the like) are not among them: a key that the hub could sign with is no key of the server alone.
 */
interface SignatureAlgorithm {
  /** Kind of the key: JWK `kty`, and `crv` where it has one. */
  readonly key: string;
  readonly form: 'ecdsa' | 'eddsa' | 'rsa-pss' | 'rsa-pkcs1';
  readonly digest: 'sha256' | 'sha384' | 'sha512' | undefined;
  /** Length of every signature in bytes (RFC 7518 §3.4, RFC 8032 §5.1.6 and §5.2.6); that of RSA is the length of the key. */
  readonly signatureBytes?: number;
  /** RFC 7518 §3.5: the salt is as long as the hash. */
  readonly saltBytes?: number;
  /** Values of `alg` that stand for it, beside its own name. */
  readonly names?: readonly string[];
}

const TABLE = {
  ES256: { key: 'EC P-256', form: 'ecdsa', digest: 'sha256', signatureBytes: 64 },
  ES384: { key: 'EC P-384', form: 'ecdsa', digest: 'sha384', signatureBytes: 96 },
  ES512: { key: 'EC P-521', form: 'ecdsa', digest: 'sha512', signatureBytes: 132 },
  // RFC 8037 has one name for both curves. RFC 9864 gives each its own.
  EdDSA: { key: 'OKP Ed25519', form: 'eddsa', digest: undefined, signatureBytes: 64, names: ['Ed25519'] },
  Ed448: { key: 'OKP Ed448', form: 'eddsa', digest: undefined, signatureBytes: 114, names: ['EdDSA'] },
  PS256: { key: 'RSA', form: 'rsa-pss', digest: 'sha256', saltBytes: 32 },
  PS384: { key: 'RSA', form: 'rsa-pss', digest: 'sha384', saltBytes: 48 },
  PS512: { key: 'RSA', form: 'rsa-pss', digest: 'sha512', saltBytes: 64 },
  RS256: { key: 'RSA', form: 'rsa-pkcs1', digest: 'sha256' },
  RS384: { key: 'RSA', form: 'rsa-pkcs1', digest: 'sha384' },
  RS512: { key: 'RSA', form: 'rsa-pkcs1', digest: 'sha512' },
} as const satisfies Readonly<Record<string, SignatureAlgorithm>>;

/** One kind of signature. `EdDSA` is Ed25519 here, as everywhere that a device has a part. */
export type JwtAlgorithm = keyof typeof TABLE;

export const JWT_ALGORITHMS = Object.keys(TABLE) as readonly JwtAlgorithm[];

/**
 * What an issuer may sign with unless the operator says otherwise. RS256 is what servers sign with as they are installed; the
 * other three are what they are best told to use. The rest are no weaker. They take a small machine longer, and a list
 * that holds what no server of the site writes guards nothing.
 */
export const DEFAULT_ALGORITHMS = ['ES256', 'EdDSA', 'PS256', 'RS256'] as const satisfies readonly JwtAlgorithm[];

/** Names that the setting takes: each algorithm, and Ed25519 by its newer name. */
export const ALGORITHM_NAMES: readonly [AlgorithmName, ...AlgorithmName[]] = [
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
  'Ed448',
  'PS256',
  'PS384',
  'PS512',
  'RS256',
  'RS384',
  'RS512',
];
export type AlgorithmName = JwtAlgorithm | 'Ed25519';

const BY_NAME: ReadonlyMap<string, readonly JwtAlgorithm[]> = new Map(
  [...ALGORITHM_NAMES].map((name) => [
    name,
    JWT_ALGORITHMS.filter((one) => one === name || factsOf(one).names?.includes(name) === true),
  ]),
);

export function factsOf(algorithm: JwtAlgorithm): SignatureAlgorithm {
  return TABLE[algorithm];
}

const NONE: readonly JwtAlgorithm[] = [];

/** What the `alg` of a JOSE header or of a JWK may stand for; nothing where no issuer may use it. */
export function algorithmsNamed(name: string): readonly JwtAlgorithm[] {
  return BY_NAME.get(name) ?? NONE;
}

/** The first of them: with EdDSA it is that of Ed25519. */
export function jwtAlgorithm(name: string): JwtAlgorithm | undefined {
  return algorithmsNamed(name)[0];
}

/** How one device wants its tokens. Shared by the registry, the translator and provisioning. */
import { BIND_MODES } from './verified-token.ts';

/** `a+b`: a, inside b (RFC 8392 A.6). */
export const WRAPS = ['sign1', 'mac0', 'encrypt0', 'sign1+encrypt0', 'mac0+encrypt0'] as const;
export type Wrap = (typeof WRAPS)[number];

/** COSE algorithms by their IANA names; the numbers are in codec/iana.ts. */
export const WRAP_ALGORITHMS = [
  'ES256',
  'EdDSA',
  'HMAC 256/64',
  'HMAC 256/256',
  'AES-CCM-16-64-128',
  'A128GCM',
] as const;
export type WrapAlgorithm = (typeof WRAP_ALGORITHMS)[number];

/** Those of a Sign1, of a Mac0 and of an Encrypt0. */
export const SIGNATURES = ['ES256', 'EdDSA'] as const satisfies readonly WrapAlgorithm[];
export const MACS = ['HMAC 256/64', 'HMAC 256/256'] as const satisfies readonly WrapAlgorithm[];
export const CIPHERS = ['AES-CCM-16-64-128', 'A128GCM'] as const satisfies readonly WrapAlgorithm[];

/** Sizes that a profile may have. */
export const MAX_TOKEN_BYTES = { least: 64, most: 16_384 } as const;
export const CTI_BYTES = { least: 4, most: 16 } as const;

export const SCOPE_FORMS = ['text', 'bytes', 'aif'] as const;
/**
 * `text`: one text string, names separated by a space (RFC 8693 §4.2). `bytes`: the same as a byte string (RFC 9200
 * §5.8.1). `aif`: RFC 9237 `[[path, methods], …]` in a byte string, from `DeviceProfile.permissions`.
 */
export type ScopeForm = (typeof SCOPE_FORMS)[number];

/** What becomes of tokens that their issuer bound to no key: what `bind` of the issuer says, or one of its values. */
export const DEVICE_BIND_MODES = ['issuer', ...BIND_MODES] as const;

export interface DeviceProfile {
  readonly wrap: Wrap;
  /** Algorithm of the Sign1 or Mac0 (the only one, or the inner one). */
  readonly authentication: WrapAlgorithm;
  /** Algorithm of the Encrypt0. */
  readonly encryption: WrapAlgorithm;
  /** `slim`: aud, exp, iat, cti, scope, cnf. `full`: iss, sub, aud, exp, nbf, iat, cti, cnf, scope. */
  readonly claims: 'slim' | 'full';
  /** Scopes that the device knows. A token's scope is narrowed to these; nothing left is a refusal. */
  readonly scopes: readonly string[];
  readonly scopeForm: ScopeForm;
  /** For `aif`: what each scope permits, as [path, method set] with bit (code − 1) for each CoAP method (RFC 9237 §3). */
  readonly permissions: Readonly<Record<string, readonly (readonly [path: string, methods: number])[]>>;
  readonly maxTokenBytes: number;
  /** Prefix with CBOR tag 61 (RFC 8392 §6). */
  readonly cwtTag: boolean;
  /** Length of cti in bytes, 4 to 16. */
  readonly ctiBytes: number;
  /**
   * Take tokens without `cnf` and without a proof, for a connected device alone. An attacker who steals such a token can use it: the
   * operator has to say so.
   */
  readonly bearer: boolean;
  /**
   * The device verifies DPoP proofs itself, for a connected device alone: it asks with the token, and the answer names the key (RFC 9449
   * §6.2). The hub then verifies no proof, and remembers none.
   */
  readonly checksProofs: boolean;
  readonly bind: (typeof DEVICE_BIND_MODES)[number];
  /** Whether the device answers /authz-info with a receipt under its own key (docs/protocol.md) or with a bare 2.01. */
  readonly receipt: 'mac0' | 'none';
  /** `none`: the device cannot check `exp`, so its tokens need `exi`, and a `cnonce` that it gave (RFC 9200 §5.3.1). */
  readonly clock: 'own' | 'none';
}

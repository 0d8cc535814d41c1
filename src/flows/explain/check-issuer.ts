/** What an authorization server says of itself, and what of it works with this hub: settings to use, and findings. */
import { SIGNATURES } from '../../core/device-profile.ts';
import type { DialectName } from '../../core/dialect-names.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../core/json.ts';
import { ALGORITHM_NAMES, DEFAULT_ALGORITHMS, type JwtAlgorithm } from '../../core/jwt-algorithms.ts';
import { shown } from '../../core/shown.ts';
import type { IntrospectionAddresses } from '../../trust/discovery.ts';
import type { KeyRing } from '../../trust/key-ring.ts';
import { keysForDevices } from '../../trust/keys-for-devices.ts';
import { dialectOfMetadata } from '../../trust/recognise-dialect.ts';
import { FIRST_PRESENTER_PRICE } from './remedy.ts';
import { isOrgServer } from './unknown-issuer.ts';

/** What was fetched, as it came. */
export interface FetchedIssuer {
  /** As the operator named it. */
  readonly asked: string;
  /** As its metadata names it. */
  readonly issuer: string;
  readonly metadataAddress: string;
  readonly jwksUri: string;
  readonly metadata: JsonObject;
  readonly jwks: JsonValue;
  /** Its usable keys, for all algorithms that an issuer may have. */
  readonly ring: KeyRing;
  /** Addresses that tokens may be sent to. */
  readonly introspection: IntrospectionAddresses;
}

type FindingName =
  | 'issuer_differs'
  | 'issuer_of_tokens'
  | 'server_unknown'
  | 'org_server'
  | 'no_dpop'
  | 'dpop_algorithms'
  | 'certificates_only'
  | 'no_introspection'
  | 'introspection_address'
  | 'introspection_client'
  | 'algorithms_added'
  | 'keys_unused'
  | 'keys_without_id'
  | 'keys_same_id'
  | 'keys_elsewhere'
  | 'keys_stay_here';

interface Finding {
  readonly finding: FindingName;
  /** What does not work there, or what it costs. */
  readonly says: string;
  readonly fix: string;
}

/** A published key, and whether the hub verifies signatures with it. */
export interface KeyFact {
  readonly kid: string | undefined;
  /** `kty`, and `crv` where it has one. */
  readonly kind: string;
  readonly algorithms: readonly JwtAlgorithm[];
  /** Why the hub does not use it. */
  readonly unused: string | undefined;
}

type SettingName = 'issuer' | 'jwks_url' | 'dialect' | 'bind' | 'algorithms';

export interface IssuerCheck {
  readonly issuer: string;
  /** Undefined where nothing tells which server it is. */
  readonly dialect: DialectName | undefined;
  /** For `[[issuers]]`, by their names in the file, in the order to write them in. */
  readonly settings: Readonly<Partial<Record<SettingName, string | readonly string[]>>>;
  /** How the hub would become a client that introspects tokens; undefined where it cannot. */
  readonly introspection: { readonly address: string; readonly method: ClientMethod } | undefined;
  readonly keys: readonly KeyFact[];
  readonly findings: readonly Finding[];
}

export function checkIssuer(fetched: FetchedIssuer): IssuerCheck {
  const dialect = dialectOfMetadata(fetched.metadata);
  const written = writtenIssuer(fetched);
  const [unbound, added] = [proofFindings(fetched.metadata), addedAlgorithms(fetched.ring)];
  const introspection = introspectionOf(fetched, dialect);
  return {
    issuer: written.issuer,
    dialect,
    settings: {
      issuer: written.issuer,
      ...(written.jwksUrl === undefined ? {} : { jwks_url: written.jwksUrl }),
      dialect: dialect ?? 'rfc9068',
      ...(unbound.some(({ finding }) => finding === 'no_dpop') ? { bind: 'first-presenter' } : {}),
      ...(added.length === 0 ? {} : { algorithms: [...DEFAULT_ALGORITHMS, ...added] }),
    },
    introspection: introspection.client,
    keys: keyFacts(fetched),
    findings: [
      ...nameFindings(fetched, written.issuer),
      ...serverFindings(fetched, dialect),
      ...unbound,
      ...introspection.findings,
      ...algorithmFindings(added),
      ...keyFindings(fetched.ring),
    ],
  };
}

/** ADFS has another issuer in its access tokens than in its ID tokens, often over http: nothing can be fetched from that. */
function writtenIssuer({ issuer, jwksUri, metadata }: FetchedIssuer): {
  readonly issuer: string;
  readonly jwksUrl?: string;
} {
  const { access_token_issuer: named } = metadata;
  const isOther = typeof named === 'string' && named !== issuer && isOfHost(named, new URL(issuer).hostname);
  return isOther ? { issuer: named, jwksUrl: jwksUri } : { issuer };
}

/** A server may name another issuer for its tokens on its own host alone: it would else speak for others. */
function isOfHost(address: string, host: string): boolean {
  if (!/^https?:\/\/[\x21-\x7e]+$/.test(address) || !URL.canParse(address)) return false;
  const url = new URL(address);
  return url.hostname === host && url.username === '' && url.password === '' && !/[?#]/.test(address);
}

function nameFindings({ asked, issuer }: FetchedIssuer, written: string): readonly Finding[] {
  return [
    ...(asked === issuer
      ? []
      : [
          {
            finding: 'issuer_differs',
            says: `The metadata names the issuer ${shown(issuer)}, and not ${shown(asked)}: the hub compares letter by letter (RFC 8414 section 3.3).`,
            fix: 'Use the issuer of the section: its own metadata names it too.',
          } as const,
        ]),
    ...(written === issuer
      ? []
      : [
          {
            finding: 'issuer_of_tokens',
            says: `Its access tokens have another issuer than its metadata: ${shown(written)}. The hub refuses its ID tokens with jwt_issuer_unknown.`,
            fix: 'The section has that issuer, and jwks_url, since nothing is discovered by such a name.',
          } as const,
        ]),
  ];
}

function* serverFindings({ issuer, metadata }: FetchedIssuer, dialect: DialectName | undefined): Generator<Finding> {
  if (dialect === undefined) {
    yield {
      finding: 'server_unknown',
      says: 'Nothing in the address or the metadata tells which server it is. The hub expects tokens by RFC 9068 (typ is at+jwt).',
      fix: '`latchkey token check` with a token of it says which dialect or settings it needs.',
    };
  }
  if (dialect === 'okta' && isOrgServer(issuer)) {
    yield {
      finding: 'org_server',
      says: 'This is the org authorization server: Okta says that its access tokens are for Okta alone.',
      fix: `Use a custom authorization server, such as ${new URL(issuer).origin}/oauth2/default.`,
    };
  }
  if (dialect === 'ping' && 'ping_end_session_endpoint' in metadata) {
    yield {
      finding: 'keys_elsewhere',
      says: 'An access token manager of PingFederate may sign with keys of its own, which are not in this key set (key_unknown).',
      fix: 'Put the JWKS endpoint of that manager into `jwks_url`.',
    };
  }
}

function textsOf(value: JsonValue | undefined): readonly string[] {
  return Array.isArray(value) ? (value as readonly JsonValue[]).filter((one) => typeof one === 'string') : [];
}

function proofFindings(metadata: JsonObject): readonly Finding[] {
  const named = textsOf(metadata.dpop_signing_alg_values_supported);
  const usable = ['ES256', 'EdDSA', 'Ed25519'];
  if (named.length > 0) {
    if (named.some((one) => usable.includes(one))) return [];
    return [
      {
        finding: 'dpop_algorithms',
        says: `The server takes DPoP proofs with ${shown([...named])} alone. The hub takes ES256 and EdDSA, so no key of a client works with both.`,
        fix: 'Have the server take ES256 too (dpop_signing_alg_values_supported).',
      },
    ];
  }
  const certificates: Finding = {
    finding: 'certificates_only',
    says: 'The server can bind tokens to a certificate. An offline device takes none of those (confirmation_unsupported).',
    fix: 'Leave that off for clients that send tokens to offline devices.',
  };
  return [
    {
      finding: 'no_dpop',
      says: `The metadata names no algorithm for DPoP: the server binds tokens to no key, and offline devices refuse bearer tokens. The section has bind = "first-presenter". What it costs: ${FIRST_PRESENTER_PRICE}`,
      fix: 'Where the server has DPoP that is switched off, switch it on and leave the line out.',
    },
    ...(metadata.tls_client_certificate_bound_access_tokens === true ? [certificates] : []),
  ];
}

/** In the order in which they are proposed. */
const CLIENT_METHODS = [
  'client_secret_basic',
  'client_secret_post',
  'private_key_jwt',
  'tls_client_auth',
  'self_signed_tls_client_auth',
] as const;
type ClientMethod = (typeof CLIENT_METHODS)[number];

function introspectionOf(
  { introspection, metadata }: FetchedIssuer,
  dialect: DialectName | undefined,
): { readonly client: IssuerCheck['introspection']; readonly findings: readonly Finding[] } {
  const { introspection_endpoint: named, introspection_endpoint_auth_methods_supported: methods } = metadata;
  const address = introspection.endpoint;
  if (address === undefined) {
    const isNamed = typeof named === 'string';
    const lacking =
      'opaque tokens for connected devices cannot be used, and revocation is not seen before a JWT expires';
    return {
      client: undefined,
      findings: [
        isNamed
          ? {
              finding: 'introspection_address',
              says: `The hub sends no tokens to the introspection endpoint ${shown(named)}: it is not https, or in a network on this side. So ${lacking}.`,
              fix: 'Correct the metadata of the server, or set `introspection_url`.',
            }
          : {
              finding: 'no_introspection',
              says: `The metadata names no introspection endpoint: ${lacking}.`,
              fix:
                dialect === 'hydra'
                  ? 'Hydra has it at its admin port: set `introspection_url`.'
                  : 'Let the server write JWTs that live for minutes. If it has an endpoint all the same, set `introspection_url`.',
            },
      ],
    };
  }
  // RFC 8414 §2: where the member is missing, the metadata says nothing of it.
  const supported = Array.isArray(methods) ? textsOf(methods) : CLIENT_METHODS;
  const method = CLIENT_METHODS.find((one) => supported.includes(one));
  if (method !== undefined) return { client: { address, method }, findings: [] };
  return {
    client: undefined,
    findings: [
      {
        finding: 'introspection_client',
        says: `The introspection endpoint takes clients by ${shown([...supported])} alone. The hub knows ${CLIENT_METHODS.join(', ')}.`,
        fix: 'Have the server take one of these for the hub.',
      },
    ],
  };
}

/** What no algorithm that is allowed by default can use: the key would be passed over. */
function addedAlgorithms({ keys }: KeyRing): readonly JwtAlgorithm[] {
  const byDefault: readonly JwtAlgorithm[] = DEFAULT_ALGORITHMS;
  const unserved = keys.filter(({ verifiers }) => !byDefault.some((one) => verifiers.has(one)));
  const needed = new Set(unserved.flatMap(({ verifiers }) => [...verifiers.keys()]));
  return [...needed].toSorted((one, other) => ALGORITHM_NAMES.indexOf(one) - ALGORITHM_NAMES.indexOf(other));
}

function algorithmFindings(added: readonly JwtAlgorithm[]): readonly Finding[] {
  if (added.length === 0) return [];
  return [
    {
      finding: 'algorithms_added',
      says: `A key of it serves ${added.join(' and ')} alone, which is not allowed by default. The section allows it; a signature takes a small machine longer to verify.`,
      fix: 'Have the server sign with ES256 where it can.',
    },
  ];
}

/** Of keys and reasons that one line names. */
const MOST_NAMED = 8;

/** Not worth a warning: that a key is there to encrypt with says nothing against those that sign. */
const OF_OTHER_USE = 'its use is not sig';

function* keyFindings(ring: KeyRing): Generator<Finding> {
  const unused = ring.skipped.filter(({ reason }) => reason !== OF_OTHER_USE);
  if (unused.length > 0) {
    const reasons = [...new Set(unused.map(({ reason }) => reason))].slice(0, MOST_NAMED);
    yield {
      finding: 'keys_unused',
      says: `The hub does not use ${counted(unused.length)}: ${reasons.join('; ')}. Tokens that such a key signs are refused (key_unknown).`,
      fix: 'Have the server sign access tokens with one of its other keys.',
    };
  }
  const nameless = ring.keys.filter(({ keyId }) => keyId === undefined);
  if (nameless.length > 0) {
    yield {
      finding: 'keys_without_id',
      says: `${counted(nameless.length)} without kid. Tokens without kid are accepted only while one key serves their algorithm: during a rotation they are refused (key_unknown).`,
      fix: 'Have the server give its keys a kid, and put it into its tokens.',
    };
  }
  const names = ring.keys.flatMap(({ keyId }) => keyId ?? []);
  const twice = [...new Set(names.filter((name, index) => names.indexOf(name) !== index))].slice(0, MOST_NAMED);
  if (twice.length > 0) {
    yield {
      finding: 'keys_same_id',
      says: `Several keys have the kid ${twice.map((name) => shown(name)).join(', ')}. The hub tries them in turn, and devices get one of them.`,
      fix: 'Have the server give each key a kid of its own.',
    };
  }
  if (keysForDevices(ring).length === 0) {
    yield {
      finding: 'keys_stay_here',
      says: `None of its keys travels to devices, which take ${SIGNATURES.join(' and ')} alone (RSA is too large). Tokens reach devices all the same: the hub verifies them.`,
      fix: 'Nothing to do. A server that signs with ES256 costs the hub less.',
    };
  }
}

function counted(keys: number): string {
  return keys === 1 ? '1 key' : `${keys} keys`;
}

function keyFacts({ jwks, ring }: FetchedIssuer): readonly KeyFact[] {
  const published = isJsonObject(jwks) && Array.isArray(jwks.keys) ? (jwks.keys as readonly JsonValue[]) : [];
  const used = ring.keys.map(({ keyId, verifiers }, index) => ({
    kid: keyId,
    kind: kindOf(ring.jwks[index]),
    algorithms: [...verifiers.keys()],
    unused: undefined,
  }));
  const skipped = ring.skipped.map(({ keyId, reason }) => ({
    kid: keyId,
    kind: kindOf(published.find((one) => isJsonObject(one) && keyId !== undefined && one.kid === keyId)),
    algorithms: [],
    unused: reason,
  }));
  return [...used, ...skipped];
}

function kindOf(jwk: JsonValue | undefined): string {
  if (!isJsonObject(jwk) || typeof jwk.kty !== 'string') return 'unknown';
  const text = typeof jwk.crv === 'string' ? `${jwk.kty} ${jwk.crv}` : jwk.kty;
  // Of a key that the hub does not use this may be anything.
  return /^[\x20-\x7e]{1,32}$/.test(text) ? text : 'unknown';
}

/** Numbers from registries, each with its source. Nothing else in the project spells them. */

/** COSE algorithms (IANA "COSE Algorithms"; RFC 9053). */
export const COSE_ALGORITHM = {
  ES256: -7,
  EdDSA: -8,
  'HMAC 256/64': 4,
  'HMAC 256/256': 5,
  'AES-CCM-16-64-128': 10,
  A128GCM: 1,
} as const;

/** COSE header parameters (RFC 9052 §3.1). */
export const COSE_HEADER = { alg: 1, crit: 2, contentType: 3, kid: 4, iv: 5, partialIv: 6 } as const;

/**
 * Header parameters of signed requests, private use below −65536 (RFC 9052 §11.1; docs/protocol.md): the device's nonce,
 * unprotected, and the client's own, protected.
 */
export const SIGNED_REQUEST_HEADER = { nonce: -65537, clientNonce: -65539 } as const;

/** The hub's nonce, protected, in what it and a connected device say to each other; private use likewise. */
export const DEVICE_EXCHANGE_HEADER = { hubNonce: -65540 } as const;

/** The client's public key as a COSE_Key, in a relayed proof; private use likewise. */
export const RELAY_PROOF_HEADER = { key: -65538 } as const;

/** COSE_Encrypt with direct ECDH (RFC 9052 §5.1, RFC 9053 §6.3.1): its tag, its algorithm, and the ephemeral key. */
export const COSE_ENCRYPT = { tag: 96, ecdhEsHkdf256: -25, ephemeralKey: -1 } as const;

/** Members of a session key for device or CBOR client, in a map of our own (docs/protocol.md, "Session keys"). */
export const SESSION_KEY = { key: 1, expiresAt: 2, tokenHash: 3, clientThumbprint: 4 } as const;

/** Members of what a device trusts, in a map of our own (docs/protocol.md, "Provisioning"). */
export const DEVICE_TRUST = {
  version: 1,
  device: 2,
  audience: 3,
  time: 4,
  wrap: 5,
  cwtTag: 6,
  scopeForm: 7,
  maxTokenBytes: 8,
  receipt: 9,
  hubKeys: 10,
  issuers: 11,
  permissions: 12,
  authentication: 13,
  encryption: 14,
  rootKey: 15,
} as const;

/** Members of the other messages of provisioning, likewise. */
export const PROVISION_NONCE = 1;
export const PROVISION_CONFIRMATION = { version: 1, rootKeyCheck: 2 } as const;
export const DEVICE_ORDER = { operation: 1, version: 2, hubNonce: 3, deviceNonce: 4 } as const;
export const DEVICE_OPERATION = { commit: 1, unpair: 2, identify: 3 } as const;

/** COSE_Key parameters (RFC 9052 §7.1, RFC 9053 §7). */
export const COSE_KEY = { kty: 1, kid: 2, alg: 3, keyOps: 4, baseIv: 5, crv: -1, x: -2, y: -3, d: -4, k: -1 } as const;
export const COSE_KEY_TYPE = { OKP: 1, EC2: 2, Symmetric: 4 } as const;
export const COSE_CURVE = { 'P-256': 1, Ed25519: 6 } as const;

/** CBOR tags (IANA "CBOR Tags"): COSE messages (RFC 9052 §2) and CWT (RFC 8392 §6). */
export const CBOR_TAG = { encrypt0: 16, mac0: 17, sign1: 18, cwt: 61 } as const;

/** CWT claims (IANA "CWT Claims"; RFC 8392 §3.1, RFC 8747 §3.1, RFC 9200 §8.14). */
export const CWT_CLAIM = {
  iss: 1,
  sub: 2,
  aud: 3,
  exp: 4,
  nbf: 5,
  iat: 6,
  cti: 7,
  cnf: 8,
  scope: 9,
  ace_profile: 38,
  cnonce: 39,
  exi: 40,
} as const;

/** CWT confirmation methods (RFC 8747 §3.1, RFC 9203 §3.2, RFC 9679 §5.6). */
export const CONFIRMATION = { coseKey: 1, encryptedCoseKey: 2, kid: 3, osc: 4, ckt: 5 } as const;

/**
 * Parameters of a token introspection (RFC 9200 §5.9.4 and RFC 9201 §3.2; IANA "OAuth Token Introspection Response CBOR
 * Mappings"). `cti` is what JSON calls `jti`.
 */
export const INTROSPECTION = {
  iss: 1,
  sub: 2,
  aud: 3,
  exp: 4,
  nbf: 5,
  iat: 6,
  cti: 7,
  cnf: 8,
  scope: 9,
  active: 10,
  token: 11,
  client_id: 24,
  token_type_hint: 33,
  token_type: 34,
  username: 35,
  ace_profile: 38,
  cnonce: 39,
  exi: 40,
} as const;

/** AS Request Creation Hints (RFC 9200 §5.3, table 1). */
export const CREATION_HINT = { AS: 1, kid: 2, audience: 5, scope: 9, cnonce: 39 } as const;

/** Access token types (RFC 9200 §8.7; IANA "OAuth Access Token Type CBOR Mappings"). */
export const TOKEN_TYPE = { bearer: 1, pop: 2 } as const;

/**
 * Parameters of our own in an introspection, private use below −65536 (RFC 9200 §8.12; docs/protocol.md, "Connected
 * devices"): up to −65610 in requests, then in answers.
 */
export const INTROSPECTION_PRIVATE = {
  proof_type: -65600,
  dpop: -65601,
  htm: -65602,
  htu: -65603,
  dpop_nonce: -65604,
  cose_proof: -65605,
  nonce: -65606,
  x5t_s256: -65607,
  certificate: -65608,
  session_key: -65609,
  session_key_format: -65610,
  latchkey: -65616,
} as const;

/** Members of the `latchkey` map of an answer, and of the two maps inside it; values that are words in JSON. */
export const LATCHKEY_ANSWER = { freshness: 1, proof: 2, code: 3, session_key: 4 } as const;
export const LATCHKEY_FRESHNESS = { source: 1, age: 2, stale: 3, clock: 4 } as const;
export const LATCHKEY_SESSION_KEY = { device: 1, client: 2, kid: 3, exp: 4 } as const;
export const LATCHKEY_WORDS = {
  proof: { none: 0, dpop: 1, cose: 2, x5t: 3 },
  source: { introspection: 1, jwt: 2 },
  clock: { sure: 1, unsure: 2 },
  session_key: { new: 1 },
  session_key_format: { jose: 1, cose: 2 },
} as const;

/**
 * Confirmation methods that CWT has no number for (RFC 9449 §6.1, RFC 8705 §3.1), private use below −65536 (RFC 8747
 * §7.2): both are 32 bytes.
 */
export const CONFIRMATION_PRIVATE = { jkt: -65632, 'x5t#S256': -65633 } as const;

/** CoAP (RFC 7252 §12, RFC 7959 §6, RFC 8132 §6). */
export const COAP_TYPE = { CON: 0, NON: 1, ACK: 2, RST: 3 } as const;
export const COAP_METHOD = { GET: 1, POST: 2, PUT: 3, DELETE: 4, FETCH: 5, PATCH: 6, iPATCH: 7 } as const;
/** Response codes as one byte, class in the upper 3 bits (RFC 7252 §12.1.2, RFC 7959 §6, RFC 8132 §6). */
export const COAP_CODE = {
  created: 0x41,
  deleted: 0x42,
  valid: 0x43,
  changed: 0x44,
  content: 0x45,
  continue: 0x5f,
  badRequest: 0x80,
  unauthorized: 0x81,
  badOption: 0x82,
  forbidden: 0x83,
  notFound: 0x84,
  methodNotAllowed: 0x85,
  notAcceptable: 0x86,
  requestEntityIncomplete: 0x88,
  conflict: 0x89,
  requestEntityTooLarge: 0x8d,
  unsupportedContentFormat: 0x8f,
  internalServerError: 0xa0,
  notImplemented: 0xa1,
  badGateway: 0xa2,
  serviceUnavailable: 0xa3,
  gatewayTimeout: 0xa4,
  proxyingNotSupported: 0xa5,
} as const;
export const COAP_OPTION = {
  ifMatch: 1,
  uriHost: 3,
  etag: 4,
  ifNoneMatch: 5,
  observe: 6,
  uriPort: 7,
  locationPath: 8,
  oscore: 9,
  uriPath: 11,
  contentFormat: 12,
  maxAge: 14,
  uriQuery: 15,
  accept: 17,
  locationQuery: 20,
  block2: 23,
  block1: 27,
  size2: 28,
  proxyUri: 35,
  proxyScheme: 39,
  size1: 60,
} as const;

/** CoAP content formats (IANA "CoAP Content-Formats"; 65061 is in the experimental range). */
export const CONTENT_FORMAT = {
  text: 0,
  coseEncrypt0: 16,
  coseMac0: 17,
  coseSign1: 18,
  aceCbor: 19,
  linkFormat: 40,
  octetStream: 42,
  json: 50,
  cbor: 60,
  cwt: 61,
  conciseProblem: 257,
  cjwt: 65061,
} as const;

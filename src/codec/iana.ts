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
  cjwt: 65061,
} as const;

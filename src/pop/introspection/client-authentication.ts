/** How the hub shows the AS who it is (RFC 7662 §2.1 leaves the method to client and server). */

import { constants, createPrivateKey, type KeyObject, sign } from 'node:crypto';
import { base64url, utf8 } from '../../core/bytes.ts';
import { bestGuess, type Random, type TimeBounds } from '../../core/clock.ts';
import { LatchkeyError } from '../../core/errors.ts';
import type { JwtAlgorithm } from '../../core/jwt-algorithms.ts';
import { Secret } from '../../core/secret.ts';

/** Names of the methods as the OAuth registry has them. */
type ClientAuthenticationMethod =
  | 'client_secret_basic'
  | 'client_secret_post'
  | 'private_key_jwt'
  | 'tls_client_auth'
  | 'self_signed_tls_client_auth';

export interface ClientAuthenticationSettings {
  readonly method: ClientAuthenticationMethod;
  readonly clientId: string;
  /** Of client_secret_basic and client_secret_post, as in its file; white space at its end is not part of it. */
  readonly secret?: Secret<string>;
  /** Of private_key_jwt: EC P-256, Ed25519 or RSA from 2048 bits, PEM. (A key for TLS is with the driver.) */
  readonly key?: Secret<string>;
  /** `kid` of that key, where the AS has several of this client. */
  readonly keyId?: string | undefined;
}

/** What goes into one request beside the token. Both hold secrets: neither is logged or kept. */
interface Credentials {
  readonly authorization?: string;
  /** Form parameters, encoded, each with a `&` before it. */
  readonly parameters: string;
}

/** The hub's credentials at one AS. */
export interface ClientAuthentication {
  readonly method: ClientAuthenticationMethod;
  readonly clientId: string;
  /** New ones for every request: an assertion serves once (RFC 7523 §3, `jti`). */
  credentials(present: { readonly time: TimeBounds; readonly random: Random }): Credentials;
}

/**
 * @param issuer issuer identifier of the AS
 * @throws {LatchkeyError} `config_invalid`: no secret, or a key that is none of those kinds
 */
export function clientAuthentication(settings: ClientAuthenticationSettings, issuer: string): ClientAuthentication {
  const { method, clientId } = settings;
  switch (method) {
    case 'client_secret_basic': {
      const authorization = basic(clientId, settings.secret);
      return { method, clientId, credentials: () => ({ authorization: authorization.expose(), parameters: '' }) };
    }
    case 'client_secret_post': {
      // RFC 6749 §2.3.1, for servers that take no Basic.
      const secret = formEncoded(secretText(settings.secret));
      const parameters = new Secret(`&client_id=${formEncoded(clientId)}&client_secret=${secret}`);
      return { method, clientId, credentials: () => ({ parameters: parameters.expose() }) };
    }
    case 'private_key_jwt': {
      const signer = assertionSigner(settings, issuer);
      return { method, clientId, credentials: (present) => ({ parameters: assertionParameters(signer(present)) }) };
    }
    case 'tls_client_auth':
    case 'self_signed_tls_client_auth': {
      // RFC 8705 §2: the certificate authenticates, and the AS learns from client_id whose it should be.
      const parameters = `&client_id=${formEncoded(clientId)}`;
      return { method, clientId, credentials: () => ({ parameters }) };
    }
  }
}

/** RFC 6749 §2.3.1: both are form-encoded first, so that a colon in the id does not cut it short. */
function basic(clientId: string, secret: Secret<string> | undefined): Secret<string> {
  const pair = `${formEncoded(clientId)}:${formEncoded(secretText(secret))}`;
  return new Secret(`Basic ${Buffer.from(pair).toString('base64')}`);
}

function secretText(secret: Secret<string> | undefined): string {
  const text = secret?.expose().trimEnd() ?? '';
  if (text === '') throw new LatchkeyError('config_invalid', 'the client secret is empty');
  return text;
}

/** One value by the application/x-www-form-urlencoded algorithm (RFC 6749 appendix B). */
export function formEncoded(value: string): string {
  return new URLSearchParams([['', value]]).toString().slice(1);
}

function assertionParameters(assertion: string): string {
  // Of an assertion every character stands for itself.
  return `&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=${assertion}`;
}

/** Seconds that an assertion is good for: longer than any request, too short to be of use to a thief. */
const ASSERTION_LIFETIME = 60;
const JWT_ID_BYTES = 16;

function assertionSigner({ clientId, key, keyId }: ClientAuthenticationSettings, issuer: string) {
  const { algorithm, signatureOf } = assertionKey(key);
  const header = encoded({ alg: algorithm, typ: 'JWT', ...(keyId === undefined ? {} : { kid: keyId }) });
  return ({ time, random }: Parameters<ClientAuthentication['credentials']>[0]): string => {
    const issuedAt = Math.floor(bestGuess(time));
    const claims = encoded({
      iss: clientId,
      sub: clientId,
      // The issuer and nothing else: an address could be one that another server talked us into
      // (draft-ietf-oauth-rfc7523bis §4; FAPI 2.0 §5.3.3). It is right at every endpoint of the server.
      aud: issuer,
      jti: base64url(random.bytes(JWT_ID_BYTES)),
      iat: issuedAt,
      exp: issuedAt + ASSERTION_LIFETIME,
    });
    const input = `${header}.${claims}`;
    return `${input}.${base64url(signatureOf(utf8(input)))}`;
  };
}

function encoded(value: object): string {
  return base64url(utf8(JSON.stringify(value)));
}

interface AssertionKey {
  readonly algorithm: JwtAlgorithm;
  readonly signatureOf: (input: Uint8Array) => Uint8Array;
}

/** PS256 for RSA: FAPI 2.0 §5.4.1 allows it and not RS256. */
function assertionKey(pem: Secret<string> | undefined): AssertionKey {
  const key = importPrivateKey(pem);
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === 'ec' && details?.namedCurve === 'prime256v1') {
    return { algorithm: 'ES256', signatureOf: (input) => sign('sha256', input, { key, dsaEncoding: 'ieee-p1363' }) };
  }
  if (type === 'ed25519') return { algorithm: 'EdDSA', signatureOf: (input) => sign(null, input, key) };
  if (type === 'rsa' && (details?.modulusLength ?? 0) >= 2048) {
    const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
    return { algorithm: 'PS256', signatureOf: (input) => sign('sha256', input, { key, ...padding }) };
  }
  throw new LatchkeyError('config_invalid', 'the client key is neither EC P-256, Ed25519 nor RSA from 2048 bits');
}

function importPrivateKey(pem: Secret<string> | undefined): KeyObject {
  try {
    return createPrivateKey(pem?.expose() ?? '');
  } catch {
    // The parser's own words may quote what it was given.
    throw new LatchkeyError('config_invalid', 'the client key is not a private key in PEM');
  }
}

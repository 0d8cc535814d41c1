/** Puts the client's authentication into its requests. Apart from its types: those of openid-client need TypeScript 5.1. */
import { createPrivateKey, KeyObject, type webcrypto } from 'node:crypto';
import { importPKCS8, SignJWT } from 'jose';
import * as oauth from 'openid-client';
import { base64url } from '../core/bytes.ts';
import { bestGuess } from '../core/clock.ts';
import { Secret } from '../core/secret.ts';
import { argumentError, demandObject, demandSecret } from './arguments.ts';
import type { ClientAuthentication, PrivateKeyAuthentication } from './client-authentication.ts';
import type { ClientEnvironment } from './environment.ts';

type CryptoKey = webcrypto.CryptoKey;

type AuthenticationOf = (server: oauth.ServerMetadata, environment: ClientEnvironment) => Promise<oauth.ClientAuth>;

const SECONDS_OF_ASSERTION = 60;
const JWT_ID_BYTES = 16;

/** @throws {LatchkeyError} `client_argument_invalid` */
export function authenticateClient(authentication: ClientAuthentication): AuthenticationOf {
  if (authentication === undefined) {
    throw argumentError("authentication: missing; a client without a secret has { method: 'none' }");
  }
  demandObject('authentication', authentication);
  const { method } = authentication;
  switch (method) {
    case 'none':
      return async () => oauth.None();
    case 'client_secret_basic':
    case 'client_secret_post': {
      demandSecret('authentication.secret', authentication.secret);
      const secret = authentication.secret.expose();
      return async () => (method === 'client_secret_post' ? oauth.ClientSecretPost(secret) : basic(secret));
    }
    case 'private_key_jwt':
      return assertions(authentication);
    default:
      throw argumentError(
        'authentication.method: none of none, client_secret_basic, client_secret_post, private_key_jwt',
      );
  }
}

/**
 * RFC 6749 §2.3.1 by the algorithm of today (WHATWG URL, section 5), as the hub does: `-`, `.`, `_` and `*` stay. That of
 * openid-client escapes them too. Servers decode either; one that decodes nothing (Glewlwyd 2.7) takes only this one.
 */
function basic(secret: string): oauth.ClientAuth {
  return (_server, client, _body, headers) => {
    const pair = [client.client_id, secret].map((text) => new URLSearchParams([['', text]]).toString().slice(1));
    headers.set('authorization', `Basic ${Buffer.from(pair.join(':')).toString('base64')}`);
  };
}

function assertions(authentication: PrivateKeyAuthentication): AuthenticationOf {
  const { keyId, assertionAudience = 'issuer' } = authentication;
  const key = privateKey(authentication.key);
  return async (server, { clock, random }) => {
    const algorithm = algorithmOf(key, authentication.algorithm ?? algorithmAt(server));
    const signer = key instanceof KeyObject ? await imported(key, algorithm) : key;
    return async ({ issuer, token_endpoint: tokenEndpoint }, { client_id: clientId }, body) => {
      const now = bestGuess(clock.now());
      const assertion = await new SignJWT()
        .setProtectedHeader({ alg: algorithm, typ: 'JWT', ...(keyId === undefined ? {} : { kid: keyId }) })
        .setIssuer(clientId)
        .setSubject(clientId)
        .setAudience(assertionAudience === 'issuer' ? issuer : (tokenEndpoint ?? issuer))
        .setJti(base64url(random.bytes(JWT_ID_BYTES)))
        .setIssuedAt(now)
        .setExpirationTime(now + SECONDS_OF_ASSERTION)
        .sign(signer);
      body.set('client_id', clientId);
      body.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
      body.set('client_assertion', assertion);
    };
  };
}

function privateKey(key: PrivateKeyAuthentication['key']): CryptoKey | KeyObject {
  if (typeof key === 'string' || key instanceof Secret) {
    demandSecret('authentication.key', key);
    return fromPem(key.expose());
  }
  demandObject('authentication.key', key);
  if (key.type !== 'private') throw argumentError('authentication.key: not a private key');
  return key;
}

function fromPem(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    // The parser's own words may quote what it was given.
    throw argumentError('authentication.key: not a private key in PEM without a passphrase');
  }
}

function algorithmOf(key: CryptoKey | KeyObject, rsa: 'PS256' | 'RS256'): string {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } =
    key instanceof KeyObject ? key : KeyObject.from(key);
  if (!(key instanceof KeyObject) && type === 'rsa') return key.algorithm.name === 'RSA-PSS' ? 'PS256' : 'RS256';
  if (type === 'rsa' && (details?.modulusLength ?? 0) >= 2_048) return rsa;
  if (type === 'ed25519') return 'EdDSA';
  const curves: Readonly<Record<string, string>> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' };
  const algorithm = type === 'ec' ? curves[details?.namedCurve ?? ''] : undefined;
  if (algorithm === undefined) throw argumentError('authentication.key: neither EC, Ed25519 nor RSA from 2048 bits');
  return algorithm;
}

function algorithmAt(server: oauth.ServerMetadata): 'PS256' | 'RS256' {
  const supported = server.token_endpoint_auth_signing_alg_values_supported ?? [];
  return supported.includes('RS256') && !supported.includes('PS256') ? 'RS256' : 'PS256';
}

async function imported(key: KeyObject, algorithm: string): Promise<CryptoKey> {
  return importPKCS8(key.export({ type: 'pkcs8', format: 'pem' }).toString(), algorithm);
}

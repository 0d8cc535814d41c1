import * as oauth from 'openid-client';
import { base64url } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { AccessToken } from './access-token.ts';
import type { DpopKey, KeyPair } from './dpop-key.ts';
import { networkReason } from './http.ts';

export type ClientAuthentication =
  | { readonly method: 'none' }
  | { readonly method: 'client_secret_basic' | 'client_secret_post'; readonly secret: Secret<string> }
  | { readonly method: 'private_key_jwt'; readonly key: KeyPair['privateKey']; readonly keyId?: string };

export interface AuthorizationServerOptions {
  /** Issuer identifier. http is taken on loopback only. */
  readonly issuer: string;
  readonly clientId: string;
  readonly authentication: ClientAuthentication;
  /** Where the metadata is: OpenID Connect discovery (the default) or RFC 8414. */
  readonly discovery?: 'oidc' | 'oauth2';
  readonly fetch?: typeof fetch;
}

export interface TokenRequest {
  /** Scope tokens separated by a space. */
  readonly scope: string;
  /** Resource indicator (RFC 8707): the device's audience, for servers that know it. */
  readonly resource?: string;
  /** `audience` parameter, for servers that want this one instead. */
  readonly audience?: string;
  /** Nonce of a device without a clock, from `HubRefusal.creationHints` (RFC 9200 §5.8.4.4). */
  readonly cnonce?: Uint8Array;
  /** Binds the token to this key (RFC 9449). Left out, a bearer token is asked for. */
  readonly key?: DpopKey;
}

/** An authorization that a person has begun in a browser: keep it until the answer comes. */
export interface PendingAuthorization {
  /** Send the browser here. */
  readonly url: string;
  readonly state: string;
  readonly verifier: Secret<string>;
  readonly request: TokenRequest;
}

/** One client at one authorization server. */
export class AuthorizationServer {
  readonly #configuration: oauth.Configuration;

  private constructor(configuration: oauth.Configuration) {
    this.#configuration = configuration;
  }

  /**
   * Reads the server's metadata.
   * @throws {LatchkeyError} `client_unreachable`, `client_answer_invalid`
   */
  static async discover(options: AuthorizationServerOptions): Promise<AuthorizationServer> {
    const issuer = parseUrl(options.issuer);
    return coded(async () => {
      const configuration = await oauth.discovery(
        issuer,
        options.clientId,
        undefined,
        clientAuthentication(options.authentication),
        {
          algorithm: options.discovery ?? 'oidc',
          execute: isLoopback(issuer) ? [oauth.allowInsecureRequests] : [],
          ...(options.fetch === undefined ? {} : { [oauth.customFetch]: fetchWith(options.fetch) }),
        },
      );
      return new AuthorizationServer(configuration);
    });
  }

  /**
   * A token for the client itself (RFC 6749 §4.4).
   * @throws {LatchkeyError} `client_token_refused`, `client_unreachable`, `client_answer_invalid`
   */
  async clientCredentials(request: TokenRequest): Promise<AccessToken> {
    return coded(async () =>
      accessToken(
        await oauth.clientCredentialsGrant(this.#configuration, parameters(request), this.#binding(request)),
        request,
      ),
    );
  }

  /** Begins the authorization code grant with PKCE (RFC 7636). */
  async startAuthorizationCode(
    request: TokenRequest & { readonly redirectUri: string },
  ): Promise<PendingAuthorization> {
    const verifier = oauth.randomPKCECodeVerifier();
    const state = oauth.randomState();
    const url = oauth.buildAuthorizationUrl(this.#configuration, {
      ...parameters(request),
      redirect_uri: request.redirectUri,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      state,
      // RFC 9449 §10: the code itself is bound to the key, so a stolen one is worth nothing.
      ...(request.key === undefined ? {} : { dpop_jkt: request.key.thumbprint }),
    });
    return { url: url.href, state, verifier: new Secret(verifier), request };
  }

  /**
   * Ends it with the address that the browser was sent back to.
   * @throws {LatchkeyError} `client_token_refused` where server or person refused, `client_answer_invalid` for an
   * answer to another authorization
   */
  async finishAuthorizationCode(pending: PendingAuthorization, callback: string): Promise<AccessToken> {
    const { request } = pending;
    const address = parseUrl(callback);
    return coded(async () =>
      accessToken(
        await oauth.authorizationCodeGrant(
          this.#configuration,
          address,
          { pkceCodeVerifier: pending.verifier.expose(), expectedState: pending.state },
          request.resource === undefined ? {} : { resource: request.resource },
          this.#binding(request),
        ),
        request,
      ),
    );
  }

  /**
   * Has the server withdraw a token (RFC 7009): whoever asks the server about it learns so at once, whoever only checks its
   * signature not before it expires.
   * @throws {LatchkeyError} `client_token_refused`, `client_unreachable`, `client_answer_invalid`
   */
  async revoke(token: AccessToken): Promise<void> {
    await coded(() => oauth.tokenRevocation(this.#configuration, token.value.expose()));
  }

  #binding(request: TokenRequest): oauth.DPoPOptions {
    return request.key === undefined ? {} : { DPoP: oauth.getDPoPHandle(this.#configuration, request.key.pair) };
  }
}

function clientAuthentication(authentication: ClientAuthentication): oauth.ClientAuth {
  switch (authentication.method) {
    case 'none':
      return oauth.None();
    case 'client_secret_basic':
      return oauth.ClientSecretBasic(authentication.secret.expose());
    case 'client_secret_post':
      return oauth.ClientSecretPost(authentication.secret.expose());
    case 'private_key_jwt':
      return oauth.PrivateKeyJwt(
        authentication.keyId === undefined
          ? authentication.key
          : { key: authentication.key, kid: authentication.keyId },
      );
  }
}

function parameters(request: TokenRequest): Record<string, string> {
  return {
    scope: request.scope,
    ...(request.resource === undefined ? {} : { resource: request.resource }),
    ...(request.audience === undefined ? {} : { audience: request.audience }),
    ...(request.cnonce === undefined ? {} : { cnonce: base64url(request.cnonce) }),
  };
}

function accessToken(answer: oauth.TokenEndpointResponse, request: TokenRequest): AccessToken {
  const common = { value: new Secret(answer.access_token), expiresIn: answer.expires_in, scope: answer.scope };
  if (request.key === undefined) return { scheme: 'Bearer', key: undefined, ...common };
  // RFC 9449 §5: a server that does not know DPoP answers `Bearer`, and anybody could use such a token.
  if (answer.token_type !== 'dpop')
    throw new LatchkeyError('client_token_refused', 'the token is not bound to the key');
  return { scheme: 'DPoP', key: request.key, ...common };
}

function isLoopback(url: URL): boolean {
  return url.protocol === 'http:' && ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
}

function parseUrl(text: string): URL {
  if (!URL.canParse(text)) throw new LatchkeyError('client_answer_invalid', 'not an address');
  return new URL(text);
}

/** openid-client's errors as ours. Their causes hold requests with secrets in them, so only codes are taken over. */
async function coded<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof LatchkeyError) throw error;
    if (error instanceof oauth.ResponseBodyError || error instanceof oauth.AuthorizationResponseError) {
      throw new LatchkeyError('client_token_refused', oauthCode(error.error));
    }
    // RFC 6749 §5.2: a client that authenticates by header and fails is answered with a challenge.
    if (error instanceof oauth.WWWAuthenticateChallengeError) {
      throw new LatchkeyError('client_token_refused', oauthCode(error.cause[0]?.parameters.error ?? 'invalid_client'));
    }
    const reason = networkReason(error);
    if (error instanceof TypeError || reason === 'OAUTH_TIMEOUT') throw new LatchkeyError('client_unreachable', reason);
    throw new LatchkeyError('client_answer_invalid', reason);
  }
}

/** `error` of RFC 6749 §5.2, if it is one. */
function oauthCode(error: string): string {
  return /^[a-z_]{1,64}$/.test(error) ? error : 'an error without a proper code';
}

function fetchWith(implementation: typeof fetch): oauth.CustomFetch {
  return (url, { body, ...options }) =>
    implementation(url, { ...options, ...(body === undefined || body === null ? {} : { body }) });
}

import * as oauth from 'openid-client';
import { bestGuess } from '../core/clock.ts';
import { LatchkeyError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { AccessToken, RefreshToken } from './access-token.ts';
import { argumentError, demandObject, demandSecret, demandText, isLoopback, serverAddress } from './arguments.ts';
import { authenticateClient } from './authenticate-client.ts';
import type { ClientAuthentication } from './client-authentication.ts';
import { type PendingDeviceAuthorization, pendingDeviceAuthorization, untilDecided } from './device-authorization.ts';
import type { DpopKey } from './dpop-key.ts';
import { type ClientEnvironment, type ConnectionOptions, environmentOf } from './environment.ts';
import { oauthFetch, withOauthErrors } from './oauth-answers.ts';
import { readServerMetadata } from './server-metadata.ts';
import { demandTokenRequest, followingParameters, requestParameters, type TokenRequest } from './token-request.ts';

const DEVICE_CODE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

export interface AuthorizationServerOptions extends ConnectionOptions {
  /** Issuer identifier. http is accepted on loopback only. */
  readonly issuer: string;
  readonly clientId: string;
  readonly authentication: ClientAuthentication;
  /** Where the metadata is, for a server that has it neither where RFC 8414 nor where OpenID Connect puts it. */
  readonly metadataUrl?: string;
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
  readonly #environment: ClientEnvironment;
  /** They keep the newest nonce of the server (RFC 9449 §8), so that it is asked for once. */
  readonly #handles = new WeakMap<DpopKey, oauth.DPoPHandle>();

  private constructor(configuration: oauth.Configuration, environment: ClientEnvironment) {
    this.#configuration = configuration;
    this.#environment = environment;
  }

  /**
   * Reads the server's metadata: at the address of RFC 8414, then at that of OpenID Connect Discovery.
   * @throws {LatchkeyError} `client_argument_invalid`, `client_address_insecure`; `client_unreachable`;
   *   `client_answer_invalid`, also for metadata of another issuer
   */
  static async discover(options: AuthorizationServerOptions): Promise<AuthorizationServer> {
    demandObject('options', options);
    const issuer = serverAddress('issuer', options.issuer);
    const address = options.metadataUrl === undefined ? undefined : serverAddress('metadataUrl', options.metadataUrl);
    demandText('clientId', options.clientId);
    const authenticationAt = authenticateClient(options.authentication);
    const environment = environmentOf(options);
    const metadata = await readServerMetadata(issuer, environment, address);
    return withOauthErrors(async () => {
      const authentication = await authenticationAt(metadata, environment);
      const configuration = new oauth.Configuration(metadata, options.clientId, undefined, authentication);
      configuration[oauth.customFetch] = oauthFetch(environment);
      if (isLoopback(issuer)) oauth.allowInsecureRequests(configuration);
      return new AuthorizationServer(configuration, environment);
    });
  }

  /**
   * A token for the client itself (RFC 6749 §4.4).
   * @throws {ServerRefusal} `client_token_refused`, `client_server_failed`
   * @throws {LatchkeyError} `client_argument_invalid`, `client_unreachable`, `client_answer_invalid`
   */
  async clientCredentials(request: TokenRequest): Promise<AccessToken> {
    demandTokenRequest(request);
    return this.#token(request, () =>
      oauth.clientCredentialsGrant(this.#configuration, requestParameters(request), this.#binding(request)),
    );
  }

  /**
   * Begins the authorization code grant with PKCE (RFC 7636).
   * @throws {LatchkeyError} `client_argument_invalid`; `client_answer_invalid` for a server that has no such endpoint
   */
  async startAuthorizationCode(
    request: TokenRequest & { readonly redirectUri: string },
  ): Promise<PendingAuthorization> {
    demandTokenRequest(request);
    demandText('redirectUri', request.redirectUri);
    this.#demandEndpoint('authorization_endpoint');
    const verifier = oauth.randomPKCECodeVerifier();
    const state = oauth.randomState();
    const url = oauth.buildAuthorizationUrl(this.#configuration, {
      ...requestParameters(request),
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
   * @throws {ServerRefusal} `client_token_refused` where server or person refused; `client_server_failed`
   * @throws {LatchkeyError} `client_argument_invalid`, `client_unreachable`; `client_answer_invalid` for an answer to
   *   another authorization
   */
  async finishAuthorizationCode(pending: PendingAuthorization, callback: string): Promise<AccessToken> {
    demandObject('pending', pending);
    demandSecret('pending.verifier', pending.verifier);
    demandText('callback', callback);
    if (!URL.canParse(callback)) throw argumentError('callback: not an address');
    const { request } = pending;
    return this.#token(request, () =>
      oauth.authorizationCodeGrant(
        this.#configuration,
        new URL(callback),
        { pkceCodeVerifier: pending.verifier.expose(), expectedState: pending.state },
        followingParameters(request),
        this.#binding(request),
      ),
    );
  }

  /**
   * Begins the device authorization grant (RFC 8628), for a client without a browser.
   * @throws {ServerRefusal} `client_token_refused`, `client_server_failed`
   * @throws {LatchkeyError} `client_argument_invalid`, `client_unreachable`; `client_answer_invalid`, also for a server
   *   that has no such endpoint
   */
  async startDeviceAuthorization(request: TokenRequest): Promise<PendingDeviceAuthorization> {
    demandTokenRequest(request);
    this.#demandEndpoint('device_authorization_endpoint');
    const answer = await withOauthErrors(() =>
      oauth.initiateDeviceAuthorization(this.#configuration, requestParameters(request)),
    );
    return pendingDeviceAuthorization(answer, request, this.#environment);
  }

  /**
   * Waits until the person has decided, and asks no more often than the server allows.
   * @throws {ServerRefusal} `client_token_refused`: `access_denied` where the person refused, `expired_token` where the
   *   code ended before
   * @throws {LatchkeyError} `client_cancelled` by the signal; `client_argument_invalid`, `client_answer_invalid`
   */
  async finishDeviceAuthorization(
    pending: PendingDeviceAuthorization,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<AccessToken> {
    demandObject('pending', pending);
    demandSecret('pending.deviceCode', pending.deviceCode);
    const { request, deviceCode } = pending;
    const parameters = { device_code: deviceCode.expose(), ...followingParameters(request) };
    const ask = () =>
      this.#token(request, () =>
        oauth.genericGrantRequest(this.#configuration, DEVICE_CODE_GRANT, parameters, this.#binding(request)),
      );
    return untilDecided(ask, pending, { environment: this.#environment, signal: options.signal });
  }

  /**
   * The next access token (RFC 6749 §6), bound to the same key. Where the server gives no new refresh token with it, it
   * comes with the old one.
   * @throws {ServerRefusal} `client_token_refused`: `invalid_grant` where the refresh token has ended or was withdrawn;
   *   `client_server_failed`
   * @throws {LatchkeyError} `client_argument_invalid`, `client_unreachable`, `client_answer_invalid`
   */
  async refresh(refreshToken: RefreshToken | undefined): Promise<AccessToken> {
    if (refreshToken === undefined) throw argumentError('refreshToken: missing; the server gave none with this token');
    demandObject('refreshToken', refreshToken);
    const { value, request } = refreshToken;
    demandSecret('refreshToken.value', value);
    demandTokenRequest(request);
    const token = await this.#token(request, () =>
      oauth.refreshTokenGrant(
        this.#configuration,
        value.expose(),
        followingParameters(request),
        this.#binding(request),
      ),
    );
    return { ...token, refreshToken: token.refreshToken ?? refreshToken };
  }

  /**
   * Has the server withdraw an access or refresh token (RFC 7009). A party that asks the server about it learns so at once;
   * a party that only checks its signature not before it expires.
   * @throws {ServerRefusal} `client_token_refused`, `client_server_failed`
   * @throws {LatchkeyError} `client_argument_invalid`, `client_unreachable`, `client_answer_invalid`
   */
  async revoke(token: AccessToken | RefreshToken): Promise<void> {
    demandObject('token', token);
    demandSecret('token.value', token.value);
    this.#demandEndpoint('revocation_endpoint');
    const hint = { token_type_hint: 'scheme' in token ? 'access_token' : 'refresh_token' };
    await withOauthErrors(() => oauth.tokenRevocation(this.#configuration, token.value.expose(), hint));
  }

  async #token(request: TokenRequest, grant: () => Promise<oauth.TokenEndpointResponse>): Promise<AccessToken> {
    this.#demandEndpoint('token_endpoint');
    return accessToken(await withOauthErrors(grant), request, bestGuess(this.#environment.clock.now()));
  }

  #binding({ key }: TokenRequest): oauth.DPoPOptions {
    if (key === undefined) return {};
    const handle = this.#handles.get(key) ?? oauth.getDPoPHandle(this.#configuration, key.pair);
    this.#handles.set(key, handle);
    return { DPoP: handle };
  }

  #demandEndpoint(name: keyof oauth.ServerMetadata & string): void {
    if (this.#configuration.serverMetadata()[name] === undefined)
      throw new LatchkeyError('client_answer_invalid', `the metadata of the server names no ${name}`);
  }
}

function accessToken(answer: oauth.TokenEndpointResponse, request: TokenRequest, now: number): AccessToken {
  const { access_token: value, expires_in: expiresIn, refresh_token: refreshValue } = answer;
  const common = {
    value: new Secret(value),
    expiresIn,
    expiresAt: expiresIn === undefined ? undefined : now + expiresIn,
    scope: answer.scope,
    refreshToken: refreshValue === undefined ? undefined : { value: new Secret(refreshValue), request },
  };
  const { key } = request;
  if (key === undefined) return { scheme: 'Bearer', key: undefined, ...common };
  // RFC 9449 §5: a server that does not know DPoP answers `Bearer`, and every thief could use such a token.
  if (answer.token_type !== 'dpop') {
    throw new LatchkeyError(
      'client_token_refused',
      'the server does not bind it to the key: has it DPoP, for this client?',
    );
  }
  return { scheme: 'DPoP', key, ...common };
}

/**
 * A real OAuth server on loopback, for the demo and the tests: node-oidc-provider with RFC 9068 access tokens (ES256),
 * DPoP (RFC 9449), resource indicators (RFC 8707), client credentials, the authorization code grant with PKCE, the device
 * authorization grant (RFC 8628), refresh tokens, opaque tokens where a resource wants them, and introspection (RFC 7662, RFC 9701) and revocation (RFC 7009) of those.
 * Each browser that arrives at its login page is logged in as `account` at once, so it must never listen anywhere else.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type Provider from 'oidc-provider';
import type { ClientMetadata, Configuration, JWK } from 'oidc-provider';
import { DemoRecords } from './memory-adapter.ts';

/** One resource server as the AS knows it (RFC 8707). The key in `resources` is its resource indicator, a URI. */
interface DemoResource {
  /** Scopes that clients may ask for, for this resource. */
  readonly scopes: readonly string[];
  /** `aud` of its tokens; the resource indicator by default. */
  readonly audience?: string;
  /** Lifetime of its access tokens in seconds; 600 by default. */
  readonly lifetime?: number;
  /** Form of its access tokens: `jwt` by default. Only opaque ones can be introspected and revoked at this server. */
  readonly format?: 'jwt' | 'opaque';
}

interface DemoClient {
  readonly id: string;
  /** Without one: a public client, which must use PKCE. */
  readonly secret?: string;
  /** Where the secret goes: `client_secret_basic` by default. */
  readonly secretMethod?: 'client_secret_basic' | 'client_secret_post';
  /** `authorization_code` for clients with a redirect URI, `client_credentials` for those with a secret. */
  readonly redirectUris?: readonly string[];
  /** Public keys for `private_key_jwt`, in place of a secret. */
  readonly keys?: readonly JWK[];
  /** May be approved by code on another machine (RFC 8628). */
  readonly hasNoBrowser?: boolean;
  /** Gets refresh tokens with the tokens of a person. */
  readonly refreshes?: boolean;
  /** May introspect the tokens of every client. */
  readonly introspects?: boolean;
}

/** What a customizer sees of an access token before it is signed. Change both in place. */
interface DemoTokenParts {
  header: Record<string, unknown> | undefined;
  payload: Record<string, unknown>;
}

export interface DemoAuthorizationServerOptions {
  /** TCP port on 127.0.0.1; 0, the default, takes a free one. */
  readonly port?: number;
  readonly resources: Readonly<Record<string, DemoResource>>;
  readonly clients: readonly DemoClient[];
  /** Whose account logs in; `doctor` by default. */
  readonly account?: string;
  /** Private signing JWKs with `kid`, first one signs; a fresh ES256 key by default. Hand the same in to restart. */
  readonly keys?: readonly JWK[];
  /** Gives a new refresh token with each use, and withdraws all where an old one comes again. */
  readonly rotatesRefreshTokens?: boolean;
  /** Signs introspection answers for clients that take them (RFC 9701). */
  readonly signsIntrospection?: boolean;
  readonly customizeToken?: (parts: DemoTokenParts) => void;
}

export interface DemoAuthorizationServer {
  /** `http://127.0.0.1:<port>` */
  readonly issuer: string;
  readonly port: number;
  /** Private signing keys in use, for a restart with the same ones. Never print them. */
  readonly keys: readonly JWK[];
  /** Requests answered so far for a path such as `/jwks`. */
  requests(path: string): number;
  /** Signs with a fresh key from now on. `keepOld` leaves the old ones in the published set. */
  rotateKeys(options?: { readonly keepOld?: boolean }): Promise<void>;
  close(): Promise<void>;
}

const DEFAULT_LIFETIME = 600;

export async function startAuthorizationServer(
  options: DemoAuthorizationServerOptions,
): Promise<DemoAuthorizationServer> {
  const records = new DemoRecords();
  const counts = new Map<string, number>();
  let keys = options.keys ?? [freshKey()];
  let answer: RequestListener = (_request, response) => {
    response.writeHead(503).end();
  };

  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://127.0.0.1').pathname;
    counts.set(path, (counts.get(path) ?? 0) + 1);
    // Kept connections would die under their clients' hands whenever a demo or a test switches the server off.
    response.shouldKeepAlive = false;
    answer(request, response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  const issuer = `http://127.0.0.1:${port}`;

  const install = async () => {
    answer = await answerWith(issuer, configuration(options, keys, records), options.account ?? 'doctor');
  };
  await install();

  return {
    issuer,
    port,
    get keys() {
      return keys;
    },
    requests: (path) => counts.get(path) ?? 0,
    async rotateKeys({ keepOld = false } = {}) {
      keys = keepOld ? [freshKey(), ...keys] : [freshKey()];
      await install();
    },
    async close() {
      await new Promise<void>((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)));
        server.closeAllConnections();
      });
    },
  };
}

/** Imported on demand: an optional dependency that only demo and tests use. */
function loadProvider(): Promise<typeof import('oidc-provider')> {
  provider ??= quietly(() => import('oidc-provider'));
  return provider;
}

let provider: ReturnType<typeof loadProvider> | undefined;

/**
 * It warns of Node 20, which has all that is used of it here: the tests run it there. A newcomer would take the warning
 * for one of the demo. What else it says is heard.
 */
async function quietly<T>(load: () => Promise<T>): Promise<T> {
  const { warn } = console;
  console.warn = (...words: readonly unknown[]) => {
    if (!String(words[0]).includes('Unsupported runtime')) warn(...words);
  };
  try {
    return await load();
  } finally {
    console.warn = warn;
  }
}

/** A provider over the same records; a key rotation makes a new one, since a provider's keys are fixed. */
async function answerWith(issuer: string, settings: Configuration, account: string): Promise<RequestListener> {
  const { default: OidcProvider } = await loadProvider();
  const server = new OidcProvider(issuer, settings);
  const callback = server.callback();
  return (request, response) => {
    if (request.url?.startsWith('/interaction/') !== true) return void callback(request, response);
    logIn(server, account, request, response).catch((error: unknown) => {
      response.writeHead(400, { 'content-type': 'text/plain' }).end(error instanceof Error ? error.name : 'error');
    });
  };
}

async function logIn(provider: Provider, account: string, request: IncomingMessage, response: ServerResponse) {
  await provider.interactionDetails(request, response);
  // The empty consent answers the question that native clients are always asked; the grant itself exists already.
  await provider.interactionFinished(request, response, { login: { accountId: account }, consent: {} });
}

function configuration(
  options: DemoAuthorizationServerOptions,
  keys: readonly JWK[],
  records: DemoRecords,
): Configuration {
  const scopes = new Set(['openid', 'offline_access']);
  for (const resource of Object.values(options.resources)) for (const scope of resource.scopes) scopes.add(scope);
  const introspecting = new Set(options.clients.filter(({ introspects }) => introspects).map(({ id }) => id));
  return {
    adapter: (model) => records.adapter(model),
    jwks: { keys },
    clients: options.clients.map(clientMetadata),
    clientDefaults: {
      id_token_signed_response_alg: 'ES256',
      ...(options.signsIntrospection === true ? { introspection_signed_response_alg: 'ES256' } : {}),
    },
    scopes: [...scopes],
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    pkce: { required: () => true },
    findAccount: (_context, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
    interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
    clientBasedCORS: () => false,
    // Consent is given beforehand for whatever the client asks: the demo shows tokens, not dialogs.
    async loadExistingGrant(context) {
      const { client, session, provider, params } = context.oidc;
      if (client === undefined || session?.accountId === undefined) return undefined;
      const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
      const asked = typeof params?.scope === 'string' ? params.scope : '';
      grant.addOIDCScope(asked);
      for (const [indicator, resource] of Object.entries(options.resources)) {
        grant.addResourceScope(indicator, resource.scopes.join(' '));
      }
      await grant.save();
      return grant;
    },
    ttl: {
      AccessToken: (_context, token) => token.resourceServer?.accessTokenTTL ?? DEFAULT_LIFETIME,
      ClientCredentials: (_context, token) => token.resourceServer?.accessTokenTTL ?? DEFAULT_LIFETIME,
      AuthorizationCode: 60,
      DeviceCode: 600,
      Grant: 3600,
      IdToken: 600,
      Interaction: 600,
      RefreshToken: 3600,
      Session: 3600,
    },
    issueRefreshToken: async (_context, client) => client.grantTypeAllowed('refresh_token'),
    rotateRefreshToken: options.rotatesRefreshTokens ?? false,
    formats: {
      customizers: {
        jwt(_context, _token, parts) {
          options.customizeToken?.(parts as DemoTokenParts);
        },
      },
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      dPoP: { enabled: true },
      deviceFlow: { enabled: true, userCodeInputSource: page, userCodeConfirmSource: page, successSource: donePage },
      introspection: { enabled: true, allowedPolicy: (_context, client) => introspecting.has(client.clientId) },
      jwtIntrospection: { enabled: options.signsIntrospection ?? false },
      revocation: { enabled: true, allowedPolicy: (_context, client, token) => token.clientId === client.clientId },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        async getResourceServerInfo(_context, indicator) {
          const resource = options.resources[indicator];
          if (resource === undefined) throw await invalidTarget();
          return {
            scope: resource.scopes.join(' '),
            audience: resource.audience ?? indicator,
            accessTokenTTL: resource.lifetime ?? DEFAULT_LIFETIME,
            accessTokenFormat: resource.format ?? 'jwt',
            ...(resource.format === 'opaque' ? {} : { jwt: { sign: { alg: 'ES256' } } }),
          };
        },
      },
    },
  };
}

/** Only its form: the pages of oidc-provider are made to be replaced. */
function page(context: { body?: unknown }, form: string): void {
  context.body = form;
}

function donePage(context: { body?: unknown }): void {
  context.body = 'done';
}

async function invalidTarget(): Promise<Error> {
  const { errors } = await loadProvider();
  return new errors.InvalidTarget();
}

function clientMetadata(client: DemoClient): ClientMetadata {
  const redirects = client.redirectUris ?? [];
  const grants = [
    ...(redirects.length > 0 ? ['authorization_code'] : []),
    ...(client.secret === undefined && client.keys === undefined ? [] : ['client_credentials']),
    ...(client.hasNoBrowser === true ? ['urn:ietf:params:oauth:grant-type:device_code'] : []),
    ...(client.refreshes === true ? ['refresh_token'] : []),
  ];
  return {
    client_id: client.id,
    ...credentialsOf(client),
    application_type: 'native',
    grant_types: grants,
    response_types: redirects.length > 0 ? ['code'] : [],
    redirect_uris: [...redirects],
  };
}

function credentialsOf({ secret, secretMethod = 'client_secret_basic', keys }: DemoClient): Partial<ClientMetadata> {
  if (keys !== undefined) return { token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [...keys] } };
  if (secret === undefined) return { token_endpoint_auth_method: 'none' };
  return { token_endpoint_auth_method: secretMethod, client_secret: secret };
}

function freshKey(): JWK {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const kid = randomBytes(6).toString('base64url');
  return { ...privateKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' } as JWK;
}

/** An authorization server that answers from a script. No sockets. */
import { AuthorizationServer, type AuthorizationServerOptions } from '../../src/client/authorization-server.ts';
import { Secret } from '../../src/core/secret.ts';
import { json, type Script, scriptedHub } from './scripted-hub.ts';

export const ISSUER = 'https://as.example';
export const METADATA = {
  issuer: ISSUER,
  token_endpoint: `${ISSUER}/token`,
  revocation_endpoint: `${ISSUER}/revoke`,
  device_authorization_endpoint: `${ISSUER}/device`,
} as const;

/** Discovered already: `script` begins with the first request after that, and so does `asked()`. */
export async function scriptedServer(script: Script, options: Partial<AuthorizationServerOptions> = {}) {
  const { asked, time, environment } = scriptedHub(() => json(200, METADATA), ...script);
  const server = await AuthorizationServer.discover({
    issuer: ISSUER,
    clientId: 'ekg-17',
    authentication: { method: 'client_secret_post', secret: new Secret('secret-of-canary') },
    environment,
    ...options,
  });
  return {
    server,
    time,
    /** Parameters of each request so far. */
    asked: () => asked.slice(1).map(({ body }) => new URLSearchParams(Buffer.from(body).toString())),
    headers: () => asked.slice(1).map(({ headers }) => headers),
  };
}

export const TOKEN = { access_token: 'at-1', token_type: 'Bearer', expires_in: 600 } as const;

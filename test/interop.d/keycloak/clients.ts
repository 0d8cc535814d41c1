/** How clients of the realm come by tokens, all of them bound to a DPoP key. */
import { AuthorizationServer, DpopKey, type DpopToken, Secret } from '../../../src/client/index.ts';
import { logIn } from './login.ts';
import type { Realm } from './realm.ts';

/** Keycloak has no resource indicators: client scopes bring the audience. */
export const FOR_TUBE = 'read tube-1';
/** The hub asks the realm about tokens for the EKG machine, and so is in their audience too. */
export const FOR_EKG = 'read ekg-1 asked-by-hub';

const CALLBACK = 'http://127.0.0.1/callback';

export class Clients {
  readonly #issuer: string;
  readonly #realm: Realm;

  constructor(issuer: string, realm: Realm) {
    this.#issuer = issuer;
    this.#realm = realm;
  }

  /** A confidential client's own token. */
  async machine(scope: string, clientId = 'ekg-machine'): Promise<DpopToken> {
    const server = await this.#confidential(clientId);
    return (await server.clientCredentials({ scope, key: await DpopKey.generate() })) as DpopToken;
  }

  /** Has the realm withdraw a token, as its client. */
  async revoke(token: DpopToken, clientId = 'ekg-machine'): Promise<void> {
    await (await this.#confidential(clientId)).revoke(token);
  }

  /** The doctor's token, by a public client: authorization code with PKCE. */
  async doctor(scope: string): Promise<DpopToken> {
    const server = await AuthorizationServer.discover({
      issuer: this.#issuer,
      clientId: 'doctors-app',
      authentication: { method: 'none' },
    });
    const request = { scope, key: await DpopKey.generate(), redirectUri: CALLBACK };
    const pending = await server.startAuthorizationCode(request);
    const callback = await logIn(pending.url, this.#realm.person('doctor'));
    return (await server.finishAuthorizationCode(pending, callback)) as DpopToken;
  }

  #confidential(clientId: string): Promise<AuthorizationServer> {
    return AuthorizationServer.discover({
      issuer: this.#issuer,
      clientId,
      authentication: { method: 'client_secret_basic', secret: new Secret(this.#realm.secretOf(clientId)) },
    });
  }
}

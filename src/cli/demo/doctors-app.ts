import type { AccessToken } from '../../client/access-token.ts';
import { AuthorizationServer } from '../../client/authorization-server.ts';
import { ConnectedDevice } from '../../client/connected-device.ts';
import { DpopKey } from '../../client/dpop-key.ts';
import { systemEnvironment } from '../../client/environment.ts';
import { followRedirects } from './browser.ts';
import { EKG_AUDIENCE } from './ekg-machine.ts';
import type { RecordedRequest } from './recorded-request.ts';

export const APP_CLIENT = { id: 'doctors-app', redirectUris: ['http://127.0.0.1/callback'] } as const;
const [REDIRECT_URI] = APP_CLIENT.redirectUris;
const CALLBACK = '/callback';

/** The app of the doctor: a public client, as apps are, with a key of its own. */
export class DoctorsApp {
  readonly key: DpopKey;
  /** The last time that it showed its token, as an attacker recorded it on the way. */
  recorded: RecordedRequest | undefined;
  readonly #server: AuthorizationServer;

  private constructor(server: AuthorizationServer, key: DpopKey) {
    this.#server = server;
    this.key = key;
  }

  static async open(issuer: string): Promise<DoctorsApp> {
    const authentication = { method: 'none' } as const;
    const server = await AuthorizationServer.discover({ issuer, clientId: APP_CLIENT.id, authentication });
    return new DoctorsApp(server, await DpopKey.generate());
  }

  /** Authorization code with PKCE: the doctor logs in at the OAuth server, and never gives the app a password. */
  async logIn(): Promise<AccessToken> {
    const pending = await this.#server.startAuthorizationCode({
      scope: 'read',
      resource: EKG_AUDIENCE,
      key: this.key,
      redirectUri: REDIRECT_URI,
    });
    return this.#server.finishAuthorizationCode(pending, await followRedirects(pending.url, CALLBACK));
  }

  revoke(token: AccessToken): Promise<void> {
    return this.#server.revoke(token);
  }

  /** The EKG machine as the app sees it. */
  device(url: string): ConnectedDevice {
    const record: typeof fetch = (input, init) => {
      this.recorded = { url: String(input), headers: Object.fromEntries(new Headers(init?.headers).entries()) };
      return fetch(input, init);
    };
    return new ConnectedDevice({ url, audience: EKG_AUDIENCE, environment: { ...systemEnvironment, fetch: record } });
  }
}

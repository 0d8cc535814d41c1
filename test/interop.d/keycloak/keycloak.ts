/** A real Keycloak on a free loopback port, with its database in memory, and its admin API. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** Its first start builds the server anew: 40 s on two cores, and more where others use them too. */
const START_DEADLINE = 240_000;
const STOP_DEADLINE = 10_000;
const ADMIN = 'interop-admin';

type Json = Readonly<Record<string, unknown>>;

export class Keycloak {
  /** Origin, such as `http://127.0.0.1:40123`. */
  readonly address: string;
  readonly #child: ChildProcess;
  readonly #password: string;
  readonly #leave: () => void;

  private constructor(parts: { address: string; child: ChildProcess; password: string; leave: () => void }) {
    this.address = parts.address;
    this.#child = parts.child;
    this.#password = parts.password;
    this.#leave = parts.leave;
  }

  /** @param home folder of the unpacked distribution */
  static async start(home: string): Promise<Keycloak> {
    const password = randomBytes(16).toString('base64url');
    const child = spawn(
      'sh',
      [join(home, 'bin/kc.sh'), 'start-dev', '--db=dev-mem', '--http-host=127.0.0.1', '--http-port=0'],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        // A group of its own: the script has Java as its child, and both have to go in the end.
        detached: true,
        env: {
          ...process.env,
          JAVA_OPTS_KC_HEAP: '-Xms64m -Xmx512m',
          // It runs for a minute: the second compiler costs more than it brings.
          JAVA_OPTS_APPEND: '-XX:TieredStopAtLevel=1',
          KC_BOOTSTRAP_ADMIN_USERNAME: ADMIN,
          KC_BOOTSTRAP_ADMIN_PASSWORD: password,
        },
      },
    );
    const leave = () => killGroup(child, 'SIGKILL');
    process.once('exit', leave);
    return new Keycloak({ address: await addressOf(child), child, password, leave });
  }

  issuer(realm: string): string {
    return `${this.address}/realms/${realm}`;
  }

  async importRealm(representation: Json): Promise<void> {
    await this.#admin('POST', '/admin/realms', representation);
  }

  /** A signing key that is preferred to all others so far. */
  async addSigningKey(realm: string, name: string): Promise<void> {
    await this.#admin('POST', `/admin/realms/${realm}/components`, {
      name,
      providerId: 'ecdsa-generated',
      providerType: 'org.keycloak.keys.KeyProvider',
      config: { ecdsaEllipticCurveKey: ['P-256'], priority: ['200'], enabled: ['true'], active: ['true'] },
    });
  }

  /** Withdraws the key of this name: it signs nothing more, and is not published any more. */
  async disableKey(realm: string, name: string): Promise<void> {
    const query = new URLSearchParams({ type: 'org.keycloak.keys.KeyProvider', name });
    const [component] = (await this.#admin('GET', `/admin/realms/${realm}/components?${query}`)) as Json[];
    if (component === undefined) throw new Error(`no key ${name}`);
    const config = { ...(component.config as Json), enabled: ['false'], active: ['false'] };
    await this.#admin('PUT', `/admin/realms/${realm}/components/${String(component.id)}`, { ...component, config });
  }

  /** Ends all sessions of a user. */
  async logOut(realm: string, username: string): Promise<void> {
    const query = new URLSearchParams({ username, exact: 'true' });
    const [user] = (await this.#admin('GET', `/admin/realms/${realm}/users?${query}`)) as Json[];
    if (user === undefined) throw new Error(`no user ${username}`);
    await this.#admin('POST', `/admin/realms/${realm}/users/${String(user.id)}/logout`);
  }

  /** Ends it, the hard way if it takes too long. */
  async close(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = once(this.#child, 'exit');
      killGroup(this.#child, 'SIGTERM');
      const late = setTimeout(this.#leave, STOP_DEADLINE);
      await exited;
      clearTimeout(late);
    }
    process.removeListener('exit', this.#leave);
  }

  async #admin(method: string, path: string, body?: Json): Promise<unknown> {
    const answer = await fetch(this.address + path, {
      method,
      headers: { authorization: `Bearer ${await this.#token()}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  }

  /** A new one each time: they live for a minute. */
  async #token(): Promise<string> {
    const answer = await fetch(`${this.issuer('master')}/protocol/openid-connect/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'password',
        client_id: 'admin-cli',
        username: ADMIN,
        password: this.#password,
      }),
    });
    const { access_token: token } = (await answer.json()) as { readonly access_token?: string };
    if (token === undefined) throw new Error(`the admin was not let in: ${answer.status}`);
    return token;
  }
}

/** Where it listens, once it says so. */
function addressOf(child: ChildProcess): Promise<string> {
  const said: string[] = [];
  return new Promise<string>((resolve, reject) => {
    const late = setTimeout(() => give('does not start'), START_DEADLINE);
    const give = (why: string) => {
      clearTimeout(late);
      reject(new Error(`Keycloak ${why}:\n${said.slice(-20).join('\n')}`));
    };
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (line) => {
        said.push(line);
        const found = /Listening on: (http:\/\/127\.0\.0\.1:\d+)/.exec(line)?.[1];
        if (found === undefined) return;
        clearTimeout(late);
        resolve(found);
      });
    }
    child.once('error', (error) => give(error.message));
    child.once('exit', () => give('ended'));
  });
}

function killGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // It went by itself.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

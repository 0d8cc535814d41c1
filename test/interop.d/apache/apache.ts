/** A real Apache on a loopback port, with mod_oauth2, its files in a folder of its own. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { freePorts, ServerProcess } from '../server-process.ts';

const MODULES = ['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'dir', 'mime', 'oauth2'];
/** What each page says. */
export const READING = '36.6';

export interface ApacheOptions {
  /** Of the hub, where tokens are asked about. */
  readonly endpoint: string;
  readonly client: { readonly id: string; readonly secret: string };
  readonly authentication: 'client_secret_basic' | 'client_secret_post';
  /** Seconds for which mod_oauth2 keeps the answer that a token is active; as it comes, five minutes. */
  readonly expiry?: number;
}

export class Apache {
  readonly #address: string;
  readonly #folder: string;
  readonly #process: ServerProcess;

  private constructor(parts: { address: string; folder: string; process: ServerProcess }) {
    this.#address = parts.address;
    this.#folder = parts.folder;
    this.#process = parts.process;
  }

  static async start(options: ApacheOptions): Promise<Apache> {
    const [port = 0] = await freePorts(1);
    const folder = mkdtempSync(join(tmpdir(), 'latchkey-apache-'));
    // As root it serves as www-data, which has to reach the pages.
    chmodSync(folder, 0o755);
    for (const page of ['open', 'readings', 'settings']) writeFileSync(join(folder, page), READING);
    const config = join(folder, 'apache.conf');
    writeFileSync(config, configuration(options, port, folder), { mode: 0o600 });
    const address = `http://127.0.0.1:${port}`;
    try {
      const process = await ServerProcess.start({
        command: '/usr/sbin/apache2',
        args: ['-f', config, '-D', 'FOREGROUND'],
        readyAt: `${address}/open`,
      });
      return new Apache({ address, folder, process });
    } catch (error) {
      rmSync(folder, { recursive: true });
      throw error;
    }
  }

  /** GET with the token: `readings` needs the scope `read`, `settings` the scope `configure`. */
  async get(
    page: 'readings' | 'settings',
    token?: string,
  ): Promise<{ status: number; body: string; challenge: string }> {
    const answer = await fetch(`${this.#address}/${page}`, {
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    });
    const challenge = answer.headers.get('www-authenticate') ?? '';
    return { status: answer.status, body: await answer.text(), challenge };
  }

  async close(): Promise<void> {
    await this.#process.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function configuration(
  { endpoint, client, authentication, expiry }: ApacheOptions,
  port: number,
  folder: string,
): string {
  const settings = new URLSearchParams({
    'introspect.auth': authentication,
    client_id: client.id,
    client_secret: client.secret,
    ...(expiry === undefined ? {} : { expiry: String(expiry) }),
  });
  const account = userInfo().uid === 0 ? 'User www-data\nGroup www-data\n' : '';
  return `
ServerName 127.0.0.1
Listen 127.0.0.1:${port}
ServerRoot ${folder}
DefaultRuntimeDir ${folder}
PidFile ${folder}/apache.pid
# Node gives its children sockets, and Apache opens no socket as a file.
ErrorLog ${folder}/error.log
TypesConfig /etc/mime.types
DocumentRoot ${folder}
${account}${MODULES.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`).join('\n')}
<Location />
  Require all denied
</Location>
<Location /open>
  Require all granted
</Location>
${protectedPage('/readings', 'read', `${endpoint} ${settings}`)}
${protectedPage('/settings', 'configure', `${endpoint} ${settings}`)}
`;
}

const protectedPage = (page: string, scope: string, introspect: string) => `
<Location ${page}>
  AuthType oauth2
  # It takes the user from \`sub\` unless told otherwise, and refuses a good token without it. A machine's token may have none.
  OAuth2TargetPass remote_user_claim=client_id
  OAuth2TokenVerify introspect ${introspect}
  Require oauth2_claim scope:${scope}
</Location>`;

/** A real Glewlwyd on a loopback port, with a database of its own, and its admin API. */
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { freePorts, ServerProcess } from '../server-process.ts';

const SCHEMA = '/usr/share/doc/glewlwyd/database/init.sqlite3.sql.gz';
/** Both are written by the schema. */
const ADMIN = { username: 'admin', password: 'password' };
const PLUGIN = 'oidc';

export class Glewlwyd {
  /** Origin. */
  readonly #address: string;
  readonly #folder: string;
  readonly #process: ServerProcess;
  #session = '';

  private constructor(parts: { address: string; folder: string; process: ServerProcess }) {
    this.#address = parts.address;
    this.#folder = parts.folder;
    this.#process = parts.process;
  }

  static async start(): Promise<Glewlwyd> {
    const [port = 0] = await freePorts(1);
    const folder = mkdtempSync(join(tmpdir(), 'latchkey-glewlwyd-'));
    const address = `http://127.0.0.1:${port}`;
    try {
      const database = join(folder, 'glewlwyd.db');
      execFileSync('/usr/bin/sqlite3', [database], { input: gunzipSync(readFileSync(SCHEMA)) });
      const config = join(folder, 'glewlwyd.conf');
      writeFileSync(config, configuration(port, database));
      const process = await ServerProcess.start({
        command: '/usr/bin/glewlwyd',
        args: [`--config-file=${config}`],
        readyAt: `${address}/config`,
      });
      return new Glewlwyd({ address, folder, process });
    } catch (error) {
      rmSync(folder, { recursive: true });
      throw error;
    }
  }

  get issuer(): string {
    return `${this.#address}/api/${PLUGIN}`;
  }

  /** What it logged last about a proof that it refused. */
  get proofRefusal(): string {
    return (
      /oidc_verify_dpop_proof - .*$/m.exec(
        this.#process.said.slice(this.#process.said.lastIndexOf('oidc_verify')),
      )?.[0] ?? 'unknown'
    );
  }

  /** As docs/servers.md says: resource indicators by scope, and DPoP. */
  async setUp(scope: string, resources: readonly string[]): Promise<void> {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    const signIn = await this.#post('/auth/', ADMIN);
    this.#session = signIn.headers
      .getSetCookie()
      .map((cookie) => cookie.split(';')[0])
      .join('; ');
    await this.#post('/mod/plugin/', {
      module: 'oidc',
      name: PLUGIN,
      display_name: PLUGIN,
      parameters: {
        iss: this.issuer,
        'jwt-type': 'rsa',
        'jwt-key-size': '256',
        key: privateKey,
        cert: publicKey,
        'access-token-duration': 300,
        'refresh-token-duration': 1_200,
        'code-duration': 60,
        'refresh-token-rolling': true,
        'allow-non-oidc': true,
        'auth-type-code-enabled': true,
        'auth-type-token-enabled': false,
        'auth-type-id-token-enabled': true,
        'auth-type-client-enabled': true,
        'auth-type-refresh-enabled': true,
        'oauth-dpop-allowed': true,
        'oauth-dpop-iat-duration': 60,
        // 0 by default. Then a proof of the second that has just begun may be one of the future, and `invalid_dpop_proof`:
        // time() of the C library, which Glewlwyd asks, lags by up to a tick of the kernel.
        'oauth-dpop-iat-gap-duration': 5,
        'resource-allowed': true,
        'resource-scope': { [scope]: resources },
        'resource-client-property': 'resource',
        'resource-scope-and-client-property': false,
        'resource-change-allowed': false,
        'introspection-revocation-allowed': true,
        'introspection-revocation-allow-target-client': true,
      },
    });
    await this.#post('/scope/', { name: scope, display_name: scope, password_required: false });
  }

  /** A client for the grant of client credentials. */
  async addClient(id: string, secret: string, scope: string): Promise<void> {
    await this.#post('/client/', {
      client_id: id,
      client_name: id,
      client_secret: secret,
      confidential: true,
      enabled: true,
      authorization_type: ['client_credentials'],
      // Without this member it refuses every client that authenticates by its secret.
      token_endpoint_auth_method: ['client_secret_basic', 'client_secret_post'],
      scope: [scope],
    });
  }

  async close(): Promise<void> {
    await this.#process.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #post(path: string, body: Readonly<Record<string, unknown>>): Promise<Response> {
    const answer = await fetch(`${this.#address}/api${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', cookie: this.#session },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`POST ${path}: ${answer.status} ${await answer.text()}`);
    return answer;
  }
}

function configuration(port: number, database: string): string {
  return `
port=${port}
bind_address="127.0.0.1"
external_url="http://127.0.0.1:${port}"
login_url="login.html"
api_prefix="api"
log_mode="console"
log_level="DEBUG"
cookie_domain="127.0.0.1"
cookie_secure=0
session_key="GLEWLWYD2_SESSION_ID"
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="/usr/lib/glewlwyd/user"
client_module_path="/usr/lib/glewlwyd/client"
user_auth_scheme_module_path="/usr/lib/glewlwyd/scheme"
plugin_module_path="/usr/lib/glewlwyd/plugin"
hash_algorithm="SHA512"
database = { type = "sqlite3"; path = "${database}"; };
`;
}

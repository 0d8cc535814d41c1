/**
 * An authorization server in a process of its own that knows every token: a token says for which device it is and which key it
 * is bound to, and is answered about accordingly. So there may be as many as a bench likes, and none has to be kept.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { systemRandom } from '../drivers/system-time.ts';
import { base64url } from '../src/core/bytes.ts';

export const HUB_CLIENT = { id: 'hub', secret: 'a-secret-of-the-bench' } as const;

/** Answers `<device>~<jkt>~<anything>`; prints its port. Its key set is empty: it signs nothing. */
const SERVER = `
import { createServer } from 'node:http';
const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' };
const server = createServer((request, response) => {
  let body = '';
  request.setEncoding('latin1');
  request.on('data', (chunk) => { body += chunk; });
  request.once('end', () => {
    const [, device, jkt, name] = /(?:^|&)token=([^~&]+)(?:~|%7E)([^~&%]+)(?:~|%7E)([^~&%]+)/.exec(body) ?? [];
    const now = Math.floor(Date.now() / 1000);
    const answer = device === undefined ? { keys: [] } : {
      active: true,
      iss: 'http://127.0.0.1:' + server.address().port,
      sub: 'doctor-' + name,
      aud: 'https://' + device + '.devices.example',
      client_id: 'doctor-app',
      scope: 'read configure',
      token_type: 'DPoP',
      iat: now - 10,
      exp: now + 3600,
      cnf: { jkt },
    };
    response.writeHead(200, headers).end(JSON.stringify(answer));
  });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
`;

export function audienceOf(device: string): string {
  return `https://${device}.devices.example`;
}

/** A token that nobody has seen yet, and the subject that the server tells of it. */
export function issueToken(device: string, jkt: string): { readonly token: string; readonly subject: string } {
  const name = base64url(systemRandom.bytes(16));
  return { token: `${device}~${jkt}~${name}`, subject: `doctor-${name}` };
}

export class ScriptedIssuer {
  readonly issuer: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: string) {
    this.#child = child;
    this.issuer = `http://127.0.0.1:${port}`;
  }

  static async start(): Promise<ScriptedIssuer> {
    const child = spawn(process.execPath, ['--input-type=module', '-e', SERVER], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [port] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    return new ScriptedIssuer(child, port);
  }

  /** Settings of the hub; `secretFile` holds HUB_CLIENT.secret. */
  settings(secretFile: string): string {
    return `
[[issuers]]
issuer = "${this.issuer}"
jwks_url = "${this.issuer}/jwks"
introspection_url = "${this.issuer}/introspect"
introspection_cache = "1h"
client_id = "${HUB_CLIENT.id}"
client_secret_file = ${JSON.stringify(secretFile)}
`;
  }

  async close(): Promise<void> {
    const exit = once(this.#child, 'exit');
    this.#child.kill();
    await exit;
  }
}

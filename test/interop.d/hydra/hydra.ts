/** A real Ory Hydra on loopback ports, with its database in memory, and its admin API. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts, ServerProcess } from '../server-process.ts';

export interface HydraClient {
  readonly id: string;
  readonly secret: string;
  readonly strategy: 'jwt' | 'opaque';
}

export class Hydra {
  readonly issuer: string;
  readonly #admin: string;
  readonly #folder: string;
  readonly #process: ServerProcess;

  private constructor(parts: { issuer: string; admin: string; folder: string; process: ServerProcess }) {
    this.issuer = parts.issuer;
    this.#admin = parts.admin;
    this.#folder = parts.folder;
    this.#process = parts.process;
  }

  static async start(program: string): Promise<Hydra> {
    const [publicPort, adminPort] = await freePorts(2);
    const issuer = `http://127.0.0.1:${publicPort}`;
    const folder = mkdtempSync(join(tmpdir(), 'latchkey-hydra-'));
    const config = join(folder, 'hydra.json');
    writeFileSync(
      config,
      JSON.stringify({
        dsn: 'memory',
        serve: {
          public: { host: '127.0.0.1', port: publicPort },
          admin: { host: '127.0.0.1', port: adminPort },
        },
        urls: { self: { issuer } },
        secrets: { system: [randomBytes(24).toString('base64url')] },
        // It would report its use to its makers.
        sqa: { opt_out: true },
      }),
    );
    try {
      const process = await ServerProcess.start({
        command: program,
        args: ['serve', 'all', '--dev', '--config', config],
        readyAt: `${issuer}/health/ready`,
      });
      return new Hydra({ issuer, admin: `http://127.0.0.1:${adminPort}`, folder, process });
    } catch (error) {
      rmSync(folder, { recursive: true });
      throw error;
    }
  }

  get introspection(): string {
    return `${this.#admin}/admin/oauth2/introspect`;
  }

  async addClient({ id, secret, strategy }: HydraClient, audiences: readonly string[]): Promise<void> {
    const answer = await fetch(`${this.#admin}/admin/clients`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        client_id: id,
        client_secret: secret,
        grant_types: ['client_credentials'],
        scope: 'read',
        audience: audiences,
        access_token_strategy: strategy,
      }),
    });
    if (!answer.ok) throw new Error(`${id}: ${answer.status} ${await answer.text()}`);
  }

  async close(): Promise<void> {
    await this.#process.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

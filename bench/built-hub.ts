/** The built hub as an operator runs it: a process of its own, with its state and its log in a folder that goes with it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { adminRequest } from '../src/cli/admin-client.ts';
import { type Credentials, readCredentialsFile } from '../src/codec/credentials-file.ts';
import type { JsonObject } from '../src/core/json.ts';
import { audienceOf, HUB_CLIENT } from './scripted-issuer.ts';

/** Beside this file once both are built. */
const PROGRAM = fileURLToPath(new URL('../bin/latchkey.js', import.meta.url));
const KIBIBYTES_PER_MEGABYTE = 1_000_000 / 1_024;
/** Devices that are registered at once: fewer than connections that the admin socket takes. */
const REGISTERED_AT_ONCE = 16;

export interface BuiltHubOptions {
  /** TOML beside the folder's own state and port; the client secret of the issuer lies in the file `secret`. */
  readonly settings: string;
  /** Passwords and the like, by file name. */
  readonly files?: Readonly<Record<string, string>>;
  /** For node, not for the hub. */
  readonly nodeOptions?: readonly string[];
}

export class BuiltHub {
  readonly #folder: string;
  readonly #child: ChildProcess;
  /** Origin of its HTTP API. */
  readonly address: string;

  private constructor(folder: string, child: ChildProcess, address: string) {
    this.#folder = folder;
    this.#child = child;
    this.address = address;
  }

  static async start({ files = {}, nodeOptions = [], settings }: BuiltHubOptions): Promise<BuiltHub> {
    const folder = mkdtempSync(join(tmpdir(), 'latchkey-bench-'));
    const config = join(folder, 'latchkey.toml');
    const own = `state_dir = ${JSON.stringify(join(folder, 'state'))}\n[http]\nlisten = "127.0.0.1:0"\n[clock]\ntrust = "system"\n`;
    writeFileSync(config, own + settings);
    for (const [name, text] of Object.entries({ secret: HUB_CLIENT.secret, ...files }))
      writeFileSync(join(folder, name), text, { mode: 0o600 });
    const log = openSync(join(folder, 'log'), 'a');
    const child = spawn(process.execPath, [...nodeOptions, PROGRAM, 'run', '--config', config], {
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    return new BuiltHub(folder, child, await readyAt(folder, child));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get log(): string {
    return readFileSync(join(this.#folder, 'log'), 'utf8');
  }

  /** Resident megabytes at present. */
  residentMegabytes(): number {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / KIBIBYTES_PER_MEGABYTE;
  }

  /** Seconds of processor time that its threads have used so far. */
  processorSeconds(): number {
    // Behind the name, which may hold blanks: utime and stime are the 12th and 13th field there, in ticks of 10 ms.
    const fields = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }

  /** Registers devices over the admin socket, and asks for what they show to the hub. */
  async register(ids: readonly string[]): Promise<readonly Credentials[]> {
    const credentials: Credentials[] = [];
    let next = 0;
    const worker = async () => {
      for (let index = next++; index < ids.length; index = next++) {
        credentials[index] = await this.#registerOne(ids[index] as string);
      }
    };
    await Promise.all(Array.from({ length: REGISTERED_AT_ONCE }, worker));
    return credentials;
  }

  async #registerOne(id: string): Promise<Credentials> {
    const sockets = [join(this.#folder, 'state', 'admin.sock')];
    const body = { id, audience: audienceOf(id), profile: {} };
    await adminRequest({ sockets, method: 'POST', path: '/devices', body });
    const answer = await adminRequest({ sockets, method: 'GET', path: `/devices/${id}/credentials` });
    return readCredentialsFile(String((answer as JsonObject).credentials));
  }

  async close(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exit = once(this.#child, 'exit');
      this.#child.kill('SIGTERM');
      await exit;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function readyAt(folder: string, child: ChildProcess): Promise<string> {
  for (;;) {
    const log = readFileSync(join(folder, 'log'), 'utf8');
    const ready = log.split('\n').find((line) => line.includes('"event":"ready"'));
    if (ready !== undefined) return String((JSON.parse(ready) as JsonObject).address);
    if (child.exitCode !== null) throw new Error(`the hub ended before it was ready:\n${log}`);
    await sleep(20);
  }
}

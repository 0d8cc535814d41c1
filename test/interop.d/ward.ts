/** The built hub as a client of a real authorization server, with a tube on a line and a connected EKG machine. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeDpopProof } from '../../src/client/dpop-proof.ts';
import {
  type AccessToken,
  type Delivery,
  type DpopToken,
  HubClient,
  Secret,
  systemEnvironment,
} from '../../src/client/index.ts';
import { type Credentials, readCredentialsFile } from '../../src/codec/credentials-file.ts';
import { writeIntrospectionForm } from '../../src/codec/introspection-message.ts';
import { readTrustFile } from '../../src/codec/trust-file.ts';
import type { IntrospectionQuestion } from '../../src/core/introspection.ts';
import { type RunningSimulator, startSimulator } from '../../src/simulator.ts';
import { HubFolder, type HubProcess } from '../fixtures/hub-process.ts';
import { LineRelay } from '../fixtures/line-relay.ts';

export interface WardOptions {
  /** TOML of the issuers. */
  readonly issuers: string;
  /** A file that the settings above name, and its content. */
  readonly credential?: { readonly file: string; readonly content: string };
  readonly audiences: Audiences;
  /** More of `devices add` for the EKG machine. */
  readonly ekgOptions?: readonly string[];
}

export interface Audiences {
  /** Of the tube, which is reached by a line alone. */
  readonly tube: string;
  /** Of the EKG machine, which asks the hub about tokens; an address. */
  readonly ekg: string;
}

/** An answer of `POST /introspect`. */
export interface Answer {
  readonly active: boolean;
  readonly members: Readonly<Record<string, unknown>>;
  readonly latchkey: {
    readonly code?: string;
    readonly proof?: string;
    readonly freshness?: { readonly source: string; readonly age: number; readonly stale: boolean };
    readonly session_key?: { readonly device: string; readonly client: string };
  };
}

export class Ward {
  readonly #folder: HubFolder;
  readonly #line: LineRelay;
  readonly #trust: string;
  readonly #ekg: Credentials;
  readonly #hub: HubProcess;
  readonly #audiences: Audiences;
  #tube: RunningSimulator | undefined;
  #closed: Promise<void> | undefined;

  private constructor(parts: {
    folder: HubFolder;
    line: LineRelay;
    trust: string;
    ekg: Credentials;
    hub: HubProcess;
    audiences: Audiences;
  }) {
    this.#folder = parts.folder;
    this.#line = parts.line;
    this.#trust = parts.trust;
    this.#ekg = parts.ekg;
    this.#hub = parts.hub;
    this.#audiences = parts.audiences;
  }

  /** The tube is registered and away: `plugIn` brings it. */
  static async open({ issuers, credential, audiences, ekgOptions = [] }: WardOptions): Promise<Ward> {
    const folder = new HubFolder();
    const line = await LineRelay.open();
    if (credential !== undefined)
      writeFileSync(join(folder.path, credential.file), credential.content, { mode: 0o600 });
    folder.configure(`
[delivery]
wait = "500ms"
${issuers}
[[lines]]
name = "ward-3"
path = "${line.path}"
ack_timeout = "200ms"
`);
    const trust = await written(folder, 'trust.json', (file) => [
      ...['devices', 'add', 'tube-1', '--audience', audiences.tube, '--line', 'ward-3', '--trust', file],
      ...['--allow', 'read=FETCH temperature'],
    ]);
    await run(folder, ['devices', 'add', 'ekg-1', '--audience', audiences.ekg, ...ekgOptions]);
    const ekg = await written(folder, 'ekg.json', (file) => ['devices', 'credentials', 'ekg-1', '--out', file]);
    const credentials = readCredentialsFile(ekg);
    return new Ward({ folder, line, trust, ekg: credentials, hub: await folder.start(), audiences });
  }

  /** Where the hub listens. */
  get address(): string {
    return this.#hub.address;
  }

  /** What the EKG machine authenticates with at the hub. */
  get credentials(): Credentials {
    return this.#ekg;
  }

  async plugIn(): Promise<void> {
    this.#tube ??= await startSimulator({ listen: 'tcp://127.0.0.1:0', trust: readTrustFile(this.#trust) });
    this.#line.plug(this.#tube.address);
  }

  /** Has the hub take the token for the tube, and does not wait for the tube. */
  send(token: AccessToken): Promise<Delivery> {
    return this.#client().deliver({ device: 'tube-1', audience: this.#audiences.tube, token, wait: 0 });
  }

  /** Delivers, and has the tube answer a request of the token's holder; answers with the size of what it said. */
  async use(token: DpopToken): Promise<number> {
    const client = this.#client();
    const delivery = await client.deliver({ device: 'tube-1', audience: this.#audiences.tube, token, wait: 20_000 });
    if (delivery.state !== 'delivered') throw new Error(`it is ${delivery.state}`);
    const answer = await client.session(delivery, token).request({ method: 'FETCH', path: ['temperature'] });
    return answer.payload.length;
  }

  /** The EKG machine was shown the token, with a proof by `by`, and asks the hub. */
  async ask(token: DpopToken, { by = token.key, wantsSessionKey = false } = {}): Promise<Answer> {
    // What clients of the EKG machine ask for.
    const readings = new URL(`${this.#audiences.ekg}/readings`);
    const shown = { token: { ...token, key: by }, method: 'POST', url: readings, nonce: 'of-the-device' };
    const proof = new Secret(await makeDpopProof({ ...shown, environment: systemEnvironment }));
    return this.#introspect({
      token: token.value,
      proof: { kind: 'dpop', proof, method: shown.method, uri: readings.href, nonce: shown.nonce },
      wantsSessionKey,
      clientFormat: 'jose',
    });
  }

  /** As a resource server does that knows RFC 7662 and nothing more. */
  askPlainly(token: AccessToken): Promise<Answer> {
    return this.#introspect({
      token: token.value,
      proof: undefined,
      wantsSessionKey: false,
      clientFormat: 'jose',
    });
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.#folder.remove();
    await this.#tube?.close();
    await this.#line.close();
  }

  #client(): HubClient {
    return new HubClient({ url: this.#hub.address });
  }

  async #introspect(question: IntrospectionQuestion): Promise<Answer> {
    const { device, httpSecret } = this.#ekg;
    const answer = await fetch(`${this.#hub.address}/introspect`, {
      method: 'POST',
      headers: {
        authorization: `Basic ${Buffer.from(`${device}:${httpSecret.expose()}`).toString('base64')}`,
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: Buffer.from(writeIntrospectionForm(question)),
    });
    const text = await answer.text();
    if (answer.status !== 200) throw new Error(`the hub answered ${answer.status} ${text}`);
    const { active, latchkey = {}, ...members } = JSON.parse(text) as Answer['members'] & Partial<Answer>;
    if (typeof active !== 'boolean') throw new Error('no `active`');
    return { active, members, latchkey };
  }
}

async function run(folder: HubFolder, command: readonly string[]): Promise<void> {
  const { err, status } = await folder.command(...command, '--config', folder.config);
  if (status !== 0) throw new Error(err);
}

/** What a command wrote to the file that it was given. */
async function written(folder: HubFolder, name: string, command: (file: string) => string[]): Promise<string> {
  const file = join(folder.path, name);
  await run(folder, command(file));
  return readFileSync(file, 'utf8');
}

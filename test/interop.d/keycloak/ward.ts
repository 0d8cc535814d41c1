/** The built hub as a client of the realm, with a tube on a line and a connected EKG machine. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeDpopProof } from '../../../src/client/dpop-proof.ts';
import { type Delivery, type DpopToken, HubClient, Secret, systemEnvironment } from '../../../src/client/index.ts';
import { type Credentials, readCredentialsFile } from '../../../src/codec/credentials-file.ts';
import { writeIntrospectionForm } from '../../../src/codec/introspection-message.ts';
import { readTrustFile } from '../../../src/codec/trust-file.ts';
import type { IntrospectionQuestion } from '../../../src/core/introspection.ts';
import { type RunningSimulator, startSimulator } from '../../../src/simulator.ts';
import { HubFolder, type HubProcess } from '../../fixtures/hub-process.ts';
import { LineRelay } from '../../fixtures/line-relay.ts';
import { EKG_AUDIENCE, TUBE_AUDIENCE } from './realm.ts';

/** Seconds for which the hub believes "active". */
export const CACHE = 2;
const TUBE = { device: 'tube-1', audience: TUBE_AUDIENCE } as const;
/** What clients of the EKG machine ask for. */
const READINGS = new URL(`${EKG_AUDIENCE}/readings`);

export interface WardOptions {
  readonly issuer: string;
  /** TOML for the table of the issuer: how the hub authenticates there. */
  readonly authentication: string;
  /** A file that the settings above name, and its content. */
  readonly credential: { readonly file: string; readonly content: string };
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
  #tube: RunningSimulator | undefined;
  #closed: Promise<void> | undefined;

  private constructor(parts: {
    folder: HubFolder;
    line: LineRelay;
    trust: string;
    ekg: Credentials;
    hub: HubProcess;
  }) {
    this.#folder = parts.folder;
    this.#line = parts.line;
    this.#trust = parts.trust;
    this.#ekg = parts.ekg;
    this.#hub = parts.hub;
  }

  /** The tube is registered and away: `plugIn` brings it. */
  static async open({ issuer, authentication, credential }: WardOptions): Promise<Ward> {
    const folder = new HubFolder();
    const line = await LineRelay.open();
    writeFileSync(join(folder.path, credential.file), credential.content, { mode: 0o600 });
    folder.configure(`
[delivery]
wait = "500ms"
[[issuers]]
issuer = "${issuer}"
dialect = "keycloak"
refresh_min = "1s"
unknown_kid_cooldown = "1s"
introspection = "always"
introspection_cache = "${CACHE}s"
${authentication}
[[lines]]
name = "ward-3"
path = "${line.path}"
ack_timeout = "200ms"
`);
    const trust = await written(folder, 'trust.json', (file) => [
      ...['devices', 'add', 'tube-1', '--audience', TUBE_AUDIENCE, '--line', 'ward-3', '--trust', file],
      ...['--allow', 'read=FETCH temperature'],
    ]);
    await run(folder, ['devices', 'add', 'ekg-1', '--audience', EKG_AUDIENCE]);
    const ekg = await written(folder, 'ekg.json', (file) => ['devices', 'credentials', 'ekg-1', '--out', file]);
    return new Ward({ folder, line, trust, ekg: readCredentialsFile(ekg), hub: await folder.start() });
  }

  async plugIn(): Promise<void> {
    this.#tube ??= await startSimulator({ listen: 'tcp://127.0.0.1:0', trust: readTrustFile(this.#trust) });
    this.#line.plug(this.#tube.address);
  }

  /** Has the hub take the token for the tube, and does not wait for the tube. */
  send(token: DpopToken): Promise<Delivery> {
    return this.#client().deliver({ ...TUBE, token, wait: 0 });
  }

  /** Delivers, and has the tube answer a request of the token's holder; answers with the size of what it said. */
  async use(token: DpopToken): Promise<number> {
    const client = this.#client();
    const delivery = await client.deliver({ ...TUBE, token, wait: 20_000 });
    if (delivery.state !== 'delivered') throw new Error(`it is ${delivery.state}`);
    const answer = await client.session(delivery, token).request({ method: 'FETCH', path: ['temperature'] });
    return answer.payload.length;
  }

  /** The EKG machine was shown the token, with a proof by `by`, and asks the hub. */
  async ask(token: DpopToken, { by = token.key, wantsSessionKey = false } = {}): Promise<Answer> {
    const shown = { token: { ...token, key: by }, method: 'POST', url: READINGS, nonce: 'of-the-device' };
    const proof = new Secret(await makeDpopProof({ ...shown, environment: systemEnvironment }));
    return this.#introspect({
      token: token.value,
      proof: { kind: 'dpop', proof, method: shown.method, uri: READINGS.href, nonce: shown.nonce },
      wantsSessionKey,
      clientFormat: 'jose',
    });
  }

  /** As a resource server does that knows RFC 7662 and nothing more. */
  askPlainly(token: DpopToken): Promise<Answer> {
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

/** The parts of the demo, all on loopback and in one temporary folder: authorization server, hub, tube, EKG machine, app. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AuthorizationServer } from '../../client/authorization-server.ts';
import { DpopKey } from '../../client/dpop-key.ts';
import { systemEnvironment } from '../../client/environment.ts';
import { HubClient } from '../../client/hub-client.ts';
import { COAP_METHOD, CONTENT_FORMAT } from '../../codec/iana.ts';
import { readTrustFile } from '../../codec/trust-file.ts';
import { parseConfig } from '../../config/load.ts';
import { LatchkeyError } from '../../core/errors.ts';
import { Secret } from '../../core/secret.ts';
import { openStateFolder, type RunningHub, startHub } from '../../hub.ts';
import { createLog } from '../../observe/log.ts';
import {
  type DemoAuthorizationServer,
  type RunningSimulator,
  startAuthorizationServer,
  startSimulator,
} from '../../simulator.ts';
import { APP_CLIENT, DoctorsApp } from './doctors-app.ts';
import { EKG, EKG_AUDIENCE, EkgMachine } from './ekg-machine.ts';
import type { Radios } from './medium.ts';
import type { RecordedRequest } from './recorded-request.ts';

export const TUBE = 'tube-1';
export const TUBE_AUDIENCE = 'https://tube-1.devices.example';
export const OTHER_AUDIENCE = 'https://tube-2.devices.example';
const LINE = 'ward-3';
const HUB_CLIENT = 'latchkey-hub';
/** Seconds for which the hub believes "active" without asking again. Its default is a minute: too long for a story. */
export const INTROSPECTION_CACHE = 1;
/** Seconds that a tube counts as here after it was heard. Its default is a minute: too long for a story. */
const PRESENCE = 2;
const FETCH = 1 << (COAP_METHOD.FETCH - 1);
const PUT = 1 << (COAP_METHOD.PUT - 1);
/** The hub's last log lines, shown where a step fails. */
const KEPT_LOG_LINES = 20;

export class Stage {
  readonly logLines: string[] = [];
  /** The last token delivery that the client sent, and every token that came over the line. */
  recorded: RecordedRequest | undefined;
  readonly tokensOnLine: Uint8Array[] = [];
  readonly key: DpopKey;
  /** Undefined where the tube is on a serial line. */
  readonly radios: Radios | undefined;
  readonly #folder: string;
  readonly #clientSecret = new Secret(randomBytes(24).toString('base64url'));
  readonly #hubSecret = new Secret(randomBytes(24).toString('base64url'));
  #authorizationServer: DemoAuthorizationServer | undefined;
  #isAuthorizationServerOff = false;
  #trust: Secret<string> | undefined;
  #credentials: Secret<string> | undefined;
  #tube: RunningSimulator | undefined;
  #hub: RunningHub | undefined;
  #broker: string | undefined;
  #ekg: EkgMachine | undefined;
  #doctor: DoctorsApp | undefined;
  #client: HubClient | undefined;
  #machine: AuthorizationServer | undefined;

  private constructor(folder: string, key: DpopKey, radios: Radios | undefined) {
    this.#folder = folder;
    this.key = key;
    this.radios = radios;
  }

  /** @param radios the tube is found by radio with these; else it is on a line */
  static async open(radios: Radios | undefined): Promise<Stage> {
    const key = await DpopKey.generate();
    return new Stage(await mkdtemp(join(tmpdir(), 'latchkey-demo-')), key, radios);
  }

  /** "on the serial line", or what stands in its place. */
  get onTheWay(): string {
    return this.radios === undefined ? 'on the serial line' : 'by radio';
  }

  get authorizationServer(): DemoAuthorizationServer {
    return present(this.#authorizationServer);
  }

  get hub(): RunningHub {
    return present(this.#hub);
  }

  get tube(): RunningSimulator {
    return present(this.#tube);
  }

  /** The trust file of the tube. */
  get trust(): Secret<string> {
    return present(this.#trust);
  }

  /** The EKG machine as a device, towards its own clients. */
  get ekg(): EkgMachine {
    return present(this.#ekg);
  }

  /** The credentials file of the EKG machine. */
  get credentials(): Secret<string> {
    return present(this.#credentials);
  }

  get doctor(): DoctorsApp {
    return present(this.#doctor);
  }

  /** The EKG machine as the client of the tube, towards the hub. */
  get client(): HubClient {
    return present(this.#client);
  }

  /** The EKG machine towards the authorization server. */
  get machine(): AuthorizationServer {
    return present(this.#machine);
  }

  async startAuthorizationServer(): Promise<void> {
    this.#authorizationServer = await startAuthorizationServer({
      resources: {
        [TUBE_AUDIENCE]: { scopes: ['read', 'configure'] },
        [OTHER_AUDIENCE]: { scopes: ['read'] },
        [EKG_AUDIENCE]: { scopes: ['read'], format: 'opaque' },
      },
      clients: [
        { id: 'ekg-machine', secret: this.#clientSecret.expose() },
        { id: HUB_CLIENT, secret: this.#hubSecret.expose(), introspects: true },
        APP_CLIENT,
      ],
    });
    await writeFile(this.#hubSecretFile, this.#hubSecret.expose(), { mode: 0o600 });
    this.#machine = await this.discover();
    this.#doctor = await DoctorsApp.open(this.authorizationServer.issuer);
  }

  discover(): Promise<AuthorizationServer> {
    return AuthorizationServer.discover({
      issuer: this.authorizationServer.issuer,
      clientId: 'ekg-machine',
      authentication: { method: 'client_secret_basic', secret: this.#clientSecret },
    });
  }

  async stopAuthorizationServer(): Promise<void> {
    await this.authorizationServer.close();
    this.#isAuthorizationServerOff = true;
  }

  /** Registers both devices, as `latchkey devices add` does before the hub has run for the first time. */
  async registerDevices(): Promise<void> {
    // The line's address is known once the tube is there; registering needs its name alone.
    const state = await openStateFolder({ config: this.#config('tcp://127.0.0.1:1'), log: this.#log(), create: true });
    try {
      const { trust } = await state.admin.addDevice({
        id: TUBE,
        audience: TUBE_AUDIENCE,
        ...(this.radios === undefined ? { line: LINE } : { ble: {} }),
        profile: {
          wrap: 'mac0',
          permissions: { read: [['/temperature', FETCH]], configure: [['/led', FETCH | PUT]] },
        },
      });
      this.#trust = new Secret(present(trust));
      await state.admin.addDevice({ id: EKG, audience: EKG_AUDIENCE, profile: {} });
      this.#credentials = new Secret(await state.admin.deviceCredentials(EKG));
    } finally {
      await state.close();
    }
  }

  async startTube(): Promise<void> {
    this.#tube = await startSimulator({
      listen:
        this.radios === undefined ? (this.#tube?.address ?? 'tcp://127.0.0.1:0') : { ble: TUBE, hci: this.radios.tube },
      trust: readTrustFile(this.trust.expose()),
      onRequest: ({ contentFormat, payload }) => {
        if (contentFormat === CONTENT_FORMAT.cwt && payload !== undefined) this.tokensOnLine.push(payload);
      },
    });
  }

  async startEkgMachine(): Promise<void> {
    this.#ekg = await EkgMachine.start(present(this.#broker), this.credentials);
  }

  async startHub(): Promise<void> {
    this.#hub = await startHub({ config: this.#config(this.tube.address), log: this.#log() });
    this.#broker = this.#hub.broker;
    this.#client = new HubClient({
      url: this.#hub.address,
      environment: { ...systemEnvironment, fetch: (input, init) => this.#recordedFetch(input, init) },
    });
  }

  async restartHub(): Promise<void> {
    await this.hub.stop();
    this.#hub = undefined;
    await this.startHub();
  }

  /** Bytes between hub and tube since the hub started, both ways, as the hub counts them. */
  async tubeBytes(): Promise<number> {
    const { lines, radio } = await this.hub.admin.status();
    const { bytesReceived = 0, bytesSent = 0 } = (radio ?? lines[0])?.counters ?? {};
    return bytesSent + bytesReceived;
  }

  /** Whether the line is open, or the tube was heard of late. */
  async tubeIsHere(): Promise<boolean> {
    const { lines, radio } = await this.hub.admin.status();
    return (radio?.devices ?? lines)[0]?.up === true;
  }

  /** Stops every part that runs, in the order of dependence, whatever fails; then removes the folder. */
  async close(): Promise<void> {
    const parts = [
      () => this.#ekg?.running.close(),
      () => this.#hub?.stop(),
      () => this.#tube?.close(),
      () => (this.#isAuthorizationServerOff ? undefined : this.#authorizationServer?.close()),
      () => rm(this.#folder, { recursive: true, force: true }),
    ];
    const failures: unknown[] = [];
    for (const part of parts) {
      try {
        await part();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new LatchkeyError('demo_failed', 'a part did not stop', { cause: failures[0] });
  }

  get #hubSecretFile(): string {
    return join(this.#folder, 'hub-secret');
  }

  async #recordedFetch(...[input, init]: Parameters<typeof fetch>): Promise<Response> {
    const url = String(input);
    if (url.endsWith('/authz-info')) {
      this.recorded = { url, headers: Object.fromEntries(new Headers(init?.headers).entries()) };
    }
    return fetch(input, init);
  }

  #config(line: string) {
    const text = [
      `state_dir = ${JSON.stringify(join(this.#folder, 'state'))}`,
      'http.listen = "127.0.0.1:0"',
      // The demo takes the machine's time as it is: there may be no NTP where it is shown.
      'clock.trust = "system"',
      'delivery.wait = "1s"',
      'mqtt.embedded = true',
      // A hub that starts again has its broker where devices look for it.
      `mqtt.embedded_listen = "${this.#broker === undefined ? '127.0.0.1:0' : new URL(this.#broker).host}"`,
      '[[issuers]]',
      `issuer = ${JSON.stringify(this.authorizationServer.issuer)}`,
      `client_id = "${HUB_CLIENT}"`,
      `client_secret_file = ${JSON.stringify(this.#hubSecretFile)}`,
      `introspection_cache = "${INTROSPECTION_CACHE}s"`,
      ...(this.radios === undefined
        ? ['[[lines]]', `name = "${LINE}"`, `path = "${line}"`]
        : ['[ble]', `adapter = ${JSON.stringify(this.radios.hub)}`, `presence = "${PRESENCE}s"`]),
    ].join('\n');
    return parseConfig(text, { file: 'demo', folder: this.#folder, environment: {} });
  }

  #log() {
    return createLog({
      level: 'info',
      destination: {
        write: (line) => {
          this.logLines.push(line.trimEnd());
          if (this.logLines.length > KEPT_LOG_LINES) this.logLines.shift();
        },
      },
    });
  }
}

function present<T>(part: T | undefined): T {
  if (part === undefined) throw new LatchkeyError('demo_failed', 'a part is missing on the stage');
  return part;
}

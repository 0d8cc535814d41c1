/** An OAuth server, the built hub, and a device that somebody else's stacks carry. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  AuthorizationServer,
  type Delivery,
  DpopKey,
  type DpopToken,
  HubClient,
  Secret,
} from '../../src/client/index.ts';
import {
  type DemoAuthorizationServer,
  MACHINE_CLIENT,
  startAuthorizationServer,
  TUBE_AUDIENCE,
} from '../fixtures/authorization-server.ts';
import { HubFolder, type HubProcess } from '../fixtures/hub-process.ts';
import { PythonPeer } from '../fixtures/python-peer.ts';

/** So many of them make a token that is longer than one message. */
const SENSORS = Array.from({ length: 60 }, (_, index) => `sensor-at-the-bedside-${String(index).padStart(2, '0')}`);
/** Scopes of a token for one reading, for one of more than 512 bytes and for one of more than 1280. */
export const SCOPES = {
  one: 'read',
  half: ['read', ...SENSORS.slice(0, 20)].join(' '),
  whole: ['read', ...SENSORS].join(' '),
} as const;
/** Milliseconds: discovery of the device, and all that comes after. */
const DELIVERY_DEADLINE = 20_000;

/** A trust file, as JSON. */
export type Trust = Readonly<Record<string, unknown>>;

export interface PeerWorldOptions {
  /** Where the device is: TOML for the hub, given the path of a pty. */
  readonly settings: (port: string) => string;
  /** How it is registered: `--line` or `--ble`, and its profile. */
  readonly device: readonly string[];
  readonly python: string;
  readonly script: string;
  /** Arguments of the script, behind the paths of pty and trust file. */
  readonly args?: readonly string[];
  /** The setup code that it is paired by, in place of a trust file. */
  readonly setup?: string;
  /** What the device trusts in place of what it was given. */
  readonly tamper?: (trust: Trust) => Trust;
}

export class PeerWorld {
  readonly peer: PythonPeer;
  readonly hub: HubProcess;
  readonly #as: DemoAuthorizationServer;
  readonly #folder: HubFolder;

  private constructor(parts: { as: DemoAuthorizationServer; folder: HubFolder; peer: PythonPeer; hub: HubProcess }) {
    this.#as = parts.as;
    this.#folder = parts.folder;
    this.peer = parts.peer;
    this.hub = parts.hub;
  }

  static async open(options: PeerWorldOptions): Promise<PeerWorld> {
    const folder = new HubFolder();
    const as = await startAuthorizationServer({ resources: { [TUBE_AUDIENCE]: { scopes: ['read', ...SENSORS] } } });
    let peer: PythonPeer | undefined;
    try {
      const port = join(folder.path, 'port');
      const issuer = `\n[[issuers]]\nissuer = "${as.issuer}"\nunknown_kid_cooldown = "1s"\n`;
      folder.configure(`${issuer}${options.settings(port)}\n`);
      const { python, script, args = [], setup } = options;
      const trust = setup === undefined ? [await register(folder, options)] : ['--setup', setup];
      peer = await PythonPeer.start({ python, script, args: [port, ...trust, ...args] });
      const hub = await folder.start();
      if (setup !== undefined) await pair(folder, options, setup);
      return new PeerWorld({ as, folder, peer, hub });
    } catch (error) {
      await folder.remove();
      await peer?.stop();
      await as.close();
      throw error;
    }
  }

  /** A token by client credentials, bound to a fresh DPoP key. */
  async token(scope: string = SCOPES.one): Promise<DpopToken> {
    const server = await AuthorizationServer.discover({
      issuer: this.#as.issuer,
      clientId: MACHINE_CLIENT.id,
      authentication: { method: 'client_secret_basic', secret: new Secret(MACHINE_CLIENT.secret) },
    });
    const key = await DpopKey.generate();
    return (await server.clientCredentials({ scope, resource: TUBE_AUDIENCE, key })) as DpopToken;
  }

  /** Another key of the hub, which its devices get to know by a bundle. */
  async rotateHubKey(): Promise<void> {
    const rotated = await this.#folder.command('trust', 'rotate-hub-key', '--config', this.#folder.config);
    if (rotated.status !== 0) throw new Error(rotated.err);
  }

  deliver(token: DpopToken, wait = DELIVERY_DEADLINE): Promise<Delivery> {
    return this.#client().deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token, wait });
  }

  /** The holder of the token asks the device for its temperature; answers with the number of bytes it got. */
  async read(delivery: Delivery, token: DpopToken): Promise<number> {
    const session = this.#client().session(delivery, token);
    return (await session.request({ method: 'FETCH', path: ['temperature'] })).payload.length;
  }

  /** Ends everything that runs. @throws {Error} where the peer's own code failed on the way, with what it said */
  async close(): Promise<void> {
    await this.#folder.remove();
    await this.peer.stop();
    await this.#as.close();
    if (this.peer.complaints !== '') throw new Error(`the peer said: ${this.peer.complaints}`);
  }

  #client(): HubClient {
    return new HubClient({ url: this.hub.address });
  }
}

/** What `devices add` and `pair` are told of the device alike. */
const profileOf = ({ device }: PeerWorldOptions) => [
  ...['--audience', TUBE_AUDIENCE, '--allow', 'read=FETCH temperature', '--max-token-bytes', '4096'],
  ...SENSORS.flatMap((sensor) => ['--allow', `${sensor}=FETCH ${sensor}`]),
  ...device,
];

async function pair(folder: HubFolder, options: PeerWorldOptions, setup: string): Promise<void> {
  const how = ['--config', folder.config, '--for', '1m', '--json', '--code', setup];
  const paired = await folder.command('pair', ...how, ...profileOf(options));
  if (paired.status !== 0) throw new Error(paired.err);
}

/** Answers with the path of the trust file. */
async function register(folder: HubFolder, options: PeerWorldOptions): Promise<string> {
  const { tamper } = options;
  const trust = join(folder.path, 'trust.json');
  const how = ['--config', folder.config, '--trust', trust];
  const added = await folder.command('devices', 'add', 'tube-1', ...how, ...profileOf(options));
  if (added.status !== 0) throw new Error(added.err);
  if (tamper === undefined) return trust;
  const given = JSON.parse(readFileSync(trust, 'utf8')) as Trust;
  writeFileSync(trust, JSON.stringify(tamper(given)));
  return trust;
}

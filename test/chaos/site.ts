/** A hub process, a device that outlives it, and what the hub has acknowledged: what must hold whatever happens to the hub. */
import { createHash } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { adminRequest } from '../../src/cli/admin-client.ts';
import { type Delivery, DpopKey, dpopToken, HubClient, HubRefusal } from '../../src/client/index.ts';
import type { Credentials } from '../../src/codec/credentials-file.ts';
import { readTrustFile } from '../../src/codec/trust-file.ts';
import { base64url } from '../../src/core/bytes.ts';
import type { IntrospectionQuestion } from '../../src/core/introspection.ts';
import type { HubStatus } from '../../src/ports/admin.ts';
import type { DeviceEvent } from '../../src/sim/device-event.ts';
import { type RunningSimulator, startSimulator } from '../../src/simulator.ts';
import { HubFolder, type HubProcess } from '../fixtures/hub-process.ts';
import { LineRelay } from '../fixtures/line-relay.ts';
import { askOverHttp, registerDevice, shown } from '../fixtures/relay-asking.ts';
import { StaticIssuer } from '../fixtures/static-issuer.ts';

const TUBE = 'coap://tube-1';
const EKG = 'https://ekg-1.devices.example';
/** Keys of clients: the hub limits what one client may prove within the window. */
const CLIENTS = 8;

export interface SiteOptions {
  /** Environment of each hub process, such as a preloaded library. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Further settings. */
  readonly settings?: string;
  /** Called before anything is in the folder: mounts a disk, or adds to the environment. */
  readonly prepare?: (site: ChaosSite) => void;
}

/** What the hub has acknowledged, as its peers remember it. */
class Acknowledged {
  readonly deliveries = new Map<string, Delivery>();
  /** Proofs that were accepted: none may be accepted again. */
  readonly proofs: IntrospectionQuestion[] = [];
  readonly added = new Set<string>();
  readonly removed = new Set<string>();
}

export class ChaosSite {
  readonly folder = new HubFolder();
  readonly issuer = new StaticIssuer();
  readonly acknowledged = new Acknowledged();
  /** What happened at the device, over all lives of the hub. */
  readonly events: DeviceEvent[] = [];
  readonly environment: Record<string, string>;
  /** Milliseconds between two steps of each peer. */
  readonly pause = 10;
  hub!: HubProcess;
  #relay!: LineRelay;
  #device!: RunningSimulator;
  #ekg!: Credentials;
  #keys: readonly DpopKey[] = [];
  #made = 0;
  #proofs = 0;

  private constructor(options: SiteOptions) {
    this.environment = { ...options.environment };
  }

  static async open(options: SiteOptions = {}): Promise<ChaosSite> {
    const site = new ChaosSite(options);
    await site.#open(options);
    return site;
  }

  async #open({ prepare, settings = '' }: SiteOptions): Promise<void> {
    prepare?.(this);
    this.#relay = await LineRelay.open();
    this.issuer.writeJwks(join(this.folder.path, 'jwks.json'));
    this.folder.configure(
      [
        settings,
        '[delivery]\nwait = "0s"\nretry_max = "1s"\n[dpop]\nwindow = "5m"\n',
        `[[issuers]]\nissuer = "${this.issuer.issuer}"\njwks_file = "jwks.json"\n`,
        `[[lines]]\nname = "bench"\npath = "${this.#relay.path}"\nack_timeout = "200ms"\n`,
      ].join(''),
    );
    const trust = join(this.folder.path, 'trust.json');
    const place = ['--line', 'bench', '--allow', 'read=FETCH temperature', '--trust', trust];
    const { err, status } = await this.command('devices', 'add', 'tube-1', '--audience', TUBE, ...place);
    if (status !== 0) throw new Error(err);
    this.#ekg = await registerDevice(this.folder, 'ekg-1', EKG);
    this.#device = await startSimulator({
      listen: 'tcp://127.0.0.1:0',
      trust: readTrustFile(readFileSync(trust, 'utf8')),
      // More than any run brings: a token that was displaced could be accepted again, rightly.
      slots: 100_000,
      onEvent: (event) => this.events.push(event),
    });
    rmSync(trust);
    this.#relay.plug(this.#device.address);
    this.#keys = await Promise.all(Array.from({ length: CLIENTS }, () => DpopKey.generate()));
    this.hub = await this.folder.start(this.environment);
  }

  get state(): string {
    return join(this.folder.path, 'state');
  }

  command(...args: readonly string[]): ReturnType<HubFolder['command']> {
    return this.folder.command(...args, '--config', this.folder.config);
  }

  /**
   * Starts the hub again, and once more where it ends for a reason that passes, as systemd does.
   * @param between called before the second start
   * @throws {Error} where it ends for another reason, or a second time
   */
  async startAgain(passes: RegExp, between: () => void): Promise<void> {
    try {
      this.hub = await this.folder.start(this.environment);
    } catch (error) {
      if (!(error instanceof Error && error.message.includes('ended (1)') && passes.test(error.message))) throw error;
      between();
      this.hub = await this.folder.start(this.environment);
    }
  }

  /** Kills the hub and starts it again. */
  async restart(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.hub.stop(signal);
    this.hub = await this.folder.start(this.environment);
  }

  /** Kills the hub, starts it, and kills it again before it is ready, if that takes longer than `milliseconds`. */
  async restartTwice(milliseconds: number): Promise<void> {
    await this.hub.stop('SIGKILL');
    const starting = this.folder.start(this.environment);
    // It is killed on purpose; where it was ready before that, it is killed as a hub that runs.
    const ended = starting.then(
      (hub) => hub.stop('SIGKILL'),
      () => undefined,
    );
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    this.folder.kill();
    await ended;
    this.hub = await this.folder.start(this.environment);
  }

  /** @param ahead seconds by which the clock of the issuer is ahead */
  #token(aud: string, ahead = 0) {
    this.#made += 1;
    const key = this.#keys[this.#made % this.#keys.length] as DpopKey;
    const now = Math.floor(Date.now() / 1_000) + ahead;
    const value = this.issuer.sign({
      aud,
      scope: 'read',
      iat: now,
      exp: now + 3_600,
      cnf: { jkt: key.thumbprint },
    });
    return dpopToken(value, key);
  }

  /** Pulls the cable of the device, or plugs it in. */
  connect(isConnected: boolean): void {
    this.#relay.plug(isConnected ? this.#device.address : undefined);
  }

  /** A client brings a token. */
  async deliver(): Promise<void> {
    const client = new HubClient({ url: this.hub.address });
    const delivery = await client.deliver({ device: 'tube-1', audience: TUBE, token: this.#token(TUBE), wait: 0 });
    this.acknowledged.deliveries.set(delivery.id, delivery);
  }

  /**
   * A connected device asks about a token and a proof.
   * @param ahead seconds by which the clock of the issuer is ahead
   */
  async relay(ahead = 0): Promise<void> {
    const question = await shown(this.#token(EKG, ahead));
    const { body, status } = await askOverHttp(this.hub, question, this.#ekg);
    if (status !== 200) throw new Error(`introspection: ${status} ${body.code ?? ''}`);
    if (body.active !== true) return;
    this.#proofs += 1;
    this.acknowledged.proofs.push(question);
  }

  /** The operator adds a device, and removes every third one again. */
  async register(): Promise<void> {
    this.#made += 1;
    const id = `spare-${this.#made}`;
    await this.#admin('POST', '/devices', { id, audience: `https://${id}.example`, profile: {} });
    this.acknowledged.added.add(id);
    if (this.#made % 3 !== 0) return;
    // Removed or not: only an answer says which.
    this.acknowledged.added.delete(id);
    await this.#admin('DELETE', `/devices/${id}`);
    this.acknowledged.removed.add(id);
  }

  /** Codes of what the hub says is wrong with it. */
  async conditions(): Promise<readonly string[]> {
    const { conditions } = (await this.#admin('GET', '/status')) as unknown as Pick<HubStatus, 'conditions'>;
    return conditions.map(({ code }) => code);
  }

  #admin(method: 'GET' | 'POST' | 'DELETE', path: string, body?: Parameters<typeof adminRequest>[0]['body']) {
    const sockets = [join(this.state, 'admin.sock')];
    return adminRequest({ sockets, method, path, ...(body === undefined ? {} : { body }) });
  }

  /**
   * Everything that was acknowledged holds.
   * @throws {Error} that says what was lost, or counted twice
   */
  async check(): Promise<void> {
    const faults = [
      ...(await this.#lostDevices()),
      ...(await this.#lostDeliveries()),
      ...(await this.#proofsTakenAgain()),
    ];
    const twice = this.#acceptedTwice();
    if (twice.length > 0) faults.push(`the device accepted twice: ${twice.join(', ')}`);
    const audit = await this.command('audit', 'verify');
    if (audit.status !== 0) faults.push(`the audit: ${audit.out}${audit.err}`);
    if (faults.length > 0) throw new Error(faults.join('\n'));
  }

  async #lostDevices(): Promise<string[]> {
    const { err, out, status } = await this.command('devices', 'list', '--json');
    if (status !== 0) return [`devices list: ${err}`];
    const known = new Set((JSON.parse(out) as { id: string }[]).map(({ id }) => id));
    return [
      ...[...this.acknowledged.added].filter((id) => !known.has(id)).map((id) => `device ${id} is lost`),
      ...[...this.acknowledged.removed].filter((id) => known.has(id)).map((id) => `device ${id} is back`),
    ];
  }

  async #lostDeliveries(): Promise<string[]> {
    const client = new HubClient({ url: this.hub.address });
    const faults: string[] = [];
    for (const [id, { tokenHash }] of this.acknowledged.deliveries) {
      const state = await this.#endOf(client, id);
      const accepted = this.#acceptedTokens().filter((token) => token === base64url(tokenHash)).length;
      if (state !== 'delivered' || accepted !== 1)
        faults.push(`delivery ${id} is ${state}, accepted ${accepted} times`);
    }
    return faults;
  }

  /** The state that the delivery ends in; it may take the retries of a minute. */
  async #endOf(client: HubClient, id: string): Promise<string> {
    const deadline = performance.now() + 60_000;
    for (;;) {
      try {
        const { state } = await client.delivery(id);
        if (state !== 'queued' || performance.now() > deadline) return state;
      } catch (error) {
        if (!(error instanceof HubRefusal)) throw error;
        return error.hubCode ?? 'refused';
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async #proofsTakenAgain(): Promise<string[]> {
    const faults: string[] = [];
    for (const question of this.acknowledged.proofs.splice(0)) {
      const { body } = await askOverHttp(this.hub, question, this.#ekg);
      if (body.active !== false) faults.push(`a proof was accepted again: ${JSON.stringify(body)}`);
    }
    return faults;
  }

  #acceptedTokens(): string[] {
    return this.events.flatMap((each) => (each.event === 'token_accepted' ? [each.token] : []));
  }

  #acceptedTwice(): string[] {
    const seen = new Set<string>();
    return this.#acceptedTokens().filter((token) => seen.size === seen.add(token).size);
  }

  /** A digest of what was acknowledged, for the log of a run. */
  summary(): string {
    const { added, deliveries, removed } = this.acknowledged;
    const state = createHash('sha256')
      .update([...deliveries.keys()].join())
      .digest('hex')
      .slice(0, 8);
    return `${deliveries.size} deliveries (${state}), ${this.#proofs} proofs, ${added.size} devices added, ${removed.size} removed`;
  }

  async close(): Promise<void> {
    await this.hub?.stop('SIGKILL');
    await this.#device?.close();
    await this.#relay?.close();
    await this.folder.remove();
  }
}

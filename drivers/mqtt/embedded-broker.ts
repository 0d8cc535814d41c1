/**
 * The embedded broker, for the demo and for small sites, as the hub has it: a process of its own, which asks the hub about each login
 * and has no secret of a device.
 */
import { equal, sha256 } from '../../src/core/bytes.ts';
import type { Clock, Random, Timers } from '../../src/core/clock.ts';
import { coded, LatchkeyError } from '../../src/core/errors.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { Repeats } from '../../src/core/repeats.ts';
import { Secret } from '../../src/core/secret.ts';
import type { DeviceAuthentication } from '../../src/ports/device-authentication.ts';
import type { Log } from '../../src/ports/log.ts';
import { ChildProcess, type ChildSettings, childFile } from '../child-process.ts';
import type { ConnectionLimits } from '../http/connections.ts';
import { AccessLog } from './access-log.ts';
import { HUB_USER, type Login, type RefusedWord, type Role, readFromBroker, type ToBroker } from './broker-messages.ts';

export interface EmbeddedBrokerOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly topicPrefix: string;
  /** Devices log in with their id and their secret. */
  readonly devices: DeviceAuthentication;
  /** Password of the hub's own user. */
  readonly hubPassword: Secret<string>;
  /** The broker listens again, and has forgotten everything. */
  readonly onRestart: () => void;
  readonly connections?: ConnectionLimits;
  readonly process?: Partial<ChildSettings> | undefined;
  readonly timers: Timers;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly random: Random;
  readonly log: Log;
}

const CONNECTIONS: ConnectionLimits = {
  overall: LIMITS.embeddedConnections,
  perNetwork: LIMITS.embeddedConnectionsPerNetwork,
  perLink: LIMITS.embeddedConnectionsPerLink,
};
/** How long the first start may take, unless the process has a deadline of its own; milliseconds. */
const OPEN_DEADLINE = 30_000;
/** One line of the log a minute, and a sum. */
const REFUSED_CONNECTIONS = { window: 60_000, ofOneKind: 1, overall: 1 };

export class EmbeddedBroker {
  readonly #options: EmbeddedBrokerOptions;
  readonly #access: AccessLog;
  readonly #refusedConnections: Repeats<undefined>;
  readonly #child: ChildProcess;
  /** That of the configuration, or the one that the system chose for the first process. */
  #port: number;
  #isListening = false;
  /** Why it does not listen. */
  #fault = 'it starts';
  #onOpened: ((fault: LatchkeyError | undefined) => void) | undefined;

  /** @throws {LatchkeyError} `address_unavailable`, `embedded_broker_missing`, `embedded_broker_down`, `internal` */
  static async open(options: EmbeddedBrokerOptions): Promise<EmbeddedBroker> {
    let opened: EmbeddedBroker | undefined;
    const fault = await new Promise<LatchkeyError | undefined>((resolve) => {
      const late = new LatchkeyError('embedded_broker_down', 'it does not start');
      const cancel = options.timers.after(options.process?.startDeadline ?? OPEN_DEADLINE, () => resolve(late));
      opened = new EmbeddedBroker(options, (found) => {
        cancel();
        resolve(found);
      });
    });
    if (opened !== undefined && fault === undefined) return opened;
    await opened?.close();
    throw fault ?? new LatchkeyError('embedded_broker_down');
  }

  private constructor(options: EmbeddedBrokerOptions, onOpened: (fault: LatchkeyError | undefined) => void) {
    const { clock, listen, log, process: settings, random, timers } = options;
    this.#options = options;
    this.#onOpened = onOpened;
    this.#port = listen.port;
    this.#access = new AccessLog(log, options.devices);
    this.#refusedConnections = new Repeats(REFUSED_CONNECTIONS, (_, count) => this.#tellRefused(count));
    this.#child = new ChildProcess({
      name: 'mqtt-broker',
      code: 'embedded_broker_down',
      file: childFile('mqtt-broker', new URL('./broker-process.ts', import.meta.url)),
      onStart: () => this.#start(),
      onMessage: (message) => this.#take(message),
      onEnd: (detail) => this.#lose(detail),
      timers,
      clock,
      random,
      log,
      settings,
    });
    this.#child.start();
  }

  get port(): number {
    return this.#port;
  }

  /** Of the process; undefined while there is none. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Undefined while it listens. */
  fault(): LatchkeyError | undefined {
    return this.#isListening ? undefined : new LatchkeyError('embedded_broker_down', this.#fault);
  }

  counters(): Readonly<Record<string, number>> {
    const { crashes = 0 } = this.#child.counters();
    return { brokerRestarts: crashes };
  }

  /** Ends the connections that the device opened with the secret that it had. */
  end(device: string): void {
    this.#say({ kind: 'end', device });
  }

  async close(): Promise<void> {
    this.#isListening = false;
    await this.#child.close();
    this.#refusedConnections.end();
  }

  #say(message: ToBroker): void {
    this.#child.send(message);
  }

  #start(): void {
    const { connections = CONNECTIONS, listen, topicPrefix } = this.#options;
    this.#say({ kind: 'open', listen: { ...listen, port: this.#port }, topicPrefix, connections });
  }

  #take(said: unknown): void {
    const message = readFromBroker(said);
    switch (message?.kind) {
      case 'listening':
        this.#listens(message.port);
        return;
      case 'failed':
        this.#fails(new LatchkeyError(message.code, message.detail));
        return;
      case 'login':
        this.#logIn(message);
        return;
      case 'refused':
        this.#tell(message);
        return;
      case 'refused_more':
        this.#options.log.info({ event: 'mqtt_refused', count: message.count }, 'as many more were refused');
        return;
      case 'connections_refused':
        if (this.#refusedConnections.tells('connection', undefined)) this.#tellRefused(message.count);
        return;
      case undefined:
        this.#child.restart('it sent a message that the hub does not know');
        return;
    }
  }

  #listens(port: number): void {
    if (this.#isListening || (this.#port !== 0 && port !== this.#port)) {
      this.#child.restart('it said twice that it listens, or at another port');
      return;
    }
    this.#port = port;
    this.#isListening = true;
    const isFirst = this.#onOpened !== undefined;
    this.#opened(undefined);
    if (isFirst) return;
    this.#options.log.info({ event: 'broker_listens', port }, 'the embedded MQTT broker listens again');
    this.#options.onRestart();
  }

  /** A start that fails is reported to the operator who starts the hub; a later one is tried again. */
  #fails(fault: LatchkeyError): void {
    if (this.#onOpened !== undefined) this.#opened(fault);
    else this.#child.restart(`${fault.code}: ${fault.detail ?? ''}`);
  }

  #lose(detail: string): void {
    this.#isListening = false;
    this.#fault = detail;
  }

  #opened(fault: LatchkeyError | undefined): void {
    this.#onOpened?.(fault);
    this.#onOpened = undefined;
  }

  #logIn({ address, login, password, username }: Login): void {
    this.#say({ kind: 'verdict', login, role: this.#roleOf(username, new Secret(password), address) });
  }

  #roleOf(username: string, password: Secret<string>, address: string | undefined): Role | undefined {
    try {
      if (username !== HUB_USER) {
        this.#options.devices.authenticate({ kind: 'secret', device: username, secret: password });
        return 'device';
      }
      if (equal(sha256(password.expose()), sha256(this.#options.hubPassword.expose()))) return 'hub';
      throw new LatchkeyError('device_unauthenticated', 'the user of the hub');
    } catch (error) {
      const { code, detail } = coded(error);
      this.#access.refused({ code, device: username, address, detail });
      return undefined;
    }
  }

  #tell({ address, code, detail, topic, username }: RefusedWord): void {
    const said = topic === undefined ? detail : `${detail} ${this.#access.plainTopic(topic)}`;
    this.#access.refused({ code, device: username, address, detail: said });
  }

  #tellRefused(count: number): void {
    this.#options.log.warn(
      { event: 'connections_refused', front: 'mqtt', count },
      'connections to the embedded MQTT broker were refused',
    );
  }
}

/** Who may enter the embedded broker and what they may do there: what config/mosquitto says, in code. */
import type { AedesOptions, AuthenticateError, Client } from 'aedes';
import type { Timers } from '../../src/core/clock.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { HUB_USER, type Login, type RefusedWord, type Role } from './broker-messages.ts';
import type { HeldMessages } from './held-messages.ts';
import { LoginQuota } from './login-quota.ts';
import type { Topics } from './topics.ts';

export interface AccessOptions {
  readonly topics: Topics;
  /** Asks the hub; it answers by `verdict`. */
  readonly ask: (login: Login) => void;
  readonly refused: (word: RefusedWord) => void;
  readonly held: Pick<HeldMessages, 'hasRoom'>;
  readonly timers: Timers;
}

type AccessRules = Required<
  Pick<AedesOptions, 'preConnect' | 'authenticate' | 'authorizePublish' | 'authorizeSubscribe' | 'authorizeForward'>
>;

/** Of MQTT 3.1.1 §3.2.2.3; aedes makes 0x88 and 0x86 of them. */
const UNAVAILABLE = 3;
const BAD_CREDENTIALS = 4;
/** How long the hub may take for a login, milliseconds. */
const LOGIN_DEADLINE = 5_000;
/** A device needs one for its answers and one for the status of the hub. */
const FILTERS_PER_CONNECTION = 16;
const MAX_FILTER_BYTES = 256;
/** What the log gets of a topic. */
const TOLD_TOPIC = 256;

interface User {
  readonly name: string;
  readonly role: Role;
}

/** The rules, as aedes asks for them, and who is in. */
export class EmbeddedAccess {
  readonly rules: AccessRules;
  readonly #options: AccessOptions;
  readonly #users = new WeakMap<Client, User>();
  readonly #filters = new WeakMap<Client, Set<string>>();
  readonly #waiting = new Map<number, (role: Role | undefined) => void>();
  readonly #ofDevice = new Map<string, Set<Client>>();
  readonly #quota: LoginQuota;
  #logins = 0;

  constructor(options: AccessOptions) {
    this.#options = options;
    this.#quota = new LoginQuota(options.timers);
    this.rules = {
      preConnect: (_, packet, done) => {
        // With a client id of its own choice a device could take over the session of another one, and read its answers. The
        // slash keeps it apart from the names that the tables of aedes have from the start, such as `constructor`.
        packet.clientId = `user/${packet.username ?? ''}`;
        if (packet.username !== HUB_USER) {
          // Nothing is kept for a device that is away: what it could leave behind it has no use for.
          packet.clean = true;
          delete packet.properties?.sessionExpiryInterval;
        }
        done(null, true);
      },
      authenticate: (client, username, password, done) => this.#logIn(client, username ?? '', password, done),
      authorizePublish: (client, packet, done) => {
        const user = this.#userOf(client);
        const may =
          user?.role === 'hub' ||
          (user !== undefined && options.topics.mayPublish(user.name, packet.topic) && !packet.retain);
        if (!may) this.#deny(client, `publish ${packet.retain ? 'retained ' : ''}on`, packet.topic);
        if (!may) return done(new Error('not this topic'));
        const isHeld = user.role === 'device' && packet.qos > 0;
        done(isHeld && !options.held.hasRoom(packet) ? new Error('too many of its questions wait') : null);
      },
      authorizeSubscribe: (client, subscription, done) => {
        const user = this.#userOf(client);
        if (user?.role === 'hub' || this.#mayListen(client, user, subscription.topic)) return done(null, subscription);
        this.#deny(client, 'listen to', subscription.topic);
        done(null, null);
      },
      authorizeForward: (client, packet) => {
        const user = this.#userOf(client);
        return user?.role === 'hub' || (user !== undefined && options.topics.mayListen(user.name, packet.topic))
          ? packet
          : null;
      },
    };
  }

  /** The hub's answer to a login. */
  verdict(login: number, role: Role | undefined): void {
    this.#waiting.get(login)?.(role);
  }

  /** The connections of a device, those included whose login is on its way to them. */
  connectionsOf(device: string): readonly Client[] {
    return [...(this.#ofDevice.get(device) ?? [])];
  }

  #userOf(client: Client | null): User | undefined {
    return client === null ? undefined : this.#users.get(client);
  }

  #logIn(
    client: Client,
    name: string,
    password: Readonly<Buffer> | undefined,
    done: (error: AuthenticateError | null, success: boolean | null) => void,
  ): void {
    const network = textOf(client, 'network') ?? '';
    if (!this.#quota.mayAsk(network, name)) {
      done(notWelcome(UNAVAILABLE), false);
      return;
    }
    this.#logins += 1;
    const login = this.#logins;
    const end = (returnCode: number | undefined) => {
      cancel();
      this.#waiting.delete(login);
      if (returnCode === undefined) done(null, true);
      else done(notWelcome(returnCode), false);
    };
    const cancel = this.#options.timers.after(LOGIN_DEADLINE, () => end(UNAVAILABLE));
    this.#waiting.set(login, (role) => {
      if (role === undefined) this.#quota.failed(network);
      end(role === undefined ? BAD_CREDENTIALS : this.#enter(client, { name, role }));
    });
    this.#options.ask({
      kind: 'login',
      login,
      username: name.slice(0, LIMITS.embeddedLoginLength),
      password: (password?.toString('utf8') ?? '').slice(0, LIMITS.embeddedLoginLength),
      address: addressOf(client),
    });
  }

  /** @returns the code of a refusal */
  #enter(client: Client, user: User): number | undefined {
    if (user.role === 'device' && !this.#quota.mayEnter(user.name)) return UNAVAILABLE;
    // The connection may have closed while the hub was asked: `close` was emitted, and would never remove the client.
    if (client.closed || client.conn.destroyed) return UNAVAILABLE;
    this.#users.set(client, user);
    if (user.role === 'hub') return undefined;
    const own = this.#ofDevice.get(user.name) ?? new Set();
    this.#ofDevice.set(user.name, own.add(client));
    client.conn.once('close', () => {
      own.delete(client);
      if (own.size === 0 && this.#ofDevice.get(user.name) === own) this.#ofDevice.delete(user.name);
    });
    return undefined;
  }

  #mayListen(client: Client, user: User | undefined, filter: string): boolean {
    if (user === undefined || !this.#options.topics.mayListen(user.name, filter)) return false;
    const known = this.#filters.get(client) ?? new Set<string>();
    if (Buffer.byteLength(filter) > MAX_FILTER_BYTES) return false;
    if (!known.has(filter) && known.size >= FILTERS_PER_CONNECTION) return false;
    this.#filters.set(client, known.add(filter));
    return true;
  }

  #deny(client: Client | null, detail: string, topic: string): void {
    this.#options.refused({
      kind: 'refused',
      code: 'topic_refused',
      username: this.#userOf(client)?.name ?? 'nobody',
      address: addressOf(client),
      detail,
      topic: topic.slice(0, TOLD_TOPIC),
    });
  }
}

function addressOf(client: Client | null): string | undefined {
  return textOf(client, 'remoteAddress');
}

/** Of its `GatedStream`, which aedes knows as any stream. */
function textOf(client: Client | null, name: 'network' | 'remoteAddress'): string | undefined {
  const value: unknown = Reflect.get(client?.conn ?? {}, name);
  return typeof value === 'string' ? value : undefined;
}

function notWelcome(returnCode: number): AuthenticateError {
  return Object.assign(new Error('not let in'), { returnCode });
}

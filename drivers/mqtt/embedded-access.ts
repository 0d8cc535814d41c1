/** Who may enter the embedded broker and what they may do there: what config/mosquitto says, in code. */
import type { AedesOptions, AuthenticateError, Client } from 'aedes';
import { equal, sha256 } from '../../src/core/bytes.ts';
import { coded, LatchkeyError } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import type { DeviceAuthentication } from '../../src/ports/device-authentication.ts';
import type { Log } from '../../src/ports/log.ts';
import { AccessLog } from './access-log.ts';
import type { Topics } from './topics.ts';

interface BrokerUser {
  readonly username: string;
  readonly password: Secret<string>;
}

export interface AccessOptions {
  readonly topics: Topics;
  /** Devices log in with their id and their secret. */
  readonly devices: DeviceAuthentication;
  /** The hub's own user; no device id looks like it. */
  readonly hub: BrokerUser;
  readonly log: Log;
}

type AccessRules = Required<
  Pick<AedesOptions, 'preConnect' | 'authenticate' | 'authorizePublish' | 'authorizeSubscribe' | 'authorizeForward'>
>;

const MQTT_5 = 5;
const NEEDED = 'MQTT 5.0 and a user name are needed';
/** Of MQTT 3.1.1 §3.2.2.3; aedes makes 0x86 of it. */
const BAD_CREDENTIALS = 4;
/** A device needs one for its answers and one for the status of the hub. */
const FILTERS_PER_CONNECTION = 16;
const MAX_FILTER_BYTES = 256;

export function accessRules({ devices, hub, log, topics }: AccessOptions): AccessRules {
  const users = new WeakMap<Client, string>();
  const filters = new WeakMap<Client, Set<string>>();
  const isHub = (client: Client | null) => client !== null && users.get(client) === hub.username;
  const deviceOf = (client: Client | null) => (client === null || isHub(client) ? undefined : users.get(client));
  const access = new AccessLog(log, devices);
  const deny = (client: Client | null, detail: string) => {
    const device = deviceOf(client) ?? '';
    access.refused({ code: 'topic_refused', device, address: addressOf(client), detail });
  };
  return {
    preConnect(client, packet, done) {
      // With a client id of its own choice a device could take over the session of another one, and read its answers.
      packet.clientId = packet.username ?? '';
      const welcome = packet.protocolVersion === MQTT_5 && packet.clientId !== '';
      if (!welcome) {
        const [device, address] = [packet.clientId, addressOf(client)];
        access.refused({ code: 'device_unauthenticated', device, address, detail: NEEDED });
      }
      done(welcome ? null : new Error(NEEDED), welcome);
    },
    authenticate(client, username, password, done) {
      try {
        logIn({ username: username ?? '', password: new Secret(password?.toString('utf8') ?? '') }, hub, devices);
        users.set(client, username ?? '');
        done(null, true);
      } catch (error) {
        const { code, detail } = coded(error);
        access.refused({ code, device: username ?? '', address: addressOf(client), detail });
        done(notWelcome(), false);
      }
    },
    authorizePublish(client, packet, done) {
      const device = deviceOf(client);
      const may = isHub(client) || (device !== undefined && topics.mayPublish(device, packet.topic) && !packet.retain);
      if (!may) deny(client, `publish ${packet.retain ? 'retained ' : ''}on ${access.plainTopic(packet.topic)}`);
      done(may ? null : new Error('not this topic'));
    },
    authorizeSubscribe(client, subscription, done) {
      const device = deviceOf(client);
      const filter = subscription.topic;
      if (isHub(client)) return done(null, subscription);
      const known = filters.get(client) ?? new Set<string>();
      filters.set(client, known);
      const isItsOwn = device !== undefined && topics.mayListen(device, filter);
      const hasRoom = known.has(filter) || known.size < FILTERS_PER_CONNECTION;
      if (!isItsOwn || !hasRoom || Buffer.byteLength(filter) > MAX_FILTER_BYTES) {
        deny(client, `listen to ${access.plainTopic(filter)}`);
        return done(null, null);
      }
      known.add(filter);
      done(null, subscription);
    },
    authorizeForward(client, packet) {
      const device = deviceOf(client);
      return isHub(client) || (device !== undefined && topics.mayListen(device, packet.topic)) ? packet : null;
    },
  };
}

/** @throws {LatchkeyError} `device_unauthenticated` */
function logIn(given: BrokerUser, hub: BrokerUser, devices: DeviceAuthentication): void {
  if (given.username === hub.username) {
    if (equal(sha256(given.password.expose()), sha256(hub.password.expose()))) return;
    throw new LatchkeyError('device_unauthenticated', 'the user of the hub');
  }
  devices.authenticate({ kind: 'secret', device: given.username, secret: given.password });
}

function addressOf(client: Client | null): string | undefined {
  const stream = client?.conn;
  if (stream === undefined || !('remoteAddress' in stream)) return undefined;
  return typeof stream.remoteAddress === 'string' ? stream.remoteAddress : undefined;
}

function notWelcome(): AuthenticateError {
  return Object.assign(new Error('bad user name or password'), { returnCode: BAD_CREDENTIALS });
}

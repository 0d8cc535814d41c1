/** The Admin port for commands: the running hub over its socket, or the state folder itself where no hub runs. */
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';
import { printable } from '../core/printable.ts';
import { type OpenStateFolder, openStateFolder, profilesAtRest } from '../hub.ts';
import { createLog } from '../observe/log.ts';
import type {
  AddedDevice,
  Admin,
  AuditPage,
  AuditQuery,
  AuditVerification,
  ClockResetView,
  DeliveriesQuery,
  DeviceView,
  HubStatus,
  IssuerKeysView,
  ListedDelivery,
  NewDevice,
  Page,
  PageQuery,
  ProfileView,
  RetriedDelivery,
  RotatedHubKey,
  TrustView,
  Unpaired,
} from '../ports/admin.ts';
import {
  readAddedDevice,
  readAuditPage,
  readClockReset,
  readCredentials,
  readDeliveries,
  readDelivery,
  readDevice,
  readDevices,
  readIssuerKeys,
  readProfiles,
  readRetried,
  readRotated,
  readStatus,
  readTrust,
  readUnpaired,
  readVerification,
} from './admin-answers.ts';
import { adminRequest, findAdminSockets, isNoHub, type SocketChoice } from './admin-client.ts';
import { adminStream } from './admin-stream.ts';
import type { Terminal } from './command.ts';
import { claimStateFolder, withHolder } from './state-folder.ts';

export interface AdminChoice {
  readonly socket?: string;
  readonly config?: string;
}

/**
 * Runs `action` with whichever Admin there is: the hub that runs, or its state folder where nothing listens. With
 * `--socket` only a running hub will do. `create` is for what writes: looking at devices makes no state folder.
 */
export async function withAdmin<T>(
  { choice, terminal, create = false }: { choice: AdminChoice; terminal: Terminal; create?: boolean },
  action: (admin: Admin) => Promise<T>,
): Promise<T> {
  const where: SocketChoice = { ...choice, environment: terminal.environment };
  try {
    return await action(new RemoteAdmin(findAdminSockets(where)));
  } catch (error) {
    if (choice.socket !== undefined || !isNoHub(error)) throw error;
  }
  const { config } = loadConfig({ path: choice.config, environment: terminal.environment });
  terminal.note(`No hub is running: working on ${config.stateDir} itself.`);
  claimStateFolder(config.stateDir);
  const folder = await open(config, terminal, create);
  try {
    return await action(folder.admin);
  } finally {
    await folder.close();
  }
}

/** As `withAdmin`, for what is done to one device. The hub repeats no id that is not registered, so the error gets it here. */
export async function withDevice<T>(
  id: string,
  options: { choice: AdminChoice; terminal: Terminal },
  action: (admin: Admin) => Promise<T>,
): Promise<T> {
  try {
    return await withAdmin(options, action);
  } catch (error) {
    if (isCoded(error, 'device_unknown')) throw new LatchkeyError('device_unknown', printable(id), { cause: error });
    throw error;
  }
}

/** As `withDevice`, for one delivery. */
export async function withDelivery<T>(
  id: string,
  options: { choice: AdminChoice; terminal: Terminal },
  action: (admin: Admin) => Promise<T>,
): Promise<T> {
  try {
    return await withAdmin(options, action);
  } catch (error) {
    if (!isCoded(error, 'delivery_unknown')) throw error;
    throw new LatchkeyError('delivery_unknown', printable(id), { cause: error });
  }
}

async function open(config: Config, terminal: Terminal, create: boolean): Promise<OpenStateFolder> {
  const destination = { write: (line: string) => terminal.note(line.trimEnd()) };
  try {
    return await openStateFolder({ config, log: createLog({ level: 'error', destination }), create });
  } catch (error) {
    if (isCoded(error, 'store_missing')) return { admin: new NoDevices(config), close: async () => undefined };
    throw withHolder(error, config.stateDir);
  }
}

/** The state before there is any. */
class NoDevices implements Admin {
  readonly #config: Config;

  constructor(config: Config) {
    this.#config = config;
  }

  status(): Promise<HubStatus> {
    return Promise.reject(new LatchkeyError('store_missing'));
  }

  async listDevices(): Promise<Page<DeviceView>> {
    return { items: [] };
  }

  async profiles(): Promise<readonly ProfileView[]> {
    return profilesAtRest(this.#config);
  }

  async issuerKeys(): Promise<IssuerKeysView> {
    return { keys: [] };
  }

  showDevice(): Promise<DeviceView> {
    return Promise.reject(new LatchkeyError('device_unknown'));
  }

  addDevice(): Promise<AddedDevice> {
    return Promise.reject(new LatchkeyError('store_missing'));
  }

  deviceCredentials(): Promise<string> {
    return Promise.reject(new LatchkeyError('device_unknown'));
  }

  removeDevice(): Promise<void> {
    return Promise.reject(new LatchkeyError('device_unknown'));
  }

  renameDevice(): Promise<DeviceView> {
    return Promise.reject(new LatchkeyError('device_unknown'));
  }

  identifyDevice(): Promise<void> {
    return Promise.reject(new LatchkeyError('device_unknown'));
  }

  unpairDevice(): Promise<Unpaired> {
    return Promise.reject(new LatchkeyError('device_unknown'));
  }

  async deliveries(): Promise<Page<ListedDelivery>> {
    return { items: [] };
  }

  cancelDelivery(): Promise<ListedDelivery> {
    return Promise.reject(new LatchkeyError('delivery_unknown'));
  }

  retryDelivery(): Promise<RetriedDelivery> {
    return Promise.reject(new LatchkeyError('delivery_unknown'));
  }

  async trust(): Promise<Page<TrustView>> {
    return { items: [] };
  }

  rotateHubKey(): Promise<RotatedHubKey> {
    return Promise.reject(new LatchkeyError('store_missing'));
  }

  resetClock(): Promise<ClockResetView> {
    return Promise.reject(new LatchkeyError('store_missing'));
  }

  audit(): Promise<AuditPage> {
    return Promise.reject(new LatchkeyError('store_missing'));
  }

  verifyAudit(): Promise<AuditVerification> {
    return Promise.reject(new LatchkeyError('store_missing'));
  }

  backup(): AsyncIterable<string> {
    throw new LatchkeyError('store_missing');
  }
}

class RemoteAdmin implements Admin {
  readonly #sockets: readonly string[];

  constructor(sockets: readonly string[]) {
    this.#sockets = sockets;
  }

  async status(): Promise<HubStatus> {
    return readStatus(await this.#ask('GET', '/status'));
  }

  async listDevices(query: PageQuery): Promise<Page<DeviceView>> {
    return readDevices(await this.#ask('GET', withQuery('/devices', { ...query })));
  }

  async profiles(): Promise<readonly ProfileView[]> {
    return readProfiles(await this.#ask('GET', '/profiles'));
  }

  async issuerKeys(issuer: string): Promise<IssuerKeysView> {
    return readIssuerKeys(await this.#ask('GET', withQuery('/issuers/keys', { issuer })));
  }

  async showDevice(id: string): Promise<DeviceView> {
    return readDevice(await this.#ask('GET', devicePath(id)));
  }

  async addDevice(device: NewDevice): Promise<AddedDevice> {
    return readAddedDevice(await this.#ask('POST', '/devices', { ...device } as JsonObject));
  }

  async deviceCredentials(id: string): Promise<string> {
    return readCredentials(await this.#ask('GET', `${devicePath(id)}/credentials`));
  }

  async removeDevice(id: string): Promise<void> {
    await this.#ask('DELETE', devicePath(id));
  }

  async renameDevice(id: string, name: string): Promise<DeviceView> {
    return readDevice(await this.#ask('POST', `${devicePath(id)}/name`, { name }));
  }

  async identifyDevice(id: string): Promise<void> {
    await this.#ask('POST', `${devicePath(id)}/identify`);
  }

  async unpairDevice(id: string, { force }: { readonly force: boolean }): Promise<Unpaired> {
    return readUnpaired(await this.#ask('POST', `${devicePath(id)}/unpair`, { force }));
  }

  async deliveries(query: DeliveriesQuery): Promise<Page<ListedDelivery>> {
    return readDeliveries(await this.#ask('GET', withQuery('/deliveries', { ...query })));
  }

  async cancelDelivery(id: string): Promise<ListedDelivery> {
    return readDelivery(await this.#ask('POST', `${deliveryPath(id)}/cancel`));
  }

  async retryDelivery(id: string): Promise<RetriedDelivery> {
    return readRetried(await this.#ask('POST', `${deliveryPath(id)}/retry`));
  }

  async trust(query: PageQuery): Promise<Page<TrustView>> {
    return readTrust(await this.#ask('GET', withQuery('/trust', { ...query })));
  }

  async rotateHubKey(): Promise<RotatedHubKey> {
    return readRotated(await this.#ask('POST', '/trust/hub-key'));
  }

  async resetClock(): Promise<ClockResetView> {
    return readClockReset(await this.#ask('POST', '/clock/reset'));
  }

  async audit({ subject, ...query }: AuditQuery): Promise<AuditPage> {
    return readAuditPage(await this.#ask('GET', withQuery('/audit', { ...query, ...subject })));
  }

  async verifyAudit(head?: string): Promise<AuditVerification> {
    return readVerification(await this.#ask('GET', withQuery('/audit/verification', { head })));
  }

  backup(): AsyncIterable<string> {
    return adminStream({ sockets: this.#sockets, path: '/backup' });
  }

  #ask(method: 'GET' | 'POST' | 'DELETE', path: string, body?: JsonValue): Promise<JsonValue> {
    return adminRequest({ sockets: this.#sockets, method, path, ...(body === undefined ? {} : { body }) });
  }
}

function devicePath(id: string): string {
  return `/devices/${encodeURIComponent(id)}`;
}

function deliveryPath(id: string): string {
  return `/deliveries/${encodeURIComponent(id)}`;
}

function withQuery(path: string, members: Readonly<Record<string, string | number | boolean | undefined>>): string {
  const given = Object.entries(members).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)] as [string, string]],
  );
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`;
}

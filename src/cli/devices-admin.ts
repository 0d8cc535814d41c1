/** The Admin port for commands: the running hub over its socket, or the state folder itself where no hub runs. */
import { loadConfig } from '../config/load.ts';
import { isCoded } from '../core/errors.ts';
import { isJsonObject, type JsonValue } from '../core/json.ts';
import { openStateFolder } from '../hub.ts';
import { createLog } from '../observe/log.ts';
import type {
  AddedDevice,
  Admin,
  AuditPage,
  AuditQuery,
  AuditVerification,
  DeviceView,
  HubStatus,
  NewDevice,
} from '../ports/admin.ts';
import { adminRequest, findAdminSocket, type SocketChoice } from './admin-client.ts';
import type { Terminal } from './command.ts';

export interface AdminChoice {
  readonly socket?: string;
  readonly config?: string;
}

/** Runs `action` with whichever Admin there is. With `--socket` only a running hub will do. */
export async function withAdmin<T>(
  choice: AdminChoice,
  terminal: Terminal,
  action: (admin: Admin) => Promise<T>,
): Promise<T> {
  const where: SocketChoice = { ...choice, environment: terminal.environment };
  const remote = new RemoteAdmin(findAdminSocket(where));
  try {
    return await action(remote);
  } catch (error) {
    if (choice.socket !== undefined || !isCoded(error, 'admin_unreachable')) throw error;
  }
  const { config } = loadConfig({ path: choice.config, environment: terminal.environment });
  const folder = await openStateFolder(
    config,
    createLog({ level: 'error', destination: { write: (line) => terminal.note(line.trimEnd()) } }),
  );
  try {
    terminal.note(`No hub is running: working on ${config.stateDir} itself.`);
    return await action(folder.admin);
  } finally {
    await folder.close();
  }
}

class RemoteAdmin implements Admin {
  readonly #socket: string;

  constructor(socket: string) {
    this.#socket = socket;
  }

  async status(): Promise<HubStatus> {
    return (await this.#ask('GET', '/status')) as unknown as HubStatus;
  }

  async listDevices(): Promise<readonly DeviceView[]> {
    return (await this.#ask('GET', '/devices')) as unknown as readonly DeviceView[];
  }

  async showDevice(id: string): Promise<DeviceView> {
    return (await this.#ask('GET', devicePath(id))) as unknown as DeviceView;
  }

  async addDevice(device: NewDevice): Promise<AddedDevice> {
    return (await this.#ask('POST', '/devices', device as unknown as JsonValue)) as unknown as AddedDevice;
  }

  async deviceCredentials(id: string): Promise<string> {
    const answer = await this.#ask('GET', `${devicePath(id)}/credentials`);
    return isJsonObject(answer) && typeof answer.credentials === 'string' ? answer.credentials : '';
  }

  async removeDevice(id: string): Promise<void> {
    await this.#ask('DELETE', devicePath(id));
  }

  async audit({ subject, ...query }: AuditQuery): Promise<AuditPage> {
    return (await this.#ask('GET', withQuery('/audit', { ...query, ...subject }))) as unknown as AuditPage;
  }

  async verifyAudit(head?: string): Promise<AuditVerification> {
    const answer = await this.#ask('GET', withQuery('/audit/verification', { head }));
    return answer as unknown as AuditVerification;
  }

  #ask(method: 'GET' | 'POST' | 'DELETE', path: string, body?: JsonValue): Promise<JsonValue> {
    return adminRequest({ socket: this.#socket, method, path, ...(body === undefined ? {} : { body }) });
  }
}

function devicePath(id: string): string {
  return `/devices/${encodeURIComponent(id)}`;
}

function withQuery(path: string, members: Readonly<Record<string, string | number | boolean | undefined>>): string {
  const given = Object.entries(members).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)] as [string, string]],
  );
  return `${path}?${new URLSearchParams(given)}`;
}

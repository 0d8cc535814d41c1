/** The Pairing port for commands: the running hub over its admin socket. Without a hub there is no pairing. */
import type { JsonObject, JsonValue } from '../core/json.ts';
import type { ProfileView } from '../ports/admin.ts';
import type { PairedDevice, Pairing, PairingView, PairRequest, WindowRequest } from '../ports/pairing.ts';
import { readPairedDevice, readPairing, readProfiles } from './admin-answers.ts';
import { type AdminRequest, adminRequest } from './admin-client.ts';

const PATH = '/pairing';
/** The hub asks the device up to four times, 15 s each, and once more than a client waits for it. Milliseconds. */
const PAIR_DEADLINE = 90_000;

export class PairingClient implements Pairing {
  readonly #sockets: readonly string[];

  constructor(sockets: readonly string[]) {
    this.#sockets = sockets;
  }

  async open(request: WindowRequest): Promise<PairingView> {
    return readPairing(await this.#ask('POST', PATH, { ...request } as JsonObject));
  }

  async view(): Promise<PairingView> {
    return readPairing(await this.#ask('GET', PATH));
  }

  async close(): Promise<void> {
    await this.#ask('DELETE', PATH);
  }

  async identify(candidate: string): Promise<void> {
    await this.#ask('POST', `${PATH}/identify`, { candidate });
  }

  async pair({ code, ...request }: PairRequest): Promise<PairedDevice> {
    const body = { ...request, code: code.expose() } as JsonObject;
    return readPairedDevice(await this.#ask('POST', `${PATH}/devices`, body));
  }

  /** Of the configuration of the hub. */
  async profiles(): Promise<readonly ProfileView[]> {
    return readProfiles(await this.#ask('GET', '/profiles'));
  }

  #ask(method: AdminRequest['method'], path: string, body?: JsonValue): Promise<JsonValue> {
    const sockets = this.#sockets;
    return adminRequest({ sockets, method, path, deadline: PAIR_DEADLINE, ...(body === undefined ? {} : { body }) });
  }
}

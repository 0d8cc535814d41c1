import type { CoapRequest, CoapResponse } from '../core/coap-exchange.ts';
import type { LatchkeyError } from '../core/errors.ts';

/** One device, reachable (or not, right now) over some medium. Speaks CoAP requests and answers, nothing below. */

/** What the medium can carry, for callers that choose. */
export interface LinkLimits {
  /** Largest request body; blocks included. Bytes. */
  readonly maxBodyBytes: number;
  /** Whether the medium repeats lost messages by itself (CON does). */
  readonly isReliable: boolean;
  /** Whether anybody nearby can answer in the place of the device: what its key does not vouch for is nobody's word. */
  readonly isOpen?: boolean;
}

export interface LinkRequestOptions {
  /** Milliseconds. */
  readonly deadline: number;
  readonly signal?: AbortSignal;
  /**
   * The request goes on with what the one before began: on an open medium nobody else than who answered that may get it, and
   * `link_down` says that it is somebody else by now.
   */
  readonly samePeer?: boolean;
}

export interface DeviceLink {
  readonly name: string;
  readonly limits: LinkLimits;
  /** Whether the medium is open. An open serial line says nothing yet about the device behind it. */
  isUp(): boolean;
  /** Why it is not up, as a request would be refused; undefined while it is up. */
  fault?(): LatchkeyError | undefined;
  /**
   * One request and its answer, within `deadline` milliseconds.
   * @throws {LatchkeyError} `link_down`; `device_answer_lost` where the device may have acted on it; `device_no_answer`, `device_reset`, `link_busy`, `coap_*` for a broken answer
   */
  request(request: CoapRequest, options: LinkRequestOptions): Promise<CoapResponse>;
  /**
   * Whether the key of the device vouched for what came of the last request, on an open medium: there another one is sought
   * in the place of whoever could not prove itself. Undefined where the device has no way to vouch for such an answer.
   */
  proven?(isProven: boolean | undefined): void;
  /**
   * What came of the last request is nobody's word, and may be the device's all the same: on an open medium whoever else
   * answers to the name comes first, and nobody is set aside.
   */
  doubted?(): void;
  /** What is to be proven is another secret now: whoever was set aside for the last one may hold it, and is asked again. */
  askAnew?(): void;
  /** Calls back whenever the medium opens, and whenever the device was heard after a silence. The answer unsubscribes. */
  onSighting(listener: () => void): () => void;
  /** Wire bytes sent and received since start, frames dropped for a bad checksum, and the like; for status. */
  counters(): Readonly<Record<string, number>>;
  close(): Promise<void>;
}

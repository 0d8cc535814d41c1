import { UNREGISTERED } from '../../src/core/device-id.ts';
import type { ErrorCode } from '../../src/core/error-catalogue.ts';
import { Repeats } from '../../src/core/repeats.ts';
import type { DeviceAuthentication } from '../../src/ports/device-authentication.ts';
import type { Log } from '../../src/ports/log.ts';

/** A client that is refused needs nothing but the port. */
const REFUSALS = { window: 1_000, ofOneKind: 4, overall: 16 };
/** Levels of topics that are the hub's own words, with the default prefix. What else stands there may be anything. */
const WORDS: ReadonlySet<string> = new Set([
  'latchkey',
  'v1',
  'hub',
  'status',
  'introspect',
  'answer',
  'deliveries',
  '$SYS',
  '+',
  '#',
  '',
]);
const MOST_LEVELS = 8;

export interface RefusedClient {
  readonly code: ErrorCode;
  /** As it claims. */
  readonly device: string;
  /** Where it comes from, as far as the connection tells. */
  readonly address: string | undefined;
  readonly detail: string | undefined;
}

/** Whom the embedded broker refused, and what: a line each, and a sum in place of lines where they are many in a second. */
export class AccessLog {
  readonly #log: Log;
  readonly #devices: Pick<DeviceAuthentication, 'isRegistered'>;
  readonly #refusals: Repeats<Pick<RefusedClient, 'code' | 'device'>>;

  constructor(log: Log, devices: Pick<DeviceAuthentication, 'isRegistered'>) {
    this.#log = log;
    this.#devices = devices;
    this.#refusals = new Repeats(REFUSALS, (kind, count) => {
      log.info({ event: 'mqtt_refused', ...kind, count }, 'as many more were refused alike within a second');
    });
  }

  refused({ address, code, detail, device }: RefusedClient): void {
    const named = this.#devices.isRegistered(device) ? device : UNREGISTERED;
    if (!this.#refusals.tells(`${code} ${named}`, { code, device: named })) return;
    this.#log.info({ event: 'refused', code, device: named, address, detail }, 'an MQTT client was refused');
  }

  /** A topic or filter for the log: words of the hub's own and ids that are registered as they are, `?` for each other level. */
  plainTopic(topic: string): string {
    const levels = topic.split('/', MOST_LEVELS + 1);
    const shown = levels
      .slice(0, MOST_LEVELS)
      .map((level) => (WORDS.has(level) || this.#devices.isRegistered(level) ? level : UNREGISTERED));
    return [...shown, ...(levels.length > MOST_LEVELS ? ['…'] : [])].join('/');
  }
}

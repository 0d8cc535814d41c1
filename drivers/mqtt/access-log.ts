import type { ErrorCode } from '../../src/core/error-catalogue.ts';
import { Repeats } from '../../src/core/repeats.ts';
import type { Log } from '../../src/ports/log.ts';

/** As for HTTP: who is refused here needs nothing but the port. */
const REFUSALS = { window: 1_000, ofOneKind: 4, overall: 16 };
/** A level of a topic as people write them. What else stands there may be anything, and is for no log. */
const PLAIN_LEVEL = /^[a-z0-9.$+#_-]{0,32}$/;
const MOST_LEVELS = 8;

export interface RefusedClient {
  readonly code: ErrorCode;
  /** As `claimedDevice` has it. */
  readonly device: string;
  /** Where it comes from, as far as the connection tells. */
  readonly address: string | undefined;
  readonly detail: string | undefined;
}

/** Whom the embedded broker refused, and what: a line each, and a sum in place of lines where they are many in a second. */
export class AccessLog {
  readonly #log: Log;
  readonly #refusals: Repeats<Pick<RefusedClient, 'code' | 'device'>>;

  constructor(log: Log) {
    this.#log = log;
    this.#refusals = new Repeats(REFUSALS, (kind, count) => {
      log.info({ event: 'mqtt_refused', ...kind, count }, 'as many more were refused alike within a second');
    });
  }

  refused({ address, code, detail, device }: RefusedClient): void {
    if (!this.#refusals.tells(`${code} ${device}`, { code, device })) return;
    this.#log.info({ event: 'refused', code, device, address, detail }, 'an MQTT client was refused');
  }
}

/** A topic or filter for the log: its plain levels as they are, `?` for each other one. */
export function plainTopic(topic: string): string {
  const levels = topic.split('/', MOST_LEVELS + 1);
  const shown = levels.slice(0, MOST_LEVELS).map((level) => (PLAIN_LEVEL.test(level) ? level : '?'));
  return [...shown, ...(levels.length > MOST_LEVELS ? ['…'] : [])].join('/');
}

import { UNREGISTERED } from '../../src/core/device-id.ts';
import type { LatchkeyError } from '../../src/core/errors.ts';
import { Repeats } from '../../src/core/repeats.ts';
import type { DeviceAuthentication } from '../../src/ports/device-authentication.ts';
import type { Log, LogFields } from '../../src/ports/log.ts';

/** Lines within a second: 4 that end alike, 16 in all. The rest is in the sums, so a flood of questions is no flood of lines. */
const QUESTIONS = { window: 1_000, ofOneKind: 4, overall: 16 };

export interface AnsweredQuestion {
  readonly device: string;
  readonly qos: 0 | 1;
  /** Milliseconds. */
  readonly ms: number;
  readonly error: LatchkeyError | undefined;
}

/** One line for each question over MQTT, and a sum in place of lines where many end alike in a second. */
export class QuestionLog {
  readonly #log: Log;
  readonly #devices: Pick<DeviceAuthentication, 'isRegistered'>;
  readonly #questions: Repeats<LogFields>;

  /** @param devices the id in a topic is as good as the broker's ACL, and may be anything */
  constructor(log: Log, devices: Pick<DeviceAuthentication, 'isRegistered'>) {
    this.#log = log;
    this.#devices = devices;
    this.#questions = new Repeats(QUESTIONS, (kind, count) => {
      log.info({ event: 'mqtt_repeated', ...kind, count }, 'as many more questions ended alike within a second');
    });
  }

  /** `log` carries the id of the request. */
  answered({ device, error, ms, qos }: AnsweredQuestion, log: Log): void {
    const kind = { qos, ...(error === undefined ? {} : { code: error.code }) };
    const named = this.#named(device);
    if (!this.#questions.tells(`${qos} ${error?.code}`, kind)) return;
    if (error === undefined) {
      log.info({ event: 'mqtt', device: named, ...kind, ms }, 'answered');
      return;
    }
    const { detail, entry } = error;
    if (entry.status >= 500) log.warn({ event: 'refused', device: named, ...kind, ms, detail, error }, entry.title);
    else log.info({ event: 'refused', device: named, ...kind, ms, detail }, entry.title);
  }

  /** Where no answer can go, the log is all there is. */
  ignored(detail: string, device: string | undefined): void {
    const kind = { code: 'response_topic_refused', detail };
    if (!this.#questions.tells(detail, kind)) return;
    const named = device === undefined ? undefined : this.#named(device);
    this.#log.warn({ event: 'refused', ...kind, device: named }, 'a request was ignored');
  }

  #named(device: string): string {
    return this.#devices.isRegistered(device) ? device : UNREGISTERED;
  }

  /** Sums up what was not told yet. */
  close(): void {
    this.#questions.end();
  }
}

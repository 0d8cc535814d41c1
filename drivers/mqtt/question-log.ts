import type { LatchkeyError } from '../../src/core/errors.ts';
import { Repeats } from '../../src/core/repeats.ts';
import type { Log, LogFields } from '../../src/ports/log.ts';

/** As for HTTP: a second of a flood is 16 lines and their sums, and whoever tries something out sees every question. */
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
  readonly #questions: Repeats<LogFields>;

  constructor(log: Log) {
    this.#log = log;
    this.#questions = new Repeats(QUESTIONS, (kind, count) => {
      log.info({ event: 'mqtt_repeated', ...kind, count }, 'as many more questions ended alike within a second');
    });
  }

  /** `log` carries the id of the request. */
  answered({ device, error, ms, qos }: AnsweredQuestion, log: Log): void {
    const kind = { qos, ...(error === undefined ? {} : { code: error.code }) };
    if (!this.#questions.tells(`${qos} ${error?.code}`, kind)) return;
    if (error === undefined) {
      log.info({ event: 'mqtt', device, ...kind, ms }, 'answered');
      return;
    }
    const { detail, entry } = error;
    if (entry.status >= 500) log.warn({ event: 'refused', device, ...kind, ms, detail, error }, entry.title);
    else log.info({ event: 'refused', device, ...kind, ms, detail }, entry.title);
  }

  /** Where no answer can go, the log is all there is. */
  ignored(detail: string, device: string | undefined): void {
    const kind = { code: 'response_topic_refused', detail };
    if (!this.#questions.tells(detail, kind)) return;
    this.#log.warn({ event: 'refused', ...kind, device }, 'a request was ignored');
  }

  /** Sums up what was not told yet. */
  close(): void {
    this.#questions.end();
  }
}

import type { Log, LogFields } from '../../src/ports/log.ts';

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: LogFields;
  readonly message: string;
}

/** A log that keeps its lines for a test to read. */
export class QuietLog implements Log {
  readonly lines: LogLine[];
  readonly #bound: LogFields;

  constructor(lines: LogLine[] = [], bound: LogFields = {}) {
    this.lines = lines;
    this.#bound = bound;
  }

  debug(fields: LogFields, message: string): void {
    this.#keep('debug', fields, message);
  }

  info(fields: LogFields, message: string): void {
    this.#keep('info', fields, message);
  }

  warn(fields: LogFields, message: string): void {
    this.#keep('warn', fields, message);
  }

  error(fields: LogFields, message: string): void {
    this.#keep('error', fields, message);
  }

  child(fields: LogFields): Log {
    return new QuietLog(this.lines, { ...this.#bound, ...fields });
  }

  /** Codes of the events seen, in order. */
  events(): readonly unknown[] {
    return this.lines.map((line) => line.fields.event);
  }

  #keep(level: LogLine['level'], fields: LogFields, message: string): void {
    this.lines.push({ level, fields: { ...this.#bound, ...fields }, message });
  }
}

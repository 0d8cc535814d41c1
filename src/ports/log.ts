/** Fields of a log line. Values must be printable by design: a `Secret` prints as `[secret]`, bytes are not accepted. */
export interface LogFields {
  readonly [name: string]: unknown;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface Log {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /** A log whose every line carries these fields, such as the id that follows one request through the hub. */
  child(fields: LogFields): Log;
}

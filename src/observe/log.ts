import { pino } from 'pino';
import type { Log, LogFields } from '../ports/log.ts';
import { redactFields, redactText } from './redact.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Where lines go: each call is one line, its line end included. */
export interface LogDestination {
  write(line: string): void;
}

export interface FlushableLog extends Log {
  /** Writes out what is still buffered, before the process ends; not where the reader has stalled, since that never ends. */
  flush(): void;
  /** Resolves with true once all is written, and with false where that takes longer than `milliseconds`. */
  settled(milliseconds: number): Promise<boolean>;
  /** From now on, for every log that came from this one. */
  setLevel(level: LogLevel): void;
}

/** Milliseconds without progress after which the reader of the log counts as stalled: a full pipe, or a disk that hangs. */
const STALLED_AFTER = 1_000;
const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/**
 * A log that writes one JSON object a line: `level`, `time` (RFC 3339), the fields, `message`. Everything passes
 * redact.ts first. Without a destination it goes to standard output, buffered; the buffer is written out at exit.
 */
export function createLog(options: { readonly level: LogLevel; readonly destination?: LogDestination }): FlushableLog {
  const output = options.destination === undefined ? pino.destination({ dest: 1, sync: false }) : undefined;
  let threshold = LEVELS.indexOf(options.level);
  /** When the oldest line that is not written was logged. */
  let waitingSince: number | undefined;
  output?.on('drain', () => {
    waitingSince = undefined;
  });
  const isWanted = (level: LogLevel) => {
    if (LEVELS.indexOf(level) < threshold) return false;
    if (output !== undefined) waitingSince ??= performance.now();
    return true;
  };
  const logger = pino(
    {
      level: 'debug',
      base: null,
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: {},
    },
    output ?? options.destination ?? process.stdout,
  );
  return {
    ...wrap(() => logger, isWanted),
    flush() {
      if (waitingSince === undefined || performance.now() - waitingSince < STALLED_AFTER) output?.flushSync();
    },
    settled: (milliseconds) =>
      new Promise((resolve) => {
        if (output === undefined || waitingSince === undefined) return resolve(true);
        const timer = setTimeout(() => resolve(false), milliseconds);
        output.once('drain', () => {
          clearTimeout(timer);
          resolve(true);
        });
      }),
    setLevel(level) {
      threshold = LEVELS.indexOf(level);
    },
  };
}

/** A child is made with its first line: most requests have none of their own. */
function wrap(make: () => pino.Logger, isWanted: (level: LogLevel) => boolean): Log {
  let made: pino.Logger | undefined;
  const logger = () => {
    made ??= make();
    return made;
  };
  const write = (level: LogLevel, fields: LogFields, message: string) => {
    if (isWanted(level)) logger()[level](redactFields(fields), redactText(message));
  };
  return {
    debug: (fields, message) => write('debug', fields, message),
    info: (fields, message) => write('info', fields, message),
    warn: (fields, message) => write('warn', fields, message),
    error: (fields, message) => write('error', fields, message),
    child: (fields) => wrap(() => logger().child(redactFields(fields)), isWanted),
  };
}

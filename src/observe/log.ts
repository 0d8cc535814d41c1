import { pino } from 'pino';
import type { Log, LogFields, LogLevel } from '../ports/log.ts';
import { LogRateLimiter, type Subject, subjectOf } from './log-rate-limiter.ts';
import { redactFields, redactText } from './redact.ts';

export type { LogLevel };

/** Milliseconds without progress after which the reader of the log counts as stalled: a full pipe, or a disk that hangs. */
const STALLED_AFTER = 1_000;
const LEVELS: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

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

/**
 * A log that writes one JSON object a line: `level`, `time` (RFC 3339), the fields, `message`. Everything passes
 * log-rate-limiter.ts and redact.ts first, so every line has a length and every kind of line a rate. Without a destination
 * it goes to standard output, buffered; the buffer is written out at exit.
 */
export function createLog(options: { readonly level: LogLevel; readonly destination?: LogDestination }): FlushableLog {
  const output = options.destination === undefined ? pino.destination({ dest: 1, sync: false }) : undefined;
  let threshold = LEVELS[options.level];
  /** When the oldest line that is not written was logged. */
  let waitingSince: number | undefined;
  output?.on('drain', () => {
    waitingSince = undefined;
  });
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
  const write = (each: pino.Logger, level: LogLevel, fields: LogFields, message: string) => {
    if (output !== undefined) waitingSince ??= performance.now();
    each[level](redactFields(fields), redactText(message));
  };
  const limiter = new LogRateLimiter(({ level, fields }) =>
    write(logger, level, fields, 'as many more lines like it were held back'),
  );
  const door: Door = {
    lets: (level, fields, subject, message) =>
      LEVELS[level] >= threshold && limiter.passes(level, fields, subject, message),
    write,
  };
  return {
    ...wrap(() => logger, door, undefined),
    flush: () => {
      limiter.flush();
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
      threshold = LEVELS[level];
    },
  };
}

/** What every line passes, whichever child it is written to. */
interface Door {
  lets(level: LogLevel, fields: LogFields, subject: Subject | undefined, message: string): boolean;
  write(logger: pino.Logger, level: LogLevel, fields: LogFields, message: string): void;
}

/**
 * A child is made with its first line: most requests have none of their own.
 * @param subject what all lines are about, unless they say something else
 */
function wrap(make: () => pino.Logger, door: Door, subject: Subject | undefined): Log {
  let made: pino.Logger | undefined;
  const logger = () => {
    made ??= make();
    return made;
  };
  const write = (level: LogLevel, fields: LogFields, message: string) => {
    if (door.lets(level, fields, subjectOf(fields) ?? subject, message)) door.write(logger(), level, fields, message);
  };
  return {
    debug: (fields, message) => write('debug', fields, message),
    info: (fields, message) => write('info', fields, message),
    warn: (fields, message) => write('warn', fields, message),
    error: (fields, message) => write('error', fields, message),
    child: (fields) => wrap(() => logger().child(redactFields(fields)), door, subjectOf(fields) ?? subject),
  };
}

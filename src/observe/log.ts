import { pino } from 'pino';
import type { Log, LogFields } from '../ports/log.ts';
import { redactFields, redactText } from './redact.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Where lines go: each call is one line, its line end included. */
export interface LogDestination {
  write(line: string): void;
}

export interface FlushableLog extends Log {
  /** Writes out what is still buffered, before the process ends. */
  flush(): void;
}

/**
 * A log that writes one JSON object a line: `level`, `time` (RFC 3339), the fields, `message`. Everything passes
 * redact.ts first. Without a destination it goes to standard output, buffered; the buffer is written out at exit.
 */
export function createLog(options: { readonly level: LogLevel; readonly destination?: LogDestination }): FlushableLog {
  const output = options.destination === undefined ? pino.destination({ dest: 1, sync: false }) : undefined;
  const logger = pino(
    {
      level: options.level,
      base: null,
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: {},
    },
    output ?? options.destination ?? process.stdout,
  );
  return { ...wrap(() => logger), flush: () => output?.flushSync() };
}

/** A child is made with its first line: most requests have none of their own. */
function wrap(make: () => pino.Logger): Log {
  let made: pino.Logger | undefined;
  const logger = () => {
    made ??= make();
    return made;
  };
  const write = (level: LogLevel, fields: LogFields, message: string) => {
    if (logger().isLevelEnabled(level)) logger()[level](redactFields(fields), redactText(message));
  };
  return {
    debug: (fields, message) => write('debug', fields, message),
    info: (fields, message) => write('info', fields, message),
    warn: (fields, message) => write('warn', fields, message),
    error: (fields, message) => write('error', fields, message),
    child: (fields) => wrap(() => logger().child(redactFields(fields))),
  };
}

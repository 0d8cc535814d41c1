import { spawn } from 'node:child_process';
import { type LoadedConfig, loadConfig, SYSTEM_CONFIG } from '../config/load.ts';
import type { ErrorCode } from '../core/error-catalogue.ts';
import { coded, LatchkeyError } from '../core/errors.ts';
import { startHub } from '../hub.ts';
import { reportCrashes } from '../observe/crash.ts';
import { createLog } from '../observe/log.ts';
import type { Log, LogFields } from '../ports/log.ts';
import { addExample, type CliCommand } from './command.ts';
import { EXIT } from './output.ts';

/** The hub promises to be gone within 5 s of the signal; what is left is for the log and the end of the process. */
const STOP_MILLISECONDS = 4_500;

/** Nothing changes by starting again: the operator has to mend the configuration, a file that it names, or the state. */
const NEEDS_MENDING: ReadonlySet<ErrorCode> = new Set([
  'config_syntax',
  'config_unknown_key',
  'config_invalid',
  'file_unreadable',
  'jwks_invalid',
  'store_corrupt',
] as const);

export const command: CliCommand = {
  exitStatus: ({ code }) => (NEEDS_MENDING.has(code) ? EXIT.configuration : EXIT.failure),
  configure(command, terminal) {
    command
      .description('Run the hub until it is told to stop (SIGTERM or SIGINT). Logs JSON lines to standard output.')
      .option(
        '-c, --config <file>',
        `configuration, TOML (default: $LATCHKEY_CONFIG, else ${SYSTEM_CONFIG}, else none)`,
      )
      .action((options: { config?: string }) => run(options.config, terminal.environment));
    addExample(command, '$ latchkey run --config latchkey.toml');
  },
};

type Environment = Readonly<Record<string, string | undefined>>;

async function run(path: string | undefined, environment: Environment): Promise<void> {
  const loaded = loadConfig({ path, environment });
  const log = createLog({ level: loaded.config.log.level });
  reportCrashes((thrown) => {
    log.error({ event: 'crash', code: 'internal', error: thrown }, 'Something inside the hub failed; it stops.');
    log.flush();
  });
  const stopAsked = stopSignal();
  tellConfig(loaded, log);
  try {
    const starting = startHub({ config: loaded.config, log });
    const hub = await Promise.race([starting, stopAsked.then(() => undefined)]);
    let told = Promise.resolve();
    if (hub !== undefined) {
      log.info({ event: 'ready', address: hub.address, admin_socket: hub.adminSocket }, 'The hub is ready.');
      log.flush();
      told = notifySystemd('READY=1', environment, log);
    }
    const signal = await stopAsked;
    log.info({ event: 'stopping', signal }, 'The hub stops.');
    const toldStop = told.then(() => notifySystemd('STOPPING=1', environment, log));
    // One that is still starting is stopped once it has, or given up with the process.
    await withinStopTime(Promise.all([starting.then((started) => started.stop()), toldStop]));
    log.info({ event: 'stopped' }, 'The hub has stopped.');
  } catch (thrown) {
    const error = coded(thrown);
    // A stack helps whoever mends a defect, and nobody else.
    const facts = error.code === 'internal' ? { error } : { detail: error.detail };
    log.error({ event: 'failed', code: error.code, ...facts }, error.entry.title);
    throw error;
  } finally {
    log.flush();
    // Whatever a failed stop left open must not keep the process.
    setTimeout(() => process.exit(), 250).unref();
  }
}

function tellConfig({ config, file }: LoadedConfig, log: Log): void {
  log.info({ event: 'configured', file: file ?? null, state_dir: config.stateDir }, 'The configuration is read.');
  if (config.issuers.length > 0) return;
  log.warn(
    { event: 'no_issuer', file: file ?? null },
    `No authorization server is configured, so every token is refused. Add a table [[issuers]] with issuer = "https://…" to ${file ?? SYSTEM_CONFIG} and start the hub again.`,
  );
}

/** Resolves with the first signal to stop; a second one ends the process at once. */
function stopSignal(): Promise<string> {
  return new Promise((resolve) => {
    let asked = false;
    const onSignal = (signal: NodeJS.Signals) => {
      if (asked) process.exit(signal === 'SIGINT' ? 130 : 143);
      asked = true;
      resolve(signal);
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}

async function withinStopTime(stopped: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new LatchkeyError('internal', `not stopped after ${STOP_MILLISECONDS} ms`));
    }, STOP_MILLISECONDS);
  });
  await Promise.race([stopped, late]).finally(() => clearTimeout(timer));
}

/**
 * Tells systemd how we are, if it asked (sd_notify(3)). Node has no datagram unix sockets, so systemd's own tool does it;
 * the unit says NotifyAccess=all for that. A hub that cannot tell still works.
 */
function notifySystemd(state: string, environment: Environment, log: Log): Promise<void> {
  if (!environment.NOTIFY_SOCKET) return Promise.resolve();
  return new Promise((resolve) => {
    const failed = (fields: LogFields) => {
      log.warn({ event: 'notify_failed', state, ...fields }, 'systemd could not be told.');
      resolve();
    };
    const child = spawn('systemd-notify', [state], { stdio: 'ignore' });
    child.on('error', (error) => failed({ error }));
    child.on('exit', (status) => (status === 0 ? resolve() : failed({ status })));
  });
}

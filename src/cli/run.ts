import { type LoadedConfig, loadConfig, SYSTEM_CONFIG } from '../config/load.ts';
import type { ErrorCode } from '../core/error-catalogue.ts';
import { coded, LatchkeyError } from '../core/errors.ts';
import { type RunningHub, startHub } from '../hub.ts';
import { reportCrashes } from '../observe/crash.ts';
import { createLog, type FlushableLog } from '../observe/log.ts';
import type { Log } from '../ports/log.ts';
import { addExample, type CliCommand } from './command.ts';
import { EXIT } from './output.ts';
import { endAtOnce, RunSignals } from './run-signals.ts';
import { forgetFailedStart, noteFailedStart } from './start-record.ts';
import { claimStateFolder, withHolder } from './state-folder.ts';
import { Systemd } from './systemd.ts';

/** The hub is gone within 5 s of the signal, where its disk answers. Milliseconds. */
const STOP_MILLISECONDS = 4_500;
/** What a slow disk gets beyond that: the unit has systemd wait for 10 s. Milliseconds from the signal. */
const STOP_AT_MOST = 9_000;
/** Milliseconds for the last lines of the log. */
const LOG_MILLISECONDS = 500;
/** Milliseconds for systemd to hear that the hub stops. It hears of the end in any case. */
const NOTIFY_MILLISECONDS = 500;
/** Milliseconds for what is left, such as the line on standard error that says what failed. */
const EXIT_MILLISECONDS = 250;

/** Nothing changes by starting again: the operator has to mend the configuration, a file that it names, or the state. */
const NEEDS_MENDING: ReadonlySet<ErrorCode> = new Set([
  'config_syntax',
  'config_unknown_key',
  'config_invalid',
  'file_unreadable',
  'jwks_invalid',
  'store_corrupt',
  'store_lost',
  'audit_lost',
  'store_not_ours',
  'store_open_to_others',
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
  const { stateDir } = loaded.config;
  const log = createLog({ level: loaded.config.log.level });
  reportCrashes((thrown) => {
    log.error({ event: 'crash', code: 'internal', error: thrown }, 'Something inside the hub failed; it stops.');
    log.flush();
  });
  const signals = new RunSignals();
  const systemd = new Systemd(environment, log);
  tellConfig(loaded, log);
  let isReady = false;
  try {
    claim(stateDir, log);
    const starting = startHub({ config: loaded.config, log });
    const hub = await Promise.race([starting, signals.stop.then(() => undefined)]);
    if (hub !== undefined) {
      isReady = true;
      forgetFailedStart(stateDir);
      log.info({ event: 'ready', address: hub.address, admin_socket: hub.adminSocket }, 'The hub is ready.');
      void systemd.tell('READY=1');
      systemd.beginHeartbeat();
      signals.onReload(reloader({ hub, systemd, log, load: () => loadConfig({ path, environment }) }));
    }
    const signal = await signals.stop;
    log.info({ event: 'stopping', signal }, 'The hub stops.');
    // One that is still starting is stopped once it has, or given up with the process.
    const told = systemd.tell('STOPPING=1');
    await withinStopTime(
      starting.then((started) => started.stop()),
      log,
    );
    await Promise.race([told, new Promise((resolve) => setTimeout(resolve, NOTIFY_MILLISECONDS).unref())]);
    log.info({ event: 'stopped' }, 'The hub has stopped.');
  } catch (thrown) {
    const error = coded(withHolder(thrown, stateDir));
    // A stack helps with a defect alone.
    const facts = error.code === 'internal' ? { error } : { detail: error.detail };
    log.error({ event: 'failed', code: error.code, ...facts }, error.entry.title);
    if (!isReady && !NOT_OF_THIS_FOLDER.has(error.code)) noteFailedStart(stateDir, error);
    throw error;
  } finally {
    systemd.endHeartbeat();
    // The store is closed, or nothing closes it: what is stuck in a write must not keep the process.
    if (!(await log.settled(LOG_MILLISECONDS))) endAtOnce();
    // Whatever a failed stop left open must not keep it either.
    setTimeout(() => process.exit(), EXIT_MILLISECONDS).unref();
  }
}

/** The folder is that of another hub, or of another user: nothing is written there. */
const NOT_OF_THIS_FOLDER: ReadonlySet<ErrorCode> = new Set([
  'store_locked',
  'store_not_ours',
  'store_open_to_others',
] as const);

function claim(stateDir: string, log: Log): void {
  if (!claimStateFolder(stateDir)) return;
  log.warn(
    { event: 'state_folder_closed', folder: stateDir },
    'Other users could write in the state folder. They cannot any more; see whether something there was changed.',
  );
}

function tellConfig({ config, file }: LoadedConfig, log: Log): void {
  log.info({ event: 'configured', file: file ?? null, state_dir: config.stateDir }, 'The configuration is read.');
  if (config.issuers.length > 0) return;
  log.warn(
    { event: 'no_issuer', file: file ?? null },
    `No authorization server is configured, so every token is refused. Add a table [[issuers]] with issuer = "https://…" to ${file ?? SYSTEM_CONFIG} and start the hub again.`,
  );
}

/** Reads the configuration again at each call, one call after the other. One that is not good changes nothing. */
function reloader(parts: {
  readonly hub: RunningHub;
  readonly systemd: Systemd;
  readonly log: FlushableLog;
  readonly load: () => LoadedConfig;
}): () => void {
  const { hub, load, log, systemd } = parts;
  let last: Promise<void> = Promise.resolve();
  const reload = async () => {
    await systemd.tell('RELOADING=1');
    try {
      const { changed, config, file, needsRestart } = await hub.reload(load);
      log.setLevel(config.log.level);
      const fields = { event: 'reloaded', file: file ?? null, changed, needs_restart: needsRestart };
      if (needsRestart.length === 0) log.info(fields, 'The configuration is read again.');
      else log.warn(fields, `The configuration is read again. A restart is needed for: ${needsRestart.join(', ')}.`);
    } catch (thrown) {
      const { code, detail } = coded(thrown);
      log.error(
        { event: 'reload_refused', code, detail },
        'The configuration cannot be used. The hub goes on with the one that it has.',
      );
    }
    await systemd.tell('READY=1');
  };
  return () => {
    last = last.then(reload);
  };
}

async function withinStopTime(stopped: Promise<unknown>, log: Log): Promise<void> {
  const slow = setTimeout(() => {
    log.warn({ event: 'stop_slow', ms: STOP_MILLISECONDS }, 'The hub is slow to stop: its disk takes its time.');
  }, STOP_MILLISECONDS);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      // The exit of the process would wait for the disk too.
      setTimeout(() => endAtOnce(), EXIT_MILLISECONDS / 2);
      reject(new LatchkeyError('internal', `not stopped after ${STOP_AT_MOST} ms`));
    }, STOP_AT_MOST);
  });
  await Promise.race([stopped, late]).finally(() => {
    clearTimeout(timer);
    clearTimeout(slow);
  });
}

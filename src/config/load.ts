import { existsSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parse, TomlError } from 'smol-toml';
import { LatchkeyError } from '../core/errors.ts';
import { camel } from './camel.ts';
import { type Problem, problemsOf } from './problems.ts';
import { brokenRules } from './rules.ts';
import { type Config, type Settings, schema } from './schema.ts';
import { TomlPositions } from './toml-positions.ts';

/** Where an installed hub looks. */
export const SYSTEM_CONFIG = '/etc/latchkey/latchkey.toml';
/** Where the unit of an installed hub keeps state and socket. A shell has not the unit's $STATE_DIRECTORY. */
const SYSTEM_STATE = '/var/lib/latchkey';
const SYSTEM_SOCKET = '/run/latchkey/admin.sock';

/** A hub with 8,192 issuers would still fit; a folder full of logs given by mistake does not. */
const MAX_BYTES = 1_048_576;

type Environment = Readonly<Record<string, string | undefined>>;

export interface LoadedConfig {
  readonly config: Config;
  /** The file it was read from; undefined where there is none and the defaults hold. */
  readonly file: string | undefined;
  /** Where a hub with this configuration may have its admin socket, the likeliest place first. */
  readonly adminSockets: readonly string[];
}

/** Path of the configuration: the one asked for, $LATCHKEY_CONFIG, the system's if it exists, or none. */
function findConfig(asked: string | undefined, environment: Environment): string | undefined {
  const named = asked ?? (environment.LATCHKEY_CONFIG || undefined);
  if (named !== undefined) return resolve(named);
  return existsSync(SYSTEM_CONFIG) ? SYSTEM_CONFIG : undefined;
}

/**
 * The configuration, checked and frozen.
 * @throws {LatchkeyError} `file_unreadable`, `config_syntax`, `config_unknown_key`, `config_invalid`; the detail names file and line
 */
export function loadConfig(options: {
  readonly path?: string | undefined;
  readonly environment: Environment;
}): LoadedConfig {
  const file = findConfig(options.path, options.environment);
  const text = file === undefined ? '' : readText(file);
  const folder = file === undefined ? process.cwd() : dirname(file);
  const origin = { file: file ?? 'defaults', folder, environment: options.environment };
  const settings = checked(text, origin);
  const config = camel(withPaths(settings, origin));
  return { config, file, adminSockets: socketsOf(settings, config.admin.socket, file) };
}

/**
 * An installed hub has its socket where its unit says, which the environment of a shell does not. A configuration with a
 * state folder of its own is that of another hub, unless it is the system's.
 */
function socketsOf(settings: Settings, own: string, file: string | undefined): readonly string[] {
  if (settings.admin.socket !== undefined) return [own];
  const mayBeSystem = settings.state_dir === undefined || file === SYSTEM_CONFIG;
  return mayBeSystem && own !== SYSTEM_SOCKET ? [own, SYSTEM_SOCKET] : [own];
}

function readText(file: string): string {
  try {
    if (statSync(file).size > MAX_BYTES) throw new LatchkeyError('config_invalid', `${file} is larger than 1 MiB`);
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof LatchkeyError) throw error;
    const reason = (error as NodeJS.ErrnoException).code ?? 'unreadable';
    throw new LatchkeyError('file_unreadable', `${file} (${reason})`, { cause: error });
  }
}

interface Origin {
  /** Named in errors. */
  readonly file: string;
  /** What relative paths are relative to. */
  readonly folder: string;
  readonly environment: Environment;
}

/** As `loadConfig`, from text. */
export function parseConfig(text: string, origin: Origin): Config {
  return camel(withPaths(checked(text, origin), origin));
}

function checked(text: string, origin: Origin): Settings {
  const document = parseToml(text, origin.file);
  // Compiling a parser pays for itself after some hundred documents; there is one.
  const parsed = schema.safeParse(document, { reportInput: true, jitless: true });
  const problems = parsed.success ? brokenRules(parsed.data) : problemsOf(schema, parsed.error.issues);
  if (!parsed.success || problems.length > 0) throw refusal(text, origin.file, problems);
  return parsed.data;
}

function parseToml(text: string, file: string): object {
  try {
    return parse(text, { maxDepth: 16 });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const reason = error.message.split('\n')[0]?.replace(/^Invalid TOML document: /, '') ?? '';
    throw new LatchkeyError('config_syntax', `${file}:${error.line}:${error.column}: ${reason}`);
  }
}

/** All problems in one error, in the order of the file; the code is that of the first. */
function refusal(text: string, file: string, problems: readonly Problem[]): LatchkeyError {
  const positions = new TomlPositions(text);
  const placed = problems
    .map((problem) => ({ ...problem, position: positions.find(problem.path) ?? { line: 1, column: 1 } }))
    .sort((a, b) => a.position.line - b.position.line || a.position.column - b.position.column);
  const details = placed.map(({ position, words }) => `${file}:${position.line}:${position.column}: ${words}`);
  return new LatchkeyError(placed[0]?.code ?? 'config_invalid', details.join('\n'));
}

/** A unix socket's address holds 107 bytes and a NUL (unix(7)). */
const SOCKET_PATH_BYTES = 107;

function withPaths(settings: Settings, { folder, environment, file }: Origin) {
  const at = (path: string | undefined) => (path === undefined ? undefined : resolve(folder, path));
  const stateDir = at(settings.state_dir) ?? defaultStateDir(environment);
  const socket =
    at(settings.admin.socket) ?? join(systemdFolder(environment, 'RUNTIME_DIRECTORY') ?? stateDir, 'admin.sock');
  if (Buffer.byteLength(socket) > SOCKET_PATH_BYTES) {
    throw new LatchkeyError(
      'config_invalid',
      `${file}: the path of the admin socket is longer than ${SOCKET_PATH_BYTES} bytes: set admin.socket`,
    );
  }
  return {
    ...settings,
    state_dir: stateDir,
    http: {
      ...settings.http,
      tls_cert_file: at(settings.http.tls_cert_file),
      tls_key_file: at(settings.http.tls_key_file),
    },
    admin: { socket },
    mqtt: {
      ...settings.mqtt,
      password_file: at(settings.mqtt.password_file),
      ca_file: at(settings.mqtt.ca_file),
      cert_file: at(settings.mqtt.cert_file),
      key_file: at(settings.mqtt.key_file),
    },
    issuers: settings.issuers.map((issuer) => ({
      ...issuer,
      jwks_file: at(issuer.jwks_file),
      ca_file: at(issuer.ca_file),
      client_secret_file: at(issuer.client_secret_file),
      client_key_file: at(issuer.client_key_file),
      client_cert_file: at(issuer.client_cert_file),
    })),
  };
}

/** systemd.exec(5): several folders are separated by colons; the unit has one. */
function systemdFolder(environment: Environment, name: 'STATE_DIRECTORY' | 'RUNTIME_DIRECTORY'): string | undefined {
  return environment[name]?.split(':')[0] || undefined;
}

/** The state folder where none is set: the unit's, that of an installed hub, or one in the home of the user. */
export function defaultStateDir(environment: Environment, installed = SYSTEM_STATE): string {
  const unit = systemdFolder(environment, 'STATE_DIRECTORY');
  if (unit !== undefined) return unit;
  return existsSync(installed) ? installed : join(environment.HOME || homedir(), '.local/state/latchkey');
}

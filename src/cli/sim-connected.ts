/** `latchkey sim device --connected`: a device that has its hub verify, with a small HTTP server for its clients. */
import { readCredentialsFile } from '../codec/credentials-file.ts';
import { fromUtf8 } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { describeConnected } from '../sim/connected-event.ts';
import { type ConnectedSimulatorOptions, startConnectedDevice } from '../simulator.ts';
import type { Terminal } from './command.ts';
import type { Simulation } from './simulation.ts';

const MAX_CREDENTIALS_BYTES = 16_384;
const MAX_CA_BYTES = 262_144;
/** MQTT has room for no longer one (MQTT 5.0 §3.1.3.6). */
const MAX_PASSWORD_BYTES = 65_535;
/** Milliseconds: longer than the hub waits for an authorization server. */
const HUB_DEADLINE = 10_000;
const LOOPBACK = ['127.0.0.1', '[::1]', 'localhost'];

export interface ConnectedOptions {
  readonly connected?: string;
  readonly credentials?: string;
  readonly listen?: string;
  readonly brokerCa?: string;
  readonly passwordFile?: string;
  readonly topicPrefix: string;
  readonly scope: string;
  readonly takeStale?: boolean;
}

/** @throws {LatchkeyError} `usage`, `file_unreadable`, `credentials_file_invalid` */
export async function readConnectedOptions(
  options: ConnectedOptions,
  terminal: Terminal,
): Promise<ConnectedSimulatorOptions> {
  const broker = brokerUrl(options.connected ?? '');
  const listen = faceAddress(options.listen ?? 'http://127.0.0.1:0');
  const { brokerCa, credentials: file, passwordFile, scope, topicPrefix } = options;
  if (file === undefined) throw new LatchkeyError('usage', '--connected needs --credentials');
  const credentials = readCredentialsFile(fromUtf8(await terminal.read(file, MAX_CREDENTIALS_BYTES)));
  return {
    broker,
    ...(brokerCa === undefined ? {} : { brokerCa: fromUtf8(await terminal.read(brokerCa, MAX_CA_BYTES)) }),
    ...(passwordFile === undefined ? {} : { brokerPassword: await readPassword(passwordFile, terminal) }),
    topicPrefix,
    credentials,
    listen,
    policy: { scope, takesStale: options.takeStale === true },
    deadline: HUB_DEADLINE,
  };
}

export function simulateConnected(options: ConnectedSimulatorOptions, simulation: Simulation): Promise<void> {
  return simulation.run(options.credentials.device, () =>
    startConnectedDevice({ ...options, onEvent: (event) => simulation.tell(event, describeConnected) }),
  );
}

/** Line ends at its end are the editor's. */
async function readPassword(file: string, terminal: Terminal): Promise<Secret<string>> {
  const text = fromUtf8(await terminal.read(file, MAX_PASSWORD_BYTES)).replace(/[\r\n]+$/, '');
  if (text === '') throw new LatchkeyError('usage', '--password-file: the file is empty');
  return new Secret(text);
}

function brokerUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isBroker = url !== undefined && ['mqtt:', 'mqtts:'].includes(url.protocol) && url.hostname !== '';
  if (!isBroker || url.username !== '' || !['', '/'].includes(url.pathname)) {
    throw new LatchkeyError('usage', '--connected takes mqtt://HOST:PORT or mqtts://HOST:PORT');
  }
  return text;
}

/** Loopback alone: tokens and proofs come in without TLS. */
function faceAddress(text: string): ConnectedSimulatorOptions['listen'] {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.protocol !== 'http:' || !LOOPBACK.includes(url.hostname) || url.pathname !== '/') {
    throw new LatchkeyError('usage', '--listen takes http://127.0.0.1:PORT for a connected device');
  }
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port === '' ? 80 : Number(url.port) };
}

/** `latchkey sim device --connected`: a device that has its hub judge, with a small HTTP server for its clients. */
import { readCredentialsFile } from '../codec/credentials-file.ts';
import { fromUtf8 } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';
import { describeConnected } from '../sim/connected-event.ts';
import { type ConnectedSimulatorOptions, startConnectedDevice } from '../simulator.ts';
import type { Terminal } from './command.ts';
import type { Simulation } from './simulation.ts';

const MAX_CREDENTIALS_BYTES = 16_384;
const MAX_CA_BYTES = 262_144;
/** Milliseconds: longer than the hub waits for an authorization server. */
const HUB_DEADLINE = 10_000;
const LOOPBACK = ['127.0.0.1', '[::1]', 'localhost'];

export interface ConnectedOptions {
  readonly connected?: string;
  readonly credentials?: string;
  readonly listen?: string;
  readonly brokerCa?: string;
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
  const { brokerCa, credentials: file, scope, topicPrefix } = options;
  if (file === undefined) throw new LatchkeyError('usage', '--connected needs --credentials');
  const credentials = readCredentialsFile(fromUtf8(await terminal.read(file, MAX_CREDENTIALS_BYTES)));
  return {
    broker,
    ...(brokerCa === undefined ? {} : { brokerCa: fromUtf8(await terminal.read(brokerCa, MAX_CA_BYTES)) }),
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

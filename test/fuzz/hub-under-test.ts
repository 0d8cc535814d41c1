/** The built hub with every way in open, and what has to hold of it after each batch of inputs. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { readCredentialsFile } from '../../src/codec/credentials-file.ts';
import { freePort } from '../fixtures/free-port.ts';
import { HubFolder, type HubProcess } from '../fixtures/hub-process.ts';
import { StaticIssuer } from '../fixtures/static-issuer.ts';
import type { Adapter } from '../fixtures/virtual-radio/adapter.ts';
import { VirtualRadio } from '../fixtures/virtual-radio/virtual-radio.ts';

/** Memory that the hub and its child processes may have together; bytes. Idle they have 150 MiB. */
const MEMORY = 700 * 1_048_576;
/** Longest that the hub may take to answer while it is fed with noise; milliseconds. */
const ANSWER_DEADLINE = 5_000;

export interface HubUnderTest {
  readonly folder: HubFolder;
  readonly hub: HubProcess;
  readonly issuer: StaticIssuer;
  /** Where the hub opens its line `bench`. */
  readonly line: TcpEnd;
  readonly air: VirtualRadio;
  readonly adapter: Adapter;
  /** Port of the embedded broker. */
  readonly mqttPort: number;
  /** Password of the connected device `ekg-1`. */
  readonly password: string;
  /** @throws {Error} where the hub ended, does not answer, wrote a line that is not JSON, or grew too large */
  check(): Promise<void>;
  close(): Promise<void>;
}

export async function openHubUnderTest(): Promise<HubUnderTest> {
  const folder = new HubFolder();
  const issuer = new StaticIssuer();
  issuer.writeJwks(join(folder.path, 'jwks.json'));
  const line = await TcpEnd.open();
  const air = new VirtualRadio();
  const adapter = await air.plugIn({ maximumLinks: 8 });
  const mqttPort = await freePort();
  folder.configure(
    [
      '[delivery]\nwait = "100ms"\nattempt_timeout = "1s"\n',
      `[[issuers]]\nissuer = "${issuer.issuer}"\njwks_file = "jwks.json"\n`,
      `[[lines]]\nname = "bench"\npath = "tcp://127.0.0.1:${line.port}"\nack_timeout = "200ms"\n`,
      `[ble]\nadapter = "${adapter.path}"\nvisit = "50ms"\nlinger = "50ms"\nconnect_timeout = "2s"\noperation_timeout = "1s"\n`,
      `[mqtt]\nembedded = true\nembedded_listen = "127.0.0.1:${mqttPort}"\njson = true\n`,
    ].join(''),
  );
  const add = async (...args: readonly string[]) => {
    const { err, status } = await folder.command('devices', 'add', ...args, '--config', folder.config);
    if (status !== 0) throw new Error(err);
  };
  const takesTokens = (id: string, ...place: readonly string[]) =>
    add(
      id,
      '--audience',
      `coap://${id}`,
      ...place,
      '--allow',
      'read=FETCH temperature',
      '--trust',
      join(folder.path, id),
    );
  await takesTokens('tube-1', '--line', 'bench');
  await takesTokens('tube-2', '--ble');
  await takesTokens('tube-3', '--ble');
  await add('ekg-1', '--audience', 'https://ekg-1.ward.example');
  const { out } = await folder.command('devices', 'credentials', 'ekg-1', '--out', '-', '--config', folder.config);
  const password = readCredentialsFile(out).httpSecret.expose();
  const hub = await folder.start();
  let read = 0;
  return {
    folder,
    hub,
    issuer,
    line,
    air,
    adapter,
    mqttPort,
    password,
    async check() {
      const answer = await fetch(`${hub.address}/jwks`, { signal: AbortSignal.timeout(ANSWER_DEADLINE) });
      await answer.arrayBuffer();
      if (!answer.ok) throw new Error(`GET /jwks was answered ${answer.status}`);
      for (; read < hub.output.length; read += 1) checkLine(hub.output[read] as string);
      const memory = memoryOf(hub.pid);
      if (memory > MEMORY) throw new Error(`the hub has ${Math.round(memory / 1_048_576)} MiB`);
    },
    async close() {
      await hub.stop();
      await line.close();
      await air.close();
      await folder.remove();
    },
  };
}

/** @throws {Error} for what is no line of the log, and for a crash */
function checkLine(line: string): void {
  let parsed: { readonly event?: unknown; readonly level?: unknown };
  try {
    parsed = JSON.parse(line) as typeof parsed;
  } catch (error) {
    throw new Error(`not a line of the log: ${line.slice(0, 200)}`, { cause: error });
  }
  if (parsed.event === 'crash') throw new Error(`the hub crashed: ${line}`);
  // A fault of the hub, which no bytes of a peer may bring about.
  if (line.includes('"code":"internal"')) throw new Error(`an error without a code: ${line.slice(0, 2_000)}`);
}

/** Resident bytes of a process and its children. */
function memoryOf(pid: number): number {
  if (!existsSync(`/proc/${pid}/status`)) return 0;
  const own = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '0';
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) => {
    const file = `/proc/${pid}/task/${task}/children`;
    return existsSync(file)
      ? readFileSync(file, 'utf8')
          .split(' ')
          .filter((child) => child !== '')
      : [];
  });
  return Number(own) * 1_024 + children.reduce((sum, child) => sum + memoryOf(Number(child)), 0);
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening');
  return address.port;
}

/** A server that the hub connects to: a network serial server, or a broker. The last connection counts. */
export class TcpEnd {
  readonly port: number;
  /** Called for all that the hub sends. */
  onData: (chunk: Buffer) => void = () => undefined;
  /** Called when the hub has connected. */
  onConnection: () => void = () => undefined;
  readonly #server: Server;
  #socket: Socket | undefined;

  private constructor(server: Server) {
    this.#server = server;
    this.port = portOf(server);
    server.on('connection', (socket) => {
      this.#socket?.destroy();
      this.#socket = socket;
      socket.on('data', (chunk) => this.onData(chunk));
      // The hub hangs up on a peer that breaks the rules.
      socket.on('error', () => socket.destroy());
      this.onConnection();
    });
  }

  static open(): Promise<TcpEnd> {
    const server = createServer({ noDelay: true });
    return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(new TcpEnd(server))));
  }

  get isConnected(): boolean {
    return this.#socket !== undefined && !this.#socket.destroyed;
  }

  write(bytes: Uint8Array): Promise<void> {
    const socket = this.#socket;
    if (socket === undefined || socket.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        // A connection takes thousands of writes, and would keep a listener of each.
        socket.off('close', done);
        resolve();
      };
      socket.once('close', done);
      socket.write(bytes, done);
    });
  }

  async close(): Promise<void> {
    this.#socket?.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

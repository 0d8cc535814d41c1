/** A server of another project in a process group of its own, from its start until it is ended. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds. Java takes most of a minute where others use the processor too. */
const START_DEADLINE = 180_000;
const STOP_DEADLINE = 10_000;

export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Answers with 200 as soon as it is up. */
  readonly readyAt: string;
}

export class ServerProcess {
  readonly #child: ChildProcess;
  readonly #leave: () => void;
  #said = '';
  #error: Error | undefined;

  private constructor({ command, args, cwd, env }: ServerCommand) {
    this.#child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own: what it starts ends with it.
      detached: true,
      env: { ...process.env, ...env },
      ...(cwd === undefined ? {} : { cwd }),
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.#said = (this.#said + chunk.toString()).slice(-4_000);
      });
    this.#child.once('error', (error) => {
      this.#error = error;
    });
    this.#leave = () => killGroup(this.#child, 'SIGKILL');
    process.once('exit', this.#leave);
  }

  /** Resolves when it answers. @throws {Error} with what it said, where it ends or takes too long */
  static async start(command: ServerCommand): Promise<ServerProcess> {
    const server = new ServerProcess(command);
    const start = performance.now();
    while (!(await isUp(command.readyAt))) {
      const late = performance.now() - start > START_DEADLINE;
      if (late || server.#isOver) {
        await server.close();
        throw new Error(`${command.command} does not start: ${server.#error?.message ?? server.#said}`);
      }
      await sleep(100);
    }
    return server;
  }

  /** The end of its output. */
  get said(): string {
    return this.#said;
  }

  /** Ends it, the hard way if it takes too long. May be called again. */
  async close(): Promise<void> {
    process.removeListener('exit', this.#leave);
    if (this.#isOver) return;
    const exited = once(this.#child, 'exit');
    killGroup(this.#child, 'SIGTERM');
    const late = setTimeout(this.#leave, STOP_DEADLINE);
    await exited;
    clearTimeout(late);
  }

  get #isOver(): boolean {
    return this.#error !== undefined || this.#child.exitCode !== null || this.#child.signalCode !== null;
  }
}

/** Ports that were free a moment ago, for servers that cannot say which one they got. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as { readonly port: number }).port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}

async function isUp(address: string): Promise<boolean> {
  try {
    const answer = await fetch(address);
    await answer.arrayBuffer();
    return answer.ok;
  } catch {
    // Nothing listens there yet.
    return false;
  }
}

function killGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // The process has ended by itself.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/**
 * A part of the hub in a process of its own, so that what ends, hangs or fills that process costs the hub nothing: the hub starts it
 * again, and it never outlives the hub. The two exchange messages over a channel of node (structured clones); what they mean is the
 * matter of the part.
 */
import { fork, type ChildProcess as Process } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Clock, Random, Timers } from '../src/core/clock.ts';
import type { Log } from '../src/ports/log.ts';
import { type FromChild, readFromChild, type ToChild } from './child-messages.ts';

/** Milliseconds, unless said otherwise. */
export interface ChildSettings {
  /** How often the process is asked whether its event loop turns. */
  readonly heartbeat: number;
  /** Heartbeats in a row without a sign of life, after which it hangs. */
  readonly missedHeartbeats: number;
  /** How long it may take to its first word: it loads its packages, on a small machine that does much else. */
  readonly startDeadline: number;
  /** Bytes of memory (resident set) after which it is ended. */
  readonly mostMemory: number;
  /** Messages of it in a second, on average, beyond which it is ended: each takes time of the hub. */
  readonly mostMessages: number;
  /** First pause before a new start; it doubles up to the cap, and a half of each pause is left to chance. */
  readonly restartAfter: number;
  readonly restartCap: number;
  /** A process that lived this long was a good one: the next pause is the first one again. */
  readonly settledAfter: number;
  /** How long it may take to end by itself. */
  readonly closeDeadline: number;
}

export interface ChildOptions {
  /** In the log. */
  readonly name: string;
  /** See `childFile`. */
  readonly file: string;
  /** The process is there; `send` reaches it. */
  onStart(): void;
  onMessage(message: unknown): void;
  /** It is gone; another one follows unless the hub closed it. */
  onEnd(detail: string): void;
  readonly timers: Timers;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly random: Pick<Random, 'fraction'>;
  readonly log: Log;
  readonly settings?: Partial<ChildSettings> | undefined;
}

const DEFAULT_SETTINGS: ChildSettings = {
  heartbeat: 2_000,
  missedHeartbeats: 5,
  startDeadline: 30_000,
  mostMemory: 268_435_456,
  mostMessages: 4_096,
  restartAfter: 200,
  restartCap: 10_000,
  settledAfter: 60_000,
  closeDeadline: 1_000,
};

/**
 * The program of a child: `<folder>/children/<name>.js` beside the bundle, and the source where the hub runs from source. On Node 20
 * only a process with a loader for TypeScript can start the latter: it hands its own `--import=` on.
 */
export function childFile(name: string, source: URL): string {
  const file = import.meta.url.endsWith('.js') ? new URL(`../children/${name}.js`, import.meta.url) : source;
  return fileURLToPath(file);
}

/** Seconds of messages that may come at once: where the hub stood still, they waited for it. */
const BURST_SECONDS = 4;

export class ChildProcess {
  readonly #options: ChildOptions;
  readonly #settings: ChildSettings;
  readonly #log: Log;
  readonly #counters = { starts: 0, crashes: 0, hangs: 0 };
  #process: Process | undefined;
  #failures = 0;
  #startedAt = 0;
  #missed = 0;
  /** Whether this process said anything yet. */
  #hasSpoken = false;
  /** Messages that it may send now, and when that was counted. */
  #allowance = 0;
  #countedAt = 0;
  /** Why the hub ends it, where the hub does. */
  #verdict: string | undefined;
  #frames: string | undefined;
  #isClosing = false;
  #cancel: (() => void) | undefined;
  #onClosed: (() => void) | undefined;

  constructor(options: ChildOptions) {
    this.#options = options;
    this.#settings = { ...DEFAULT_SETTINGS, ...options.settings };
    this.#log = options.log.child({ child: options.name });
  }

  /** Starts the first process; those after it start by themselves, until `close`. */
  start(): void {
    if (this.#process === undefined && !this.#isClosing) this.#start();
  }

  /** Undefined while there is none. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#counters };
  }

  /** False where there is no process: then nobody gets the message. */
  send(message: unknown): boolean {
    return this.#post({ kind: 'message', message });
  }

  /** Ends this process for a reason that the part has found; another one follows. */
  restart(detail: string): void {
    this.#verdict ??= detail;
    this.#process?.kill('SIGKILL');
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.#cancel?.();
    const running = this.#process;
    if (running === undefined) return;
    const closed = new Promise<void>((resolve) => {
      this.#onClosed = resolve;
    });
    const cancel = this.#options.timers.after(this.#settings.closeDeadline, () => running.kill('SIGKILL'));
    // The end of the channel is what tells it to go, as where the hub was killed.
    if (running.connected) running.disconnect();
    await closed;
    cancel();
  }

  #start(): void {
    const { clock, file } = this.#options;
    const started = fork(file, [], {
      // The hub's environment may hold secrets, its debugger has one port, and a script of `--eval` would start itself again.
      env: {},
      execArgv: process.execArgv.filter((argument) => argument.startsWith('--import=')),
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    this.#process = started;
    this.#startedAt = clock.monotonic();
    this.#allowance = this.#settings.mostMessages * BURST_SECONDS;
    this.#countedAt = this.#startedAt;
    this.#missed = 0;
    this.#hasSpoken = false;
    this.#verdict = undefined;
    this.#frames = undefined;
    this.#counters.starts += 1;
    started.on('message', (message) => {
      if (this.#process === started && this.#verdict === undefined) this.#hear(readFromChild(message));
    });
    started.on('error', (error: NodeJS.ErrnoException) => this.#end(started, error.code ?? error.name));
    started.once('exit', (status, signal) => this.#end(started, signal ?? `exit status ${status}`));
    this.#cancel = this.#options.timers.after(this.#settings.heartbeat, () => this.#beat());
    this.#options.onStart();
  }

  #hear(message: FromChild | undefined): void {
    this.#missed = 0;
    this.#hasSpoken = true;
    if (!this.#mayHear()) this.restart('it sends too many messages');
    else if (message === undefined) this.restart('it sent a message that the hub does not know');
    else if (message.kind === 'message') this.#options.onMessage(message.message);
    else if (message.kind === 'crash') this.#frames = message.frames;
    else if (message.memory > this.#settings.mostMemory)
      this.restart(`it took ${Math.round(message.memory / 1_048_576)} MiB of memory`);
  }

  /** Whether one more message keeps the limit. */
  #mayHear(): boolean {
    const { mostMessages } = this.#settings;
    const now = this.#options.clock.monotonic();
    const gained = ((now - this.#countedAt) / 1_000) * mostMessages;
    this.#countedAt = now;
    this.#allowance = Math.min(this.#allowance + gained, mostMessages * BURST_SECONDS) - 1;
    return this.#allowance >= 0;
  }

  /** Counts heartbeats and not milliseconds: where the hub itself stood still, the answers wait to be read. */
  #beat(): void {
    this.#missed += 1;
    const { heartbeat, missedHeartbeats, startDeadline } = this.#settings;
    if (this.#missed > (this.#hasSpoken ? missedHeartbeats : startDeadline / heartbeat)) {
      this.#counters.hangs += 1;
      this.restart('it does not answer');
      return;
    }
    this.#post({ kind: 'heartbeat' });
    this.#cancel = this.#options.timers.after(heartbeat, () => this.#beat());
  }

  #post(message: ToChild): boolean {
    const running = this.#process;
    if (running === undefined || !running.connected) return false;
    // The callback keeps node from throwing what the end of the process tells anyway.
    running.send(message, () => undefined);
    return true;
  }

  #end(ended: Process, how: string): void {
    if (this.#process !== ended) return;
    this.#process = undefined;
    this.#cancel?.();
    // A child that closed its channel and lives on would hold on to what the next one needs.
    ended.kill('SIGKILL');
    if (this.#isClosing) {
      this.#onClosed?.();
      return;
    }
    const { clock, onEnd, random, timers } = this.#options;
    const { restartAfter, restartCap, settledAfter } = this.#settings;
    if (clock.monotonic() - this.#startedAt >= settledAfter) this.#failures = 0;
    const pause =
      Math.min(restartCap, restartAfter * 2 ** Math.min(this.#failures, 16)) * (0.5 + random.fraction() / 2);
    this.#failures += 1;
    this.#counters.crashes += 1;
    const detail = this.#verdict ?? how;
    this.#log.warn(
      { event: 'child_down', detail, frames: this.#frames, again: Math.round(pause) },
      'a process of the hub ended, and is started again',
    );
    this.#cancel = timers.after(pause, () => this.#start());
    onEnd(detail);
  }
}

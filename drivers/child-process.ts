/**
 * A part of the hub in a process of its own, so that what ends, hangs or fills that process costs the hub nothing: the hub starts it
 * again, and it never outlives the hub. The two exchange messages in JSON, in frames over a pipe; what they mean is the matter of the
 * part. A child may be in the hands of an attacker: what it says, and what it leaves unread, has limits.
 */
import { type ChildProcess as Process, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Clock, Random, Timers } from '../src/core/clock.ts';
import type { ErrorCode } from '../src/core/error-catalogue.ts';
import { coded } from '../src/core/errors.ts';
import { LIMITS } from '../src/core/limits.ts';
import type { Log } from '../src/ports/log.ts';
import { FrameReader, framed } from './child-frames.ts';
import { type FromChild, readFromChild, type ToChild, written } from './child-messages.ts';
import { CHILD_CHANNEL } from './child-prologue.ts';

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
  /** In the log as well: what it means that this part is down. */
  readonly code: ErrorCode;
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
  const file = /\.c?js$/.test(import.meta.url) ? new URL(`../children/${name}.js`, import.meta.url) : source;
  return fileURLToPath(file);
}

/** Seconds of messages that may come at once: where the hub stood still, they waited for it. */
const BURST_SECONDS = 4;
/** How long the last words of a process that ended may take to arrive, milliseconds. */
const LAST_WORDS = 200;

export class ChildProcess {
  readonly #options: ChildOptions;
  readonly #settings: ChildSettings;
  readonly #log: Log;
  readonly #counters = { starts: 0, crashes: 0, hangs: 0 };
  #process: Process | undefined;
  /** The pipe to it. */
  #channel: Socket | undefined;
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

  /** False where there is no process: then the message is lost. */
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
    this.#channel?.end();
    await closed;
    cancel();
  }

  #start(): void {
    const { clock } = this.#options;
    this.#verdict = undefined;
    this.#frames = undefined;
    const started = this.#spawn();
    if (started === undefined) return;
    this.#process = started;
    this.#startedAt = clock.monotonic();
    this.#allowance = this.#settings.mostMessages * BURST_SECONDS;
    this.#countedAt = this.#startedAt;
    this.#missed = 0;
    this.#hasSpoken = false;
    this.#counters.starts += 1;
    const channel = started.stdio[CHILD_CHANNEL] as Socket;
    this.#channel = channel;
    const frames = new FrameReader(LIMITS.childMessageBytes, this.#options.code);
    channel.on('data', (bytes: Buffer) => this.#receive(started, frames, bytes));
    // The process is going: its exit says why.
    channel.on('error', () => undefined);
    started.on('error', (error: NodeJS.ErrnoException) => this.#end(started, error.code ?? error.name));
    started.once('exit', (status, signal) => {
      const end = () => {
        cancel();
        this.#end(started, signal ?? `exit status ${status}`);
      };
      // The report of a crash may arrive after the exit.
      const cancel = this.#options.timers.after(LAST_WORDS, end);
      if (channel.closed) end();
      else channel.once('close', end);
    });
    this.#cancel = this.#options.timers.after(this.#settings.heartbeat, () => this.#beat());
    this.#options.onStart();
  }

  /** Undefined where the system has no room for one; then it is tried again later. */
  #spawn(): Process | undefined {
    // The hub's debugger has one port, and a script of `--eval` would start itself again.
    const options = process.execArgv.filter((argument) => argument.startsWith('--import='));
    let started: Process;
    try {
      started = spawn(process.execPath, [...options, this.#options.file], {
        // The hub's environment may hold secrets.
        env: {},
        stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
      });
    } catch (error) {
      this.#pause(coded(error).detail ?? 'it cannot be started');
      return undefined;
    }
    // Where there is no file descriptor left node makes no streams, and tells the error later.
    if (started.stdio?.[CHILD_CHANNEL] != null) return started;
    started.on('error', () => undefined);
    started.kill('SIGKILL');
    this.#pause('it cannot be started: too many files are open');
    return undefined;
  }

  #receive(from: Process, frames: FrameReader, bytes: Buffer): void {
    const isHeard = () => this.#process === from && this.#verdict === undefined;
    if (!isHeard()) return;
    for (const message of this.#read(frames, bytes)) if (isHeard()) this.#hear(message);
  }

  #read(frames: FrameReader, bytes: Buffer): readonly FromChild[] {
    try {
      return frames.push(bytes).map((message) => readFromChild(message, this.#options.code));
    } catch (error) {
      this.restart(`it sent what the hub does not read: ${coded(error).detail ?? ''}`);
      return [];
    }
  }

  #hear(message: FromChild): void {
    this.#missed = 0;
    this.#hasSpoken = true;
    if (!this.#mayHear()) this.restart('it sends too many messages');
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
    const channel = this.#channel;
    if (channel === undefined || !channel.writable) return false;
    channel.write(framed(written(message)));
    if (channel.writableLength > LIMITS.childWaitingBytes) this.restart('it takes nothing of what the hub says');
    return true;
  }

  #end(ended: Process, how: string): void {
    if (this.#process !== ended) return;
    this.#process = undefined;
    this.#cancel?.();
    this.#channel?.destroy();
    this.#channel = undefined;
    // A child that closed its channel and lives on would hold on to what the next one needs.
    ended.kill('SIGKILL');
    if (this.#isClosing) {
      this.#onClosed?.();
      return;
    }
    if (this.#options.clock.monotonic() - this.#startedAt >= this.#settings.settledAfter) this.#failures = 0;
    this.#pause(this.#verdict ?? how);
  }

  /** Until the next start. */
  #pause(detail: string): void {
    const { code, onEnd, random, timers } = this.#options;
    const { restartAfter, restartCap } = this.#settings;
    const pause =
      Math.min(restartCap, restartAfter * 2 ** Math.min(this.#failures, 16)) * (0.5 + random.fraction() / 2);
    this.#failures += 1;
    this.#counters.crashes += 1;
    this.#log.warn(
      { event: 'child_down', code, detail, frames: this.#frames, again: Math.round(pause) },
      'a process of the hub ended, and is started again',
    );
    this.#cancel = timers.after(pause, () => this.#start());
    onEnd(detail);
  }
}

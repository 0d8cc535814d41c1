import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Timers } from '../../../src/core/clock.ts';
import { coded, LatchkeyError } from '../../../src/core/errors.ts';
import { LIMITS } from '../../../src/core/limits.ts';
import type { Log } from '../../../src/ports/log.ts';
import { FrameReader, framed } from '../../child-frames.ts';
import { CHILD_CHANNEL } from '../../child-prologue.ts';
import { RADIO_TIMES } from '../ble-settings.ts';
import { readToHub, type ToHub, type ToProcess, written } from './messages.ts';
import { OutputLog } from './output-log.ts';

export interface RadioProcessOptions {
  /** Path of `main.ts` of this folder as node can run it: of the built program, or built by a test. */
  readonly program: string;
  readonly timers: Timers;
  readonly log: Log;
  readonly onMessage: (message: ToHub) => void;
  /** It is gone, once, and not after `kill`. */
  readonly onEnded: (error: LatchkeyError) => void;
}

/**
 * A process for the stack that parses what strangers send. It gets this connection and nothing else of the hub: no
 * environment, no files, no keys. One that ends, or does not answer, is over for good; who needs it starts another one.
 */
export class RadioProcess {
  /** Resolves when the process is gone, however that came. */
  readonly exited: Promise<void>;
  readonly #options: RadioProcessOptions;
  readonly #child: ChildProcess;
  readonly #channel: Socket;
  readonly #frames = new FrameReader(LIMITS.radioMessageBytes, 'radio_process_failed');
  readonly #output: OutputLog;
  readonly #messages: Buffer[] = [];
  #isPaused = false;
  /** Messages that were read since the last pause. */
  #inARow = 0;
  #unanswered = 0;
  #cancelBeat: () => void = () => undefined;
  #hasEnded = false;

  /** @throws {LatchkeyError} `radio_process_failed` where it cannot be started */
  constructor(options: RadioProcessOptions) {
    this.#options = options;
    this.#output = new OutputLog(options.log);
    const child = start(options.program);
    this.#child = child;
    this.#channel = child.stdio[CHILD_CHANNEL] as Socket;
    this.exited = new Promise((resolve) => {
      child.once('exit', (status, signal) => {
        this.#end(new LatchkeyError('radio_process_failed', signal === null ? `status ${status}` : signal));
        resolve();
      });
      child.on('error', (error) => {
        this.#end(new LatchkeyError('radio_process_failed', 'it cannot be started', { cause: error }));
        if (child.pid === undefined) resolve();
      });
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => this.#output.write(chunk));
      (stream as Socket | null)?.unref();
    }
    this.#channel.on('data', (bytes: Buffer) => this.#receive(bytes));
    // The process is going: its exit says why.
    this.#channel.on('error', () => undefined);
    this.#channel.unref();
    child.unref();
  }

  /** Watches from now on whether it answers. */
  watch(): void {
    this.#beat();
  }

  send(message: ToProcess): void {
    if (this.#hasEnded) return;
    this.#channel.write(framed(written(message)));
    if (this.#channel.writableLength > LIMITS.childWaitingBytes)
      this.kill(new LatchkeyError('radio_process_failed', 'it takes nothing of what the hub says'));
  }

  /** Ends it, whatever it does: a process that was stopped or hangs too. */
  kill(error?: LatchkeyError): void {
    if (error === undefined) this.#detach();
    else this.#end(error);
    this.#child.kill('SIGKILL');
  }

  #receive(bytes: Buffer): void {
    this.#unanswered = 0;
    try {
      this.#messages.push(...this.#frames.push(bytes));
      this.#readAll();
    } catch (error) {
      this.kill(coded(error));
    }
  }

  #readAll(): void {
    while (!this.#hasEnded && !this.#isPaused) {
      const next = this.#messages.shift();
      if (next === undefined) {
        if (this.#channel.isPaused()) this.#channel.resume();
        return;
      }
      const message = readToHub(next);
      this.#inARow += 1;
      // Who waits for a connection makes use of it before anything more of it is told.
      if (message.type === 'connected' || this.#inARow >= LIMITS.radioMessagesAtOnce) this.#pause();
      this.#options.onMessage(message);
    }
  }

  /** For one turn of the event loop. Nothing is taken from the pipe until what came before it is read: the process waits. */
  #pause(): void {
    this.#isPaused = true;
    this.#channel.pause();
    setImmediate(() => {
      this.#isPaused = false;
      this.#inARow = 0;
      try {
        this.#readAll();
      } catch (error) {
        this.kill(coded(error));
      }
    });
  }

  /** Counted in questions, not in time: a hub that was held up itself has sent none meanwhile. */
  #beat(): void {
    if (this.#hasEnded) return;
    if (this.#unanswered >= RADIO_TIMES.silence / RADIO_TIMES.heartbeat) {
      this.kill(new LatchkeyError('radio_process_failed', `it did not answer for ${RADIO_TIMES.silence} ms`));
      return;
    }
    this.#unanswered += 1;
    this.send({ type: 'ping' });
    this.#cancelBeat = this.#options.timers.after(RADIO_TIMES.heartbeat, () => this.#beat());
  }

  #end(error: LatchkeyError): void {
    if (this.#hasEnded) return;
    this.#detach();
    this.#options.onEnded(error);
  }

  #detach(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#cancelBeat();
    this.#messages.length = 0;
    this.#channel.destroy();
    this.#child.once('close', () => this.#output.end());
  }
}

function start(program: string): ChildProcess {
  let child: ChildProcess;
  try {
    child = spawn(process.execPath, [...MEMORY, program], {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      env: {},
      cwd: '/',
    });
  } catch (error) {
    throw new LatchkeyError('radio_process_failed', 'it cannot be started', { cause: error });
  }
  // Where there is no file descriptor left node makes no streams, and tells the error later.
  if (child.stdio?.[CHILD_CHANNEL] != null) return child;
  child.on('error', () => undefined);
  child.kill('SIGKILL');
  throw new LatchkeyError('radio_process_failed', 'it cannot be started: too many files are open');
}

/** A stack that is led into gathering without end fails early, and takes no memory from the hub. */
const MEMORY = [`--max-old-space-size=${LIMITS.radioHeapMegabytes}`, '--max-semi-space-size=1'];

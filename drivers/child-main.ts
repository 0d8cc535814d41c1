/** The other end of drivers/child-process.ts: what every child process of the hub does. */
import { Worker } from 'node:worker_threads';
import { framesOf, isObject } from './child-messages.ts';

/** How long the report of a crash may take to leave, milliseconds. */
const REPORT_DEADLINE = 200;
/** Signals that the hub answers for: a terminal and systemd send them to all processes at once. SIGUSR1 opens a debugger. */
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;
/**
 * Runs in a thread of its own, which goes on while the event loop hangs: without the hub nobody would end a process that hangs, and
 * it would keep its port from the next hub.
 */
const WATCH = `
  const { workerData } = require('node:worker_threads');
  setInterval(() => { if (process.ppid !== workerData) process.kill(process.pid, 'SIGKILL'); }, 1000);
`;

/**
 * Makes this process a child of the hub: it ends when the hub does.
 * @returns says something to the hub
 */
export function beChild(onMessage: (message: unknown) => void): (message: unknown) => void {
  const leave = () => process.exit(0);
  const say = (message: unknown, done: () => void = () => undefined) => {
    if (process.send === undefined || !process.connected) leave();
    else process.send(message, undefined, undefined, done);
  };
  process.setUncaughtExceptionCaptureCallback((thrown) => {
    setTimeout(() => process.exit(1), REPORT_DEADLINE);
    say({ kind: 'crash', frames: framesOf(thrown) }, () => process.exit(1));
  });
  process.on('disconnect', leave);
  for (const signal of SIGNALS) process.on(signal, () => undefined);
  process.on('message', (received: unknown) => {
    if (!isObject(received)) return;
    if (received.kind === 'heartbeat') say({ kind: 'heartbeat', memory: process.memoryUsage.rss() });
    else if (received.kind === 'message') onMessage(received.message);
  });
  if (!process.connected) leave();
  watchParent();
  return (message) => say({ kind: 'message', message });
}

function watchParent(): void {
  const limits = { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 1, codeRangeSizeMb: 4 };
  new Worker(WATCH, {
    eval: true,
    workerData: process.ppid,
    env: {},
    execArgv: [],
    resourceLimits: limits,
  }).unref();
}

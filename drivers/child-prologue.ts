/** What each child process of the hub does first, before it reads anything: the embedded broker, and the radio. */
import { Worker } from 'node:worker_threads';
import { closeInherited } from './inherited-files.ts';

/** File descriptor of a child's connection to the hub, node's own or a pipe; 0 to 2 are the standard streams. */
export const CHILD_CHANNEL = 3;
/**
 * Signals that children ignore. They are for the hub, which says over the connection what is to be done: a terminal and systemd send
 * them to all processes at once. SIGUSR1 would open a debugger.
 */
export const IGNORED_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;
/** How often a child looks whether the hub is there, milliseconds. */
const LOOK = 1_000;
/** What a child has for its own end once the hub is gone, such as letting go of links; milliseconds. */
const GRACE = 500;
/**
 * Runs in a thread of its own, which goes on while the event loop hangs. Otherwise a child that hangs would outlive a hub that was
 * killed, and keep its port or its adapter from the next hub. The thread costs 8 MB of memory.
 */
const WATCH = `
  const { workerData } = require('node:worker_threads');
  const watch = setInterval(() => {
    if (process.ppid === workerData.hub) return;
    clearInterval(watch);
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), workerData.grace);
  }, workerData.look);
`;

/**
 * Makes this process a child of the hub: it leaves signals to the hub, has no open file of the hub, and ends with it.
 * @param title what `ps` calls it
 */
export function beginChild(title: string): void {
  for (const signal of IGNORED_SIGNALS) process.on(signal, () => undefined);
  closeInherited(CHILD_CHANNEL);
  process.title = title;
  watchHub();
}

function watchHub(): void {
  const limits = { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 1, codeRangeSizeMb: 4 };
  new Worker(WATCH, {
    eval: true,
    workerData: { hub: process.ppid, look: LOOK, grace: GRACE },
    env: {},
    execArgv: [],
    resourceLimits: limits,
  }).unref();
}

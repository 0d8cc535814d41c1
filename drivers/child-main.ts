/** The other end of drivers/child-process.ts: what a child process does that has a channel of node to the hub. */
import { framesOf, isObject } from './child-messages.ts';
import { beginChild } from './child-prologue.ts';

/** How long the report of a crash may take to leave, milliseconds. */
const REPORT_DEADLINE = 200;

/**
 * Makes this process a child of the hub: it ends when the hub does.
 * @param title what `ps` calls it
 * @returns says something to the hub
 */
export function beChild(title: string, onMessage: (message: unknown) => void): (message: unknown) => void {
  const leave = () => process.exit(0);
  const say = (message: unknown, done: () => void = () => undefined) => {
    if (process.send === undefined || !process.connected) leave();
    else process.send(message, undefined, undefined, done);
  };
  process.setUncaughtExceptionCaptureCallback((thrown) => {
    setTimeout(() => process.exit(1), REPORT_DEADLINE);
    say({ kind: 'crash', frames: framesOf(thrown) }, () => process.exit(1));
  });
  beginChild(title);
  process.on('disconnect', leave);
  process.on('message', (received: unknown) => {
    if (!isObject(received)) return;
    if (received.kind === 'heartbeat') say({ kind: 'heartbeat', memory: process.memoryUsage.rss() });
    else if (received.kind === 'message') onMessage(received.message);
  });
  if (!process.connected) leave();
  return (message) => say({ kind: 'message', message });
}

/** The other end of drivers/child-process.ts: what a child process does that exchanges messages with the hub over a pipe. */
import { Socket } from 'node:net';
import { LIMITS } from '../src/core/limits.ts';
import { FrameReader, framed } from './child-frames.ts';
import { type FromChild, framesOf, readToChild, written } from './child-messages.ts';
import { beginChild, CHILD_CHANNEL } from './child-prologue.ts';

/** How long the report of a crash may take to leave, milliseconds. */
const REPORT_DEADLINE = 200;
/** Bytes that wait for the hub, beyond which it is not asked anything more: it stands still. */
const BACKLOG = 65_536;

export interface HubChannel {
  /** Says something to the hub, in JSON. */
  say(message: unknown): void;
  /** Whether the hub takes what it is told: what can be left out is left out while it does not. */
  isHeard(): boolean;
}

/**
 * Makes this process a child of the hub: it ends when the hub does.
 * @param title what `ps` calls it
 */
export function beChild(title: string, onMessage: (message: unknown) => void): HubChannel {
  const channel = new Socket({ fd: CHILD_CHANNEL, readable: true, writable: true });
  const say = (message: FromChild, done: () => void = () => undefined) => {
    if (channel.writable) channel.write(framed(written(message)), done);
  };
  process.setUncaughtExceptionCaptureCallback((thrown) => {
    setTimeout(() => process.exit(1), REPORT_DEADLINE);
    say({ kind: 'crash', frames: framesOf(thrown) }, () => process.exit(1));
  });
  beginChild(title);
  const frames = new FrameReader(LIMITS.childMessageBytes, 'internal');
  channel.on('data', (bytes: Buffer) => {
    for (const received of frames.push(bytes)) {
      const message = readToChild(received);
      if (message.kind === 'heartbeat') say({ kind: 'heartbeat', memory: process.memoryUsage.rss() });
      else onMessage(message.message);
    }
  });
  // The hub is gone, however that came: `close` follows.
  channel.on('error', () => undefined);
  channel.on('close', () => process.exit(0));
  return {
    say: (message) => say({ kind: 'message', message }),
    isHeard: () => channel.writableLength < BACKLOG,
  };
}

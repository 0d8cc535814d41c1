/**
 * The process of the radio: started by the hub (radio-process.ts), and by no other program. It has one connection to the hub, and
 * ends with it.
 */
import { Socket } from 'node:net';
import { coded } from '../../../src/core/errors.ts';
import { LIMITS } from '../../../src/core/limits.ts';
import { FrameReader, framed } from '../../child-frames.ts';
import { beginChild, CHILD_CHANNEL } from '../../child-prologue.ts';
import { systemTimers } from '../../system-time.ts';
import { loadNoble } from '../noble.ts';
import { readToProcess, type ToHub, toldError, written } from './messages.ts';
import { RadioServer } from './serve-radio.ts';

/** Bytes that wait for the hub, beyond which advertisements are left out. */
const BACKLOG = 65_536;
/** Milliseconds for links to be let go once the hub is gone. */
const GRACE = 250;

beginChild('latchkey radio');
const channel = new Socket({ fd: CHILD_CHANNEL, readable: true, writable: true });
const say = (message: ToHub) => {
  if (channel.writable) channel.write(framed(written(message)));
};
const server = new RadioServer({
  timers: systemTimers,
  say,
  isHeard: () => channel.writableLength < BACKLOG,
  onClosed: () => process.exit(0),
});
const frames = new FrameReader(LIMITS.radioOrderBytes, 'radio_process_failed');
channel.on('data', (bytes: Buffer) => {
  for (const message of frames.push(bytes)) server.take(readToProcess(message));
});
// The hub is gone, however that came.
channel.on('error', () => undefined);
channel.on('close', () => {
  setTimeout(() => process.exit(0), GRACE);
  void server.close();
});
try {
  await loadNoble();
  say({ type: 'ready' });
} catch (error) {
  say({ type: 'failed', ...toldError(coded(error)) });
}

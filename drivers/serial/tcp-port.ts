import { createConnection, type Socket } from 'node:net';
import { LatchkeyError } from '../../src/core/errors.ts';
import type { LinePort, LinePortEvents, PortOpener } from './line-port.ts';

/** A network serial server that lost its power says nothing; probes after so many milliseconds of silence find out. */
const KEEP_ALIVE_AFTER = 10_000;

/** A line behind a network serial server (ser2net, esp-link, the simulator): raw bytes over TCP. */
export function tcpPortOpener(host: string, port: number): PortOpener {
  return ({ events, signal }) =>
    new Promise((resolve, reject) => {
      const socket = createConnection({ host, port });
      const onAbort = () => {
        socket.destroy();
        reject(new LatchkeyError('link_down', 'opening took too long'));
      };
      const onError = (error: NodeJS.ErrnoException) => {
        signal.removeEventListener('abort', onAbort);
        reject(new LatchkeyError('link_down', error.code, { cause: error }));
      };
      signal.addEventListener('abort', onAbort, { once: true });
      socket.once('error', onError);
      socket.once('connect', () => {
        signal.removeEventListener('abort', onAbort);
        socket.off('error', onError);
        resolve(socketPort(socket, events));
      });
    });
}

/** A connected socket as a line. CoAP over it is many small messages: Nagle's delay would cost 40 ms on each. */
export function socketPort(socket: Socket, events: LinePortEvents): LinePort {
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEP_ALIVE_AFTER);
  let destroyed = false;
  let reason = 'closed by the other side';
  const closed = new Promise<void>((resolve) => {
    socket.once('close', () => {
      resolve();
      if (!destroyed) events.onClosed(reason);
    });
  });
  socket.on('data', (chunk) => events.onData(chunk));
  // 'close' follows every 'error', and is where the line is given up.
  socket.on('error', (error: NodeJS.ErrnoException) => {
    reason = error.code ?? error.name;
  });
  return {
    write: (bytes, done) => {
      socket.write(bytes, () => done());
    },
    setFlowing: (flowing) => {
      if (flowing) socket.resume();
      else socket.pause();
    },
    destroy: () => {
      destroyed = true;
      socket.destroy();
      return closed;
    },
  };
}

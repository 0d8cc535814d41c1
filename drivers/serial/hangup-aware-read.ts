import { read as readFile } from 'node:fs';
import { promisify } from 'node:util';

const readDescriptor = promisify(readFile);

/** What a port of serialport's native binding has on Linux and macOS, as far as it matters here. */
export interface PolledPort {
  readonly isOpen: boolean;
  readonly fd: number | null;
  readonly poller: { once(event: 'readable', callback: (error: Error | null) => void): unknown };
  read(buffer: Buffer, offset: number, length: number): Promise<{ buffer: Buffer; bytesRead: number }>;
}

export function isPolledPort(port: object | undefined): port is PolledPort {
  return port !== undefined && 'poller' in port && 'fd' in port && 'read' in port;
}

/**
 * Puts right how a port reads. A tty whose other side is gone (USB pulled, pty closed) is readable and gives 0 bytes for
 * ever; the binding (@serialport/bindings-cpp 13.0.0, unix-read.js) then reads again at once, without end: a core is
 * busy and the loss is not noticed. In raw mode with VMIN 1 a read of 0 bytes means nothing but hang-up (termios(3)).
 */
export function readHangupAware(port: PolledPort): void {
  port.read = async (buffer, offset, length) => {
    for (;;) {
      if (!port.isOpen || port.fd === null) throw canceled();
      try {
        const { bytesRead } = await readDescriptor(port.fd, buffer, offset, length, null);
        if (bytesRead > 0) return { buffer, bytesRead };
      } catch (error) {
        if (!isAgain(error)) throw error;
        if (!port.isOpen) throw canceled();
        await readable(port);
        continue;
      }
      throw new Error('hung up');
    }
  };
}

function readable(port: PolledPort): Promise<void> {
  return new Promise((resolve, reject) => {
    port.poller.once('readable', (error) => (error === null ? resolve() : reject(error)));
  });
}

function isAgain(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EAGAIN' || error.code === 'EINTR');
}

/** serialport passes over errors with this mark: the port was closed on our side. */
function canceled(): Error {
  return Object.assign(new Error('the port is closed'), { canceled: true });
}

import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import type { SerialPort } from 'serialport';
import { LatchkeyError } from '../../src/core/errors.ts';
import { isPolledPort, readHangupAware } from './hangup-aware-read.ts';
import type { LinePort, LinePortEvents, PortOpener } from './line-port.ts';

/** A serial port of this machine, 8N1 without flow control, locked against other programs. */
export function ttyPortOpener(path: string, baudRate: number): PortOpener {
  return async ({ events, signal }) => {
    await refuseInaccessible(path);
    // Loaded when a tty is opened and not before: a hub with network lines only never needs the native addon.
    const { SerialPort } = await import('serialport');
    const serialPort = new SerialPort({ path, baudRate, autoOpen: false });
    await open(serialPort, signal);
    if (isPolledPort(serialPort.port)) readHangupAware(serialPort.port);
    return portOf(serialPort, events);
  };
}

/** serialport's own errors carry text only, so the system is asked first for a reason with a code. */
async function refuseInaccessible(path: string): Promise<void> {
  try {
    await access(path, constants.R_OK | constants.W_OK);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    const forbidden = code === 'EACCES' || code === 'EPERM';
    throw new LatchkeyError(forbidden ? 'line_permission' : 'link_down', `${path}: ${code}`, { cause: error });
  }
}

function open(serialPort: SerialPort, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new LatchkeyError('link_down', 'opening took too long'));
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    serialPort.open((error) => {
      signal.removeEventListener('abort', onAbort);
      if (error !== null) reject(new LatchkeyError('link_down', error.message, { cause: error }));
      else if (signal.aborted) void close(serialPort);
      else resolve();
    });
  });
}

function portOf(serialPort: SerialPort, events: LinePortEvents): LinePort {
  let destroyed = false;
  const lose = (reason: string) => {
    if (destroyed) return;
    destroyed = true;
    void close(serialPort);
    events.onClosed(reason);
  };
  serialPort.on('data', (chunk: Buffer) => events.onData(chunk));
  serialPort.on('error', (error) => lose(error.message));
  serialPort.on('close', (error: Error | null | undefined) => lose(error?.message ?? 'closed'));
  return {
    write: (bytes, done) => {
      serialPort.write(Buffer.from(bytes), () => done());
    },
    setFlowing: (flowing) => {
      if (flowing) serialPort.resume();
      else serialPort.pause();
    },
    destroy: () => {
      destroyed = true;
      return close(serialPort);
    },
  };
}

/** Resolves when closed, whatever the port says on its way: it is let go of in any case. */
function close(serialPort: SerialPort): Promise<void> {
  return new Promise((resolve) => {
    if (!serialPort.isOpen) resolve();
    else serialPort.close(() => resolve());
  });
}

import { coded } from '../../src/core/errors.ts';
import type { Log } from '../../src/ports/log.ts';
import type { DevicePort, DevicePortOptions } from './device-end.ts';
import type { PortOpener } from './line-port.ts';
import { DEFAULT_BAUD_RATE } from './line-settings.ts';
import { openSerialLine } from './serial-line.ts';
import { ttyPortOpener } from './tty-port.ts';

/** A device keeps no log of its line; the operator reads the counters. */
const noLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => noLog,
};

/**
 * Both ends of a line are alike, so a device on a tty is a line too. Only its first opening must succeed.
 * @throws {LatchkeyError} `link_down`, `line_permission`
 */
export async function serveTty(options: DevicePortOptions, path: string): Promise<DevicePort> {
  const opener = ttyPortOpener(path, options.baudRate ?? DEFAULT_BAUD_RATE);
  let reportFirst: (failure: unknown) => void = () => undefined;
  const first = new Promise<unknown>((resolve) => {
    reportFirst = resolve;
  });
  const openPort: PortOpener = async (open) => {
    try {
      const port = await opener(open);
      reportFirst(undefined);
      return port;
    } catch (error) {
      reportFirst(error);
      throw error;
    }
  };
  const line = openSerialLine({ ...options, name: path, path, log: noLog, openPort });
  const failure = await first;
  if (failure !== undefined) {
    await line.close();
    throw coded(failure);
  }
  return {
    address: path,
    isConnected: () => line.isUp(),
    request: (request, requestOptions) => line.request(request, requestOptions),
    sendDiagnostic: (text) => line.sendDiagnostic(text),
    counters: () => line.counters(),
    close: () => line.close(),
  };
}

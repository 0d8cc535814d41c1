import type { DevicePort, DevicePortOptions } from './device-end.ts';
import { parseLineAddress } from './line-port.ts';
import { serveTcp } from './tcp-device-port.ts';
import { serveTty } from './tty-device-port.ts';

/**
 * Serves a device on a line: over TCP one hub at a time, a new connection replacing the old, as network serial servers
 * do; on a tty that is there now, and again whenever it comes back.
 * @throws {LatchkeyError} `config_invalid`, `link_down`, `line_permission`
 */
export function serveDevice(options: DevicePortOptions): Promise<DevicePort> {
  const address = parseLineAddress(options.listen);
  return address.kind === 'tcp' ? serveTcp(options, address) : serveTty(options, address.path);
}

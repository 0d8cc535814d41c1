import type { EventEmitter } from 'node:events';
import { isPolledPort, readHangupAware } from '../serial/hangup-aware-read.ts';

/** noble and bleno reach a controller on a serial port alike (@stoprocent/bluetooth-hci-socket 2.3.0, lib/uart.js). */
interface HciStack {
  readonly _bindings?: {
    readonly _hci?: { readonly _socket?: { readonly _serialDevice?: EventEmitter & { readonly port?: object } } };
  };
}

function deviceOf(stack: object): (EventEmitter & { readonly port?: object }) | undefined {
  return (stack as HciStack)._bindings?._hci?._socket?._serialDevice;
}

/** A controller that is gone: without this a core is busy with reading nothing, and nobody hears of the loss. */
export function watchUart(stack: object): void {
  const port = deviceOf(stack)?.port;
  if (isPolledPort(port)) readHangupAware(port);
}

/** To be called when the stack was stopped: it takes its listeners off the port, and a write that fails then would end the process. */
export function muteUart(stack: object): void {
  deviceOf(stack)?.on('error', () => undefined);
}

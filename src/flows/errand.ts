/** Work that goes before a device's tokens: what it trusts, before what it is to judge by that. */
import type { Device } from '../devices/device.ts';

interface ErrandContext {
  /** Milliseconds for one attempt. */
  readonly deadline: number;
  readonly signal: AbortSignal;
}

/**
 * One kind of such work. The dispatcher does it in the same worker as the device's tokens, with the same back-off and the
 * same wake at sightings, so no token overtakes it.
 */
export interface Errand {
  /** For the log. */
  readonly name: string;
  isDue(device: string): boolean;
  /**
   * One attempt. Once it resolves nothing is due, or something else is; tokens go on when nothing is.
   * @throws {LatchkeyError} where it is to be tried again later: the device is away, or what it said proves nothing
   */
  run(device: Device, context: ErrandContext): Promise<void>;
}

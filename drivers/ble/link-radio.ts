import type { LatchkeyError } from '../../src/core/errors.ts';
import type { BleCounters } from './ble-counters.ts';
import type { LinkSlots } from './link-slots.ts';
import type { Sightings } from './sightings.ts';

/** What comes over one connection. */
export interface SessionEvents {
  /** A whole value of the device. */
  readonly onValue: (value: Uint8Array) => void;
  /** The connection is gone, once; not after `close`. */
  readonly onEnded: (error: LatchkeyError) => void;
}

/** One connection to a device, its characteristics found. */
export interface DeviceSession {
  /** Sends one value behind those before it. */
  send(value: Uint8Array): void;
  /** Resolves when everything has left, or cannot any more. */
  drained(): Promise<void>;
  /** Lets go of the connection. Resolves when it is gone, or after a bounded time. */
  close(): Promise<void>;
}

/** What a link asks of the radio. */
export interface LinkRadio {
  readonly slots: LinkSlots;
  readonly sightings: Sightings;
  readonly counters: BleCounters;
  /** Why there is no adapter now. */
  fault(): LatchkeyError | undefined;
  /** The next advertisement is waited for, or not any more: the radio listens all the time while anybody does. */
  waiting(who: object, isWaiting: boolean): void;
  /**
   * A connection with its characteristics found. What it says goes to `onValue`, its end to `onEnded`.
   * @throws {LatchkeyError} `link_down`; `link_busy` where the adapter has no room
   */
  open(address: string, events: SessionEvents): Promise<DeviceSession>;
}

import type { LatchkeyError } from '../../src/core/errors.ts';
import type { BleCounters } from './ble-counters.ts';
import type { GattSession } from './gatt-session.ts';
import type { LinkSlots } from './link-slots.ts';
import type { Sightings } from './sightings.ts';

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
  open(
    address: string,
    events: { readonly onValue: (value: Uint8Array) => void; readonly onEnded: (error: LatchkeyError) => void },
  ): Promise<GattSession>;
}

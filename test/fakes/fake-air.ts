/** A radio in memory: whoever is on the air under a name answers CoAP over GATT, without adapter, noble or bleno. */
import { newBleCounters } from '../../drivers/ble/ble-counters.ts';
import { BleLink } from '../../drivers/ble/ble-link.ts';
import type { DeviceSession, LinkRadio } from '../../drivers/ble/link-radio.ts';
import { LinkSlots } from '../../drivers/ble/link-slots.ts';
import { Sightings } from '../../drivers/ble/sightings.ts';
import type { CoapHandler } from '../../src/codec/coap/responder.ts';
import { GattEndpoint } from '../../src/codec/gatt-endpoint.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import type { FakeTime } from './fake-time.ts';
import { QuietLog } from './quiet-log.ts';

const NAME = 'tube-1';

export class FakeAir implements LinkRadio {
  readonly slots = new LinkSlots(4);
  readonly counters = newBleCounters();
  readonly sightings: Sightings;
  readonly link: BleLink;
  /** Addresses that were connected, in their order. */
  readonly connected: string[] = [];
  /** Ends the connection that is there, as its other end may at any time. */
  hangUp: () => void = () => undefined;
  readonly #time: FakeTime;
  /** `undefined` of one that cannot be connected. */
  readonly #peers = new Map<string, CoapHandler | undefined>();

  constructor(time: FakeTime) {
    this.#time = time;
    this.sightings = new Sightings(time, time);
    this.link = new BleLink({
      name: NAME,
      radio: this,
      settings: { presence: 120_000, linger: 10, mtu: 517, operationTimeout: 2_000, visit: 0 },
      timers: time,
      clock: time,
      random: time,
      log: new QuietLog(),
    });
  }

  /** Puts somebody on the air, or has them answer otherwise. */
  put(address: string, handler: CoapHandler | undefined): void {
    this.#peers.set(address, handler);
  }

  /** Everybody advertises once. */
  advertise(): void {
    for (const address of this.#peers.keys()) this.sightings.heard(NAME, address, -60);
    this.link.heard();
  }

  fault(): LatchkeyError | undefined {
    return undefined;
  }

  waiting(): void {
    // It listens all the time.
  }

  async open(address: string, events: Parameters<LinkRadio['open']>[1]): Promise<DeviceSession> {
    const handler = this.#peers.get(address);
    if (handler === undefined) throw new LatchkeyError('link_down', 'connect');
    this.connected.push(address);
    const time = this.#time;
    const peer = new GattEndpoint({ timers: time, random: time, clock: time, handler });
    let isOpen = true;
    const onStalled = () => undefined;
    this.hangUp = () => {
      isOpen = false;
      peer.close();
      events.onEnded(new LatchkeyError('link_down', 'hung up'));
    };
    peer.connected({ send: (value) => queueMicrotask(() => isOpen && events.onValue(value)), onStalled });
    return {
      send: (value) => queueMicrotask(() => isOpen && peer.receive(value)),
      drained: async () => undefined,
      close: async () => {
        isOpen = false;
        peer.close();
      },
    };
  }
}

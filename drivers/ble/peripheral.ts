import type { Bleno, Characteristic, ConnectionHandle } from '@stoprocent/bleno';
import type { RequestOptions } from '../../src/codec/coap/requester.ts';
import type { CoapHandler } from '../../src/codec/coap/responder.ts';
import { GattEndpoint, type GattSettings } from '../../src/codec/gatt-endpoint.ts';
import type { Clock, Random, Timers } from '../../src/core/clock.ts';
import type { CoapRequest, CoapResponse } from '../../src/core/coap-exchange.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { BlenoAdapter } from './bleno-adapter.ts';
import { DRAFT_GATT_PROFILE, type GattProfile } from './gatt-profile.ts';
import { Indications } from './indications.ts';

export interface PeripheralOptions {
  /** What it advertises as its local name: 1 to 29 bytes of UTF-8. */
  readonly name: string;
  readonly handler: CoapHandler;
  readonly timers: Timers;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly random: Random;
  /** Path of a UART that speaks H4; without one the system's first adapter. */
  readonly hci?: string | undefined;
  readonly profile?: GattProfile | undefined;
  readonly settings?: Partial<GattSettings> | undefined;
}

/** A device that can be reached by radio. */
export interface Peripheral {
  /** `ble:` and its name. */
  readonly address: string;
  /** Whether a hub is connected and takes indications. */
  isConnected(): boolean;
  /** A request of the device to the hub. @throws {LatchkeyError} as `DeviceLink.request` */
  request(request: CoapRequest, options: RequestOptions): Promise<CoapResponse>;
  counters(): Readonly<Record<string, number>>;
  close(): Promise<void>;
}

/** A scan response has 31 bytes, two of which say that this is a name (Bluetooth Core 5.4, Vol 3 Part C §11). */
const MAXIMUM_NAME_BYTES = 29;
/** Milliseconds that a hub has to hear that the device goes. */
const GOODBYE = 500;

/**
 * Advertises and serves a device until it is closed: one hub at a time, as a coin cell does. What was going on with a hub
 * goes on when it comes back over another connection.
 * @throws {LatchkeyError} `peripheral_package_missing`, `peripheral_adapter_down`, `usage` for a name that is too long
 */
export async function servePeripheral(options: PeripheralOptions): Promise<Peripheral> {
  const bytes = Buffer.byteLength(options.name);
  if (bytes === 0 || bytes > MAXIMUM_NAME_BYTES) throw new LatchkeyError('usage', 'a name has 1 to 29 bytes');
  const adapter = await BlenoAdapter.open({ hci: options.hci, timers: options.timers });
  const served = new ServedPeripheral(options, adapter);
  try {
    await served.start();
    return served;
  } catch (error) {
    await served.close();
    throw error;
  }
}

interface Connection {
  readonly handle: ConnectionHandle;
  indications: Indications | undefined;
}

class ServedPeripheral implements Peripheral {
  readonly address: string;
  readonly #options: PeripheralOptions;
  readonly #profile: GattProfile;
  readonly #adapter: BlenoAdapter;
  readonly #endpoint: GattEndpoint;
  #connection: Connection | undefined;
  #connections = 0;
  #onGone: () => void = () => undefined;

  constructor(options: PeripheralOptions, adapter: BlenoAdapter) {
    const { clock, handler, name, profile = DRAFT_GATT_PROFILE, random, settings, timers } = options;
    this.address = `ble:${name}`;
    this.#options = options;
    this.#profile = profile;
    this.#adapter = adapter;
    this.#endpoint = new GattEndpoint({ clock, handler, random, settings, timers });
  }

  async start(): Promise<void> {
    const { bleno } = this;
    const characteristics = [this.#downstream(), this.#upstream()];
    await bleno.setServicesAsync([new bleno.PrimaryService({ uuid: this.#profile.service, characteristics })]);
    bleno.on('accept', (_, handle) => this.#accepted(handle));
    bleno.on('disconnect', (_, handle) => this.#disconnected(handle));
    await bleno.startAdvertisingAsync(this.#options.name, [this.#profile.service]);
    // An adapter that goes takes its connection along, and bleno does not say so.
    bleno.on('stateChange', (state) => {
      if (state === 'poweredOn') this.#advertise();
      else if (this.#connection !== undefined) this.#disconnected(this.#connection.handle);
    });
  }

  isConnected(): boolean {
    return this.#connection?.indications !== undefined;
  }

  request(request: CoapRequest, options: RequestOptions): Promise<CoapResponse> {
    return this.#endpoint.request(request, options);
  }

  counters(): Readonly<Record<string, number>> {
    const { coap, gatt } = this.#endpoint.counters();
    return { connections: this.#connections, ...coap, ...gatt };
  }

  async close(): Promise<void> {
    this.bleno.removeAllListeners('accept');
    this.bleno.stopAdvertising();
    if (this.#connection !== undefined) {
      await new Promise<void>((resolve) => {
        const cancel = this.#options.timers.after(GOODBYE, resolve);
        this.#onGone = () => {
          cancel();
          resolve();
        };
        this.bleno.disconnect();
      });
    }
    this.#endpoint.close();
    this.#adapter.close();
  }

  private get bleno(): Bleno {
    return this.#adapter.bleno;
  }

  #accepted(handle: ConnectionHandle): void {
    this.#connections += 1;
    this.#connection = { handle, indications: undefined };
    // Else bleno goes on advertising beside the connection.
    this.bleno.stopAdvertising();
  }

  #disconnected(handle: ConnectionHandle): void {
    if (this.#connection?.handle !== handle) return;
    this.#connection = undefined;
    this.#endpoint.disconnected(new LatchkeyError('link_down', 'the connection was lost'));
    this.#onGone();
    this.#advertise();
  }

  #advertise(): void {
    const { bleno } = this;
    if (bleno.state === 'poweredOn') bleno.startAdvertising(this.#options.name, [this.#profile.service]);
  }

  #downstream(): Characteristic {
    const { bleno } = this;
    const { Characteristic } = bleno;
    return new Characteristic({
      uuid: this.#profile.downstream,
      properties: ['write'],
      onWriteRequest: (handle, data, offset, _, answer) => {
        const takes = offset === 0 && data.length <= LIMITS.gattValueBytes;
        answer(takes ? Characteristic.RESULT_SUCCESS : Characteristic.RESULT_INVALID_ATTRIBUTE_LENGTH);
        if (takes && this.#connection?.handle === handle) this.#endpoint.receive(new Uint8Array(data));
      },
    });
  }

  #upstream(): Characteristic {
    const { Characteristic } = this.bleno;
    return new Characteristic({
      uuid: this.#profile.upstream,
      properties: ['indicate', 'read'],
      onSubscribe: (handle, size, indicate) => this.#subscribed(handle, new Indications({ indicate, size })),
      onIndicate: (handle) => {
        if (this.#connection?.handle === handle) this.#connection.indications?.confirmed();
      },
      onReadRequest: (_, offset, answer) => {
        const value = this.#connection?.indications?.read(offset);
        if (value === undefined) answer(Characteristic.RESULT_INVALID_OFFSET);
        else answer(Characteristic.RESULT_SUCCESS, Buffer.from(value));
      },
    });
  }

  #subscribed(handle: ConnectionHandle, indications: Indications): void {
    if (this.#connection?.handle !== handle) return;
    this.#connection.indications = indications;
    this.#endpoint.connected({
      send: (value) => indications.send(value),
      onStalled: () => this.bleno.disconnect(),
    });
  }
}

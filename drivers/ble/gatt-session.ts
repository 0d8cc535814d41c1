import type { Timers } from '../../src/core/clock.ts';
import { coded, LatchkeyError } from '../../src/core/errors.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { LEAST_MTU, RADIO_TIMES, VALUE_HEADER_BYTES } from './ble-settings.ts';
import type { GattProfile } from './gatt-profile.ts';
import type { NobleCharacteristic, NoblePeripheral } from './noble.ts';
import { raced } from './raced.ts';

export interface GattSessionOptions {
  readonly peripheral: NoblePeripheral;
  readonly profile: GattProfile;
  /** The MTU that the device was asked for. */
  readonly mtu: number;
  /** Called when the characteristics are known, and with them the MTU. */
  readonly onDiscovered: () => void;
  /** Milliseconds for each step. */
  readonly deadline: number;
  readonly timers: Timers;
  /** A whole value of the device. */
  readonly onValue: (value: Uint8Array) => void;
  /** The connection is gone, once; not after `close`. */
  readonly onEnded: (error: LatchkeyError) => void;
}

/** Bytes of an ATT message around a piece of a long value that is written. */
const PIECE_HEADER_BYTES = 5;
/** Milliseconds that each piece of a long value adds to the deadline of its write: two connection events and then some. */
const PER_PIECE = 250;

/** The two characteristics of one connection: values go out one at a time, and come in whole and in order. */
export class GattSession {
  readonly #options: GattSessionOptions;
  readonly #downstream: NobleCharacteristic;
  readonly #upstream: NobleCharacteristic;
  readonly #outbox: Uint8Array[] = [];
  readonly #onDisconnect = () => this.#end(new LatchkeyError('link_down', 'the link was lost'));
  readonly #onData = (data: Buffer, isNotification: boolean) => this.#take(data, isNotification);
  /** Values that came in, behind one that is still being read. */
  #inbox: Promise<void> | undefined;
  #writing: Promise<void> | undefined;
  #ended = false;

  private constructor(
    options: GattSessionOptions,
    found: { readonly downstream: NobleCharacteristic; readonly upstream: NobleCharacteristic },
  ) {
    this.#options = options;
    this.#downstream = found.downstream;
    this.#upstream = found.upstream;
  }

  /**
   * Finds the characteristics of a connected device and turns indications on.
   * @throws {LatchkeyError} `link_down`; the connection is left as it is
   */
  static async open(options: GattSessionOptions): Promise<GattSession> {
    const { deadline, peripheral, profile, timers } = options;
    const [service, down, up] = [profile.service, profile.downstream, profile.upstream].map(bare) as [
      string,
      string,
      string,
    ];
    const race = { deadline, peripheral, timers };
    // A link that never came about is lost before anybody listens.
    if (peripheral.state !== 'connected') throw new LatchkeyError('link_down', 'connecting: lost at once');
    const found = await raced<readonly NobleCharacteristic[]>({ ...race, what: 'discovering' }, (done) =>
      peripheral.discoverSomeServicesAndCharacteristics([service], [down, up], (error, _, characteristics) =>
        done(error, characteristics),
      ),
    );
    const downstream = found.find(({ uuid }) => uuid === down);
    const upstream = found.find(({ uuid }) => uuid === up);
    if (downstream === undefined || upstream === undefined)
      throw new LatchkeyError('link_down', 'discovering: the device does not speak CoAP over GATT');
    options.onDiscovered();
    const session = new GattSession(options, { downstream, upstream });
    // Before the first indication can come, and before a loss that nobody would hear of.
    upstream.on('data', session.#onData);
    peripheral.once('disconnect', session.#onDisconnect);
    try {
      await raced<void>({ ...race, what: 'subscribing' }, (done) => upstream.subscribe((error) => done(error)));
    } catch (error) {
      session.#detach();
      throw error;
    }
    return session;
  }

  /** Sends one value behind those before it. Too many, or none on an ended session, are dropped: the sub-layer is bounded. */
  send(value: Uint8Array): void {
    if (this.#ended || this.#outbox.length > LIMITS.gattWaiting) return;
    this.#outbox.push(value);
    this.#writing ??= this.#writeAll();
  }

  /** Resolves when everything has left, or cannot any more. */
  async drained(): Promise<void> {
    await this.#writing;
  }

  /** Lets go of the connection. Resolves when it is gone, or after a bounded time. */
  async close(): Promise<void> {
    this.#detach();
    await disconnect(this.#options.peripheral, this.#options.timers);
  }

  get #mtu(): number {
    const { mtu, peripheral } = this.#options;
    return Math.min(mtu, (peripheral as { readonly mtu?: number | null }).mtu ?? LEAST_MTU);
  }

  async #writeAll(): Promise<void> {
    try {
      for (let value = this.#outbox.shift(); value !== undefined; value = this.#outbox.shift())
        await this.#write(value);
    } catch (error) {
      this.#end(coded(error));
    } finally {
      this.#writing = undefined;
    }
  }

  #write(value: Uint8Array): Promise<void> {
    const { deadline, peripheral, timers } = this.#options;
    const fitsOne = value.length <= this.#mtu - VALUE_HEADER_BYTES;
    const pieces = fitsOne ? 0 : Math.ceil(value.length / (this.#mtu - PIECE_HEADER_BYTES));
    const race = { what: 'writing', deadline: deadline + pieces * PER_PIECE, peripheral, timers };
    return raced<void>(race, (done) => this.#downstream.write(Buffer.from(value), false, (error) => done(error)));
  }

  /** What noble read comes as data too, without being one that the device sent. */
  #take(data: Buffer, isNotification: boolean): void {
    if (!isNotification || this.#ended) return;
    const value = Uint8Array.from(data);
    const isWhole = value.length < this.#mtu - VALUE_HEADER_BYTES || !this.#upstream.properties.includes('read');
    if (isWhole && this.#inbox === undefined) {
      this.#options.onValue(value);
      return;
    }
    const before = this.#inbox ?? Promise.resolve();
    const taken = before
      .then(() => (isWhole ? value : this.#rest(value)))
      .then((whole) => {
        if (!this.#ended) this.#options.onValue(whole);
      })
      .catch((error: unknown) => this.#end(coded(error)));
    this.#inbox = taken;
    void taken.then(() => {
      if (this.#inbox === taken) this.#inbox = undefined;
    });
  }

  /**
   * An indication holds no more than the MTU less 3 bytes of its value; the rest is read (Bluetooth Core 5.2, volume 3,
   * part F §3.4.7.2). What does not begin alike is another value, and the indicated one was whole.
   */
  async #rest(beginning: Uint8Array): Promise<Uint8Array> {
    const { deadline, peripheral, timers } = this.#options;
    const race = { what: 'reading', deadline: deadline + LIMITS.gattValueBytes * 8, peripheral, timers };
    const value = await raced<Buffer>(race, (done) => this.#upstream.read(done));
    const begins = value.length >= beginning.length && beginning.every((byte, index) => value[index] === byte);
    return begins ? Uint8Array.from(value) : beginning;
  }

  #end(error: LatchkeyError): void {
    if (this.#ended) return;
    this.#detach();
    this.#options.onEnded(error);
  }

  #detach(): void {
    this.#ended = true;
    this.#outbox.length = 0;
    this.#upstream.removeListener('data', this.#onData);
    this.#options.peripheral.removeListener('disconnect', this.#onDisconnect);
  }
}

/** noble's own promise of a disconnection waits for ever where the controller does not answer. */
export async function disconnect(peripheral: NoblePeripheral, timers: Timers): Promise<void> {
  if (peripheral.state !== 'connected' && peripheral.state !== 'disconnecting') return;
  await new Promise<void>((resolve) => {
    const cancel = timers.after(RADIO_TIMES.disconnect, () => {
      peripheral.removeListener('disconnect', onGone);
      resolve();
    });
    const onGone = () => {
      cancel();
      resolve();
    };
    peripheral.once('disconnect', onGone);
    if (peripheral.state === 'connected') peripheral.disconnect();
  });
}

/** noble has UUIDs without their dashes. */
function bare(uuid: string): string {
  return uuid.replaceAll('-', '').toLowerCase();
}

import type { Timers } from '../../src/core/clock.ts';
import { coded, isCoded, LatchkeyError } from '../../src/core/errors.ts';
import { type BleSettings, RADIO_TIMES, SUPERVISION_TIMEOUT } from './ble-settings.ts';
import { type BrokenRule, guardNoble } from './gate/guard-noble.ts';
import { disconnect } from './gatt-session.ts';
import { muteUart, watchUart } from './hci-uart.ts';
import { type Noble, type NobleOptions, type NoblePeripheral, newNoble, startQuietly } from './noble.ts';
import {
  clampMtu,
  controlScanDuty,
  endAll,
  endLinks,
  forgetDevices,
  heardDevices,
  idOf,
  isConnecting,
  onForeignReset,
  onState,
  silence,
} from './noble-internals.ts';
import { type Race, raced } from './raced.ts';

interface Advertisement {
  readonly name: string;
  readonly address: string;
  /** dBm. */
  readonly rssi: number;
}

export interface AdapterOptions {
  readonly settings: Pick<BleSettings, 'adapter' | 'baudRate' | 'mtu'> & { readonly service: string };
  readonly timers: Timers;
  /** Percent of the time to listen in, asked for at each start of a scan. */
  readonly duty: () => number;
  readonly onAdvertisement: (heard: Advertisement) => void;
  /** A scan begins anew: `forget` what is not of interest. */
  readonly onRescan: () => void;
  /** The link to this device was cut off on this side: the device is as much there as if it were heard. */
  readonly onCutOff: (address: string) => void;
  /** A packet broke a rule, and was dropped. The link that it came over ends. */
  readonly onBroken: (broken: BrokenRule) => void;
  /** The adapter is gone, or does not answer; once. Links that are lost with it are told after. */
  readonly onLost: (error: LatchkeyError) => void;
}

/** The controller has room for no more links; noble has its status as text only (Bluetooth Core 5.2, volume 1, part F §1.3). */
const NO_ROOM = /\(0x(7|9|d)\)/;

/** One run of an adapter: from powered on until it is lost or closed. Scans when it does not connect. */
export class Adapter {
  readonly #noble: Noble;
  readonly #options: AdapterOptions;
  readonly #connected = new Set<NoblePeripheral>();
  /** Commands to the controller that exclude each other: noble mixes up a scan and a connection that begin at once. */
  #turn: Promise<unknown> = Promise.resolve();
  #scanning = false;
  #cancelRescan: (() => void) | undefined;
  /** Devices that were heard since it was last asked what to forget. */
  #heardSince = new Set<string>();
  readonly #end = new AbortController();

  private constructor(noble: Noble, options: AdapterOptions) {
    this.#noble = noble;
    this.#options = options;
  }

  /**
   * Resolves when the adapter is powered on and scans.
   * @throws {LatchkeyError} `radio_permission`, `radio_unsupported`, `radio_down`, `radio_failed`
   */
  static async open(options: AdapterOptions): Promise<Adapter> {
    const { adapter, baudRate } = options.settings;
    const noble = await newNoble(optionsOf(adapter, baudRate));
    const opened = new Adapter(noble, options);
    try {
      await opened.#powerOn();
      await opened.#alone(() => opened.#scan());
      opened.#scheduleRescan();
      return opened;
    } catch (error) {
      opened.#stop();
      throw error;
    }
  }

  get #hasEnded(): boolean {
    return this.#end.signal.aborted;
  }

  /** Its own address, as `aa:bb:cc:dd:ee:ff`. */
  get address(): string {
    return this.#noble.address;
  }

  /** Listens with the duty as it is now. */
  refreshDuty(): void {
    void this.#alone(() => this.#rescan()).catch((error: unknown) => this.#lose(coded(error)));
  }

  /**
   * A connection to a device that was heard.
   * @throws {LatchkeyError} `link_down`; `link_busy` where the adapter has no room for one more
   */
  connect(address: string, deadline: number): Promise<NoblePeripheral> {
    return new Promise((resolve, reject) => {
      // Whoever waits for the connection does not wait for the scan that goes on after it.
      this.#alone(() => this.#connect(address, deadline, resolve)).catch(reject);
    });
  }

  /** Forgets all devices but these, and those that were heard since `onRescan`. */
  forget(addresses: readonly string[]): void {
    const kept = new Set([...addresses.map(idOf), ...this.#heardSince]);
    if (!this.#hasEnded) forgetDevices(this.#noble, (id) => kept.has(id));
  }

  /** To be called when the characteristics of a device are known. */
  agreeOnMtu(peripheral: NoblePeripheral): void {
    clampMtu(this.#noble, peripheral, this.#options.settings.mtu);
  }

  /** Ends all links and lets go of the adapter. Bounded in time. */
  async close(): Promise<void> {
    if (this.#hasEnded) return;
    this.#end.abort();
    this.#cancelRescan?.();
    await Promise.all([...this.#connected].map((peripheral) => disconnect(peripheral, this.#options.timers)));
    this.#stop();
  }

  async #powerOn(): Promise<void> {
    const noble = this.#noble;
    // It writes these to standard error by itself.
    noble.removeAllListeners('warning');
    noble.on('warning', () => undefined);
    silence(noble);
    await new Promise<void>((resolve, reject) => {
      let last = 'unknown';
      const cancel = this.#options.timers.after(RADIO_TIMES.start, () => reject(faultOf(last)));
      const judge = (state: string) => {
        last = state;
        // Off is where every start begins, and where an adapter that is down stays.
        if (state !== 'poweredOn' && state !== 'unauthorized' && state !== 'unsupported') return;
        cancel();
        noble.removeListener('stateChange', judge);
        if (state === 'poweredOn') resolve();
        else reject(faultOf(state));
      };
      // Started first: a listener would start it later, where what it throws ends the process.
      const state = startNoble(noble, () => this.#takeInHand(), reject);
      noble.on('stateChange', judge);
      if (state !== undefined) judge(state);
    });
    watchUart(noble);
    // Not before: noble resets the controller itself when it starts.
    onForeignReset(noble, () => this.#wasReset());
    onState(noble, (state) => {
      if (state !== 'poweredOn') this.#lose(faultOf(state));
    });
    noble.on('discover', (peripheral: NoblePeripheral) => this.#heard(peripheral));
  }

  /** What has to hold before the first packet comes in. */
  #takeInHand(): void {
    guardNoble(this.#noble, this.#options.onBroken);
    controlScanDuty(this.#noble, this.#options.duty);
  }

  #heard({ address, advertisement, connectable, id, rssi }: NoblePeripheral): void {
    const name = advertisement.localName;
    if (this.#hasEnded || name === undefined || !connectable) return;
    this.#heardSince.add(id);
    this.#options.onAdvertisement({ name, address, rssi });
  }

  async #connect(address: string, deadline: number, done: (peripheral: NoblePeripheral) => void): Promise<void> {
    if (this.#hasEnded) throw new LatchkeyError('link_down', 'the adapter is gone');
    const peripheral = this.#peripheral(address);
    await this.#silence();
    try {
      await this.#initiate(peripheral, deadline);
      done(peripheral);
    } finally {
      if (!this.#hasEnded) await this.#scan();
    }
  }

  async #initiate(peripheral: NoblePeripheral, deadline: number): Promise<void> {
    const { mtu } = this.#options.settings;
    const race = this.#race('connecting', deadline);
    try {
      await raced<void>(race, (done) =>
        peripheral.connect({ mtu, timeout: SUPERVISION_TIMEOUT }, (error) => done(error)),
      );
    } catch (error) {
      await this.#takeBack(peripheral);
      const { detail = '' } = coded(error);
      if (NO_ROOM.test(detail)) throw new LatchkeyError('link_busy', detail, { cause: error });
      throw error;
    }
    this.#connected.add(peripheral);
    peripheral.once('disconnect', () => this.#connected.delete(peripheral));
  }

  /** Until the controller has said that it waits for the device no more, it takes no other connection. */
  async #takeBack(peripheral: NoblePeripheral): Promise<void> {
    if (this.#hasEnded) return;
    if (peripheral.state === 'connected') await disconnect(peripheral, this.#options.timers);
    if (peripheral.state === 'connecting') peripheral.cancelConnect();
    const { timers } = this.#options;
    const step = 20;
    for (let waited = 0; isConnecting(this.#noble) && !this.#hasEnded; waited += step) {
      if (waited > RADIO_TIMES.command) throw this.#lose(new LatchkeyError('radio_failed', 'a connection hangs'));
      await new Promise<void>((resolve) => timers.after(step, resolve));
    }
  }

  #peripheral(address: string): NoblePeripheral {
    const found = heardDevices(this.#noble).get(idOf(address));
    if (found === undefined) throw new LatchkeyError('link_down', 'connecting: not heard since the adapter came');
    return found;
  }

  async #rescan(): Promise<void> {
    if (this.#hasEnded) return;
    await this.#silence();
    await this.#scan();
    this.#heardSince = new Set();
    this.#options.onRescan();
  }

  async #scan(): Promise<void> {
    const race = this.#race('scanning', RADIO_TIMES.command);
    const { service } = this.#options.settings;
    try {
      await raced<void>(race, (done) =>
        this.#noble.startScanning([service.replaceAll('-', '')], true, (error) => done(error)),
      );
      this.#scanning = true;
    } catch (error) {
      throw this.#lose(new LatchkeyError('radio_failed', coded(error).detail, { cause: error }));
    }
  }

  async #silence(): Promise<void> {
    if (!this.#scanning) return;
    const race = this.#race('scanning', RADIO_TIMES.command);
    try {
      await raced<void>(race, (done) => this.#noble.stopScanning(() => done(undefined)));
      this.#scanning = false;
    } catch (error) {
      throw this.#lose(new LatchkeyError('radio_failed', coded(error).detail, { cause: error }));
    }
  }

  #race(what: string, deadline: number): Race {
    return { what, deadline, timers: this.#options.timers, signal: this.#end.signal };
  }

  #scheduleRescan(): void {
    this.#cancelRescan = this.#options.timers.after(RADIO_TIMES.rescan, () => {
      this.#alone(() => this.#rescan())
        .catch((error: unknown) => this.#lose(coded(error)))
        .finally(() => {
          if (!this.#hasEnded) this.#scheduleRescan();
        });
    });
  }

  /** All links are gone, and nothing is scanned: both are put right at once, and not when something fails for want of it. */
  #wasReset(): void {
    if (this.#hasEnded) return;
    if (isConnecting(this.#noble)) {
      this.#lose(new LatchkeyError('radio_failed', 'reset while it connected'));
      return;
    }
    const cutOff = [...this.#connected];
    endLinks(this.#noble);
    this.refreshDuty();
    for (const { address } of cutOff) this.#options.onCutOff(address);
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#turn.then(work, work);
    this.#turn = next.catch(() => undefined);
    return next;
  }

  #lose(error: LatchkeyError): LatchkeyError {
    if (this.#hasEnded) return error;
    this.#end.abort();
    this.#cancelRescan?.();
    // First who is at fault: a device must not be blamed for the end of its link.
    this.#options.onLost(error);
    this.#stop();
    return error;
  }

  #stop(): void {
    try {
      this.#noble.stop();
    } catch {
      // A stack that is broken cannot be stopped either; it is left behind.
    }
    muteUart(this.#noble);
    endAll(this.#noble);
    this.#noble.removeAllListeners();
    this.#noble.on('warning', () => undefined);
  }
}

/** @param then is called as soon as noble has what is changed in it */
function startNoble(noble: Noble, then: () => void, onFault: (error: LatchkeyError) => void): string | undefined {
  try {
    const state = startQuietly(noble);
    then();
    return state;
  } catch (error) {
    onFault(isCoded(error) ? error : new LatchkeyError('radio_unsupported', 'noble cannot start', { cause: error }));
    return undefined;
  }
}

function optionsOf(adapter: string, baudRate: number): NobleOptions {
  if (adapter.startsWith('/')) return { hciDriver: 'uart', bindParams: { uart: { port: adapter, baudRate } } };
  return adapter === 'auto' ? {} : { deviceId: Number(adapter.slice('hci'.length)) };
}

function faultOf(state: string): LatchkeyError {
  if (state === 'poweredOff') return new LatchkeyError('radio_down');
  if (state === 'unauthorized') return new LatchkeyError('radio_permission');
  if (state === 'unsupported') return new LatchkeyError('radio_unsupported');
  return new LatchkeyError('radio_failed', `its state is ${state}`);
}

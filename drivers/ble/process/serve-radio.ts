import type { Timers } from '../../../src/core/clock.ts';
import { coded, LatchkeyError } from '../../../src/core/errors.ts';
import { LIMITS } from '../../../src/core/limits.ts';
import { Adapter } from '../adapter.ts';
import { RADIO_TIMES } from '../ble-settings.ts';
import type { BrokenRule } from '../gate/guard-noble.ts';
import { disconnect, GattSession } from '../gatt-session.ts';
import { type ToHub, type ToProcess, toldError } from './messages.ts';

export interface RadioServerOptions {
  readonly timers: Timers;
  readonly say: (message: ToHub) => void;
  /** Whether the hub takes what it is told: what can be left out is left out while it does not. */
  readonly isHeard: () => boolean;
  /** All is let go. */
  readonly onClosed: () => void;
}

/** The process's side: has one adapter, and does with it what the hub says. */
export class RadioServer {
  readonly #options: RadioServerOptions;
  readonly #sessions = new Map<number, GattSession>();
  readonly #broken = new Map<string, { address: string | undefined; count: number }>();
  #adapter: Adapter | undefined;
  #settings: Extract<ToProcess, { readonly type: 'open' }> | undefined;
  #duty = 100;

  constructor(options: RadioServerOptions) {
    this.#options = options;
  }

  take(message: ToProcess): void {
    switch (message.type) {
      case 'open':
        void this.#open(message);
        break;
      case 'duty':
        this.#duty = message.duty;
        if (message.now) this.#adapter?.refreshDuty();
        break;
      case 'keep':
        this.#adapter?.forget(message.addresses);
        break;
      case 'connect':
        void this.#connect(message);
        break;
      case 'send':
        this.#sessions.get(message.link)?.send(message.value);
        break;
      case 'release':
        void this.#release(message.link);
        break;
      case 'ping':
        this.#options.say({ type: 'pong' });
        break;
      case 'close':
        void this.close();
        break;
    }
  }

  async close(): Promise<void> {
    await this.#adapter?.close();
    this.#options.onClosed();
  }

  async #open(settings: Extract<ToProcess, { readonly type: 'open' }>): Promise<void> {
    const { isHeard, say, timers } = this.#options;
    const { adapter, baudRate, duty, mtu, service } = settings;
    this.#settings = settings;
    this.#duty = duty;
    try {
      this.#adapter = await Adapter.open({
        settings: { adapter, baudRate, mtu, service },
        timers,
        duty: () => this.#duty,
        onAdvertisement: ({ address, name, rssi }) => {
          if (isHeard() && name.length <= LIMITS.radioTextLength) say({ type: 'heard', name, address, rssi });
        },
        onRescan: () => say({ type: 'asks' }),
        onCutOff: (address) => say({ type: 'cutOff', address }),
        onBroken: (broken) => this.#tell(broken),
        onLost: (error) => say({ type: 'lost', ...toldError(error) }),
      });
      say({ type: 'on', address: this.#adapter.address });
    } catch (error) {
      say({ type: 'failed', ...toldError(coded(error)) });
    }
  }

  async #connect(asked: Extract<ToProcess, { readonly type: 'connect' }>): Promise<void> {
    const { say } = this.#options;
    const { link } = asked;
    try {
      this.#sessions.set(link, await this.#session(asked));
      say({ type: 'connected', link });
    } catch (error) {
      say({ type: 'refused', link, ...toldError(coded(error)) });
    }
  }

  async #session(asked: Extract<ToProcess, { readonly type: 'connect' }>): Promise<GattSession> {
    const { say, timers } = this.#options;
    const { address, connectTimeout, link, operationTimeout: deadline } = asked;
    const adapter = this.#adapter;
    const profile = this.#settings;
    if (adapter === undefined || profile === undefined) throw new LatchkeyError('link_down', 'there is no adapter');
    const { mtu } = profile;
    const peripheral = await adapter.connect(address, connectTimeout);
    const onDiscovered = () => adapter.agreeOnMtu(peripheral);
    const onValue = (value: Uint8Array) => say({ type: 'value', link, value });
    const onEnded = (error: LatchkeyError) => say({ type: 'ended', link, ...toldError(error) });
    try {
      return await GattSession.open({ peripheral, profile, mtu, onDiscovered, deadline, timers, onValue, onEnded });
    } catch (error) {
      await disconnect(peripheral, timers);
      throw error;
    }
  }

  async #release(link: number): Promise<void> {
    const session = this.#sessions.get(link);
    this.#sessions.delete(link);
    await session?.drained();
    await session?.close();
    this.#options.say({ type: 'released', link });
  }

  /** Told together: who breaks rules has no hand in how much is said of it. */
  #tell({ address, rule }: BrokenRule): void {
    if (this.#broken.size === 0) this.#options.timers.after(RADIO_TIMES.tell, () => this.#tellAll());
    const known = this.#broken.get(rule);
    if (known === undefined) {
      if (this.#broken.size < LIMITS.radioBrokenRules) this.#broken.set(rule, { address, count: 1 });
      return;
    }
    known.count += 1;
    known.address = address ?? known.address;
  }

  #tellAll(): void {
    for (const [rule, { address, count }] of this.#broken) this.#options.say({ type: 'broken', rule, address, count });
    this.#broken.clear();
  }
}

import { stat } from 'node:fs/promises';
import type { Bleno, HciBindingsOptions } from '@stoprocent/bleno';
import type { Timers } from '../../src/core/clock.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import { silence, stoppablePolling } from './bleno-internals.ts';
import { muteUart, watchUart } from './hci-uart.ts';

export interface BlenoAdapterOptions {
  /** Path of a UART that speaks H4, or the name of an adapter of the system; without one its first. */
  readonly hci?: string | undefined;
  readonly timers: Timers;
}

/** Milliseconds: a controller answers its first dozen commands in well under one second. */
const POWER_DEADLINE = 5_000;
/** For a pty it counts for nothing, and it is what the common USB and UART controllers start with. */
const BAUD_RATE = 1_000_000;

/**
 * The peripheral's stack, on an adapter of its own. bleno is imported here and nowhere else: as an optional package, and
 * because the mere import loads native code.
 */
export class BlenoAdapter {
  readonly bleno: Bleno;
  readonly #stopPolling: () => void;

  private constructor(bleno: Bleno) {
    this.bleno = bleno;
    silence(bleno);
    this.#stopPolling = stoppablePolling(bleno);
  }

  /**
   * Resolves when the adapter is powered on.
   * @throws {LatchkeyError} `peripheral_package_missing`, `peripheral_adapter_down`
   */
  static async open({ hci, timers }: BlenoAdapterOptions): Promise<BlenoAdapter> {
    // bleno says nothing at all about a UART that it cannot open.
    if (hci?.startsWith('/') === true && !(await isDevice(hci))) refuse(`${hci} is not a device`);
    if (hci !== undefined && !/^(\/.*|(hci)?\d{1,3})$/.test(hci))
      refuse(`${hci} is neither hci0 or the like nor a path`);
    const { withBindings } = await load();
    const adapter = new BlenoAdapter(withBindings('hci', optionsOf(hci)));
    try {
      await adapter.#powerOn(timers);
      watchUart(adapter.bleno);
      return adapter;
    } catch (error) {
      adapter.close();
      throw error;
    }
  }

  /** Frees the adapter at once. What still waits to be sent is lost: end connections before. */
  close(): void {
    this.bleno.removeAllListeners();
    this.bleno.stop();
    muteUart(this.bleno);
    this.#stopPolling();
  }

  #powerOn(timers: Timers): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (detail: string) => reject(new LatchkeyError('peripheral_adapter_down', detail));
      const cancel = timers.after(POWER_DEADLINE, () => fail('it does not answer'));
      const before = process.listeners('SIGINT');
      this.bleno.on('stateChange', (state) => {
        cancel();
        if (state === 'poweredOn') resolve();
        else fail(`its state is ${state}`);
      });
      // The first listener starts bleno, which ends the process at SIGINT when nobody else is asked first.
      for (const listener of process.listeners('SIGINT')) {
        if (!before.includes(listener)) process.removeListener('SIGINT', listener);
      }
    });
  }
}

function optionsOf(hci: string | undefined): HciBindingsOptions {
  if (hci === undefined) return {};
  return hci.startsWith('/') ? uart(hci) : ({ deviceId: Number(hci.replace(/^hci/, '')) } as HciBindingsOptions);
}

function uart(port: string): HciBindingsOptions {
  // The package's own types say `DriverType`, which its socket package does not export.
  return { hciDriver: 'uart', bindParams: { uart: { port, baudRate: BAUD_RATE } } } as unknown as HciBindingsOptions;
}

async function load(): Promise<Pick<typeof import('@stoprocent/bleno'), 'withBindings'>> {
  try {
    const { default: bleno, withBindings } = await import('@stoprocent/bleno');
    return { withBindings: withBindings ?? (bleno as unknown as { withBindings: typeof withBindings }).withBindings };
  } catch (error) {
    throw new LatchkeyError('peripheral_package_missing', 'import of @stoprocent/bleno', { cause: error });
  }
}

async function isDevice(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isCharacterDevice();
  } catch {
    // Whatever the reason: a path that cannot be looked at is no adapter for us.
    return false;
  }
}

function refuse(detail: string): never {
  throw new LatchkeyError('peripheral_adapter_down', detail);
}

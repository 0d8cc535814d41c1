import type { EventEmitter } from 'node:events';
import { LatchkeyError } from '../../src/core/errors.ts';

/**
 * What is used of @abandonware/noble (@stoprocent/noble 2.8.0), by its source rather than by its types: these declare a
 * module of another name, and leave out the options of a connection.
 */

interface NobleConnectOptions {
  /** Asked for in the MTU exchange, which noble makes as soon as it is connected. */
  readonly mtu: number;
  /** Supervision timeout in units of 10 ms. */
  readonly timeout: number;
}

export interface NobleCharacteristic extends EventEmitter {
  readonly uuid: string;
  readonly properties: readonly string[];
  write(data: Buffer, withoutResponse: boolean, done: (error?: Error | null) => void): void;
  subscribe(done: (error?: Error | null) => void): void;
  read(done: (error: Error | null | undefined, data: Buffer) => void): void;
}

export interface NoblePeripheral extends EventEmitter {
  /** The address without its colons. */
  readonly id: string;
  readonly address: string;
  readonly connectable: boolean;
  readonly rssi: number;
  readonly advertisement: { readonly localName?: string | undefined };
  readonly state: string;
  connect(options: NobleConnectOptions, done: (error?: Error | null) => void): void;
  cancelConnect(): void;
  disconnect(): void;
  discoverSomeServicesAndCharacteristics(
    services: readonly string[],
    characteristics: readonly string[],
    done: (error: Error | string | null | undefined, services: unknown, found: readonly NobleCharacteristic[]) => void,
  ): void;
}

export interface Noble extends EventEmitter {
  /** Reading it for the first time starts the bindings. */
  readonly state: string;
  readonly address: string;
  startScanning(services: readonly string[], allowDuplicates: boolean, done: (error?: Error | null) => void): void;
  stopScanning(done: () => void): void;
  stop(): void;
}

export interface NobleOptions {
  readonly hciDriver?: 'uart';
  readonly deviceId?: number;
  readonly bindParams?: { readonly uart: { readonly port: string; readonly baudRate: number } };
}

/**
 * Loads noble, which takes its time. Imported here and nowhere else, and only when there is a radio: it is native code.
 * @throws {LatchkeyError} `radio_unsupported` where that cannot be loaded
 */
export async function loadNoble(): Promise<(kind: 'hci', options: NobleOptions) => unknown> {
  try {
    return (await import('@abandonware/noble')).withBindings;
  } catch (error) {
    throw new LatchkeyError('radio_unsupported', 'noble cannot be loaded', { cause: error });
  }
}

/**
 * A noble of its own.
 * @throws {LatchkeyError} `radio_unsupported` where noble cannot be loaded
 */
export async function newNoble(options: NobleOptions): Promise<Noble> {
  const withBindings = await loadNoble();
  return withBindings('hci', options) as Noble;
}

/**
 * Starts noble and takes back what it does to the whole process: a listener that ends it at SIGINT when it is the last
 * one, and others that write to the adapter while the process exits.
 */
export function startQuietly(noble: Noble): string {
  const events = ['SIGINT', 'exit'] as const;
  const before = events.map((event) => process.listeners(event as 'exit'));
  try {
    return noble.state;
  } finally {
    for (const [index, event] of events.entries())
      for (const listener of process.listeners(event as 'exit'))
        if (before[index]?.includes(listener) !== true) process.removeListener(event, listener);
  }
}

import type { EventEmitter } from 'node:events';
import type { Noble, NoblePeripheral } from './noble.ts';

/**
 * What noble has no way in for, each with its reason. Held to noble 2.8.0 by its exact version in package.json; what is not
 * there is passed over, so that another version loses the remedy and nothing else.
 */
interface Internals {
  readonly _peripherals?: Map<string, NoblePeripheral>;
  _cleanupPeriperals?(id?: string): void;
  readonly _bindings?: EventEmitter & {
    _state?: string | null;
    onStateChange?(state: string): void;
    readonly _hci?: EventEmitter & {
      setScanParameters?(interval?: number, window?: number): void;
    };
    readonly _gap?: { _discoveries?: Record<string, unknown> };
    readonly _gatts?: Record<string, { _mtu?: number } | undefined>;
    readonly _pendingConnectionUuid?: string | null;
    readonly _addresses?: Record<string, unknown>;
    readonly _addresseTypes?: Record<string, unknown>;
    readonly _connectable?: Record<string, unknown>;
    readonly scannable?: Record<string, unknown>;
  };
}

function inside(noble: Noble): Internals {
  return noble as unknown as Internals;
}

/**
 * Has noble keep its advice to itself: it writes to standard output, which is the hub's log, that an adapter may not be
 * used. To be called before it starts.
 */
export function silence(noble: Noble): void {
  const bindings = inside(noble)._bindings;
  const change = bindings?.onStateChange?.bind(bindings);
  if (bindings === undefined || change === undefined) return;
  bindings.onStateChange = (state) => {
    if (state !== 'unauthorized' && state !== 'unsupported') return change(state);
    bindings._state = state;
    bindings.emit('stateChange', state);
  };
}

/** Units of 0.625 ms: 100 ms, in which a window of any share is longer than an advertisement. */
const SCAN_INTERVAL = 160;

/**
 * Has noble scan with the share of the time that `duty` gives, in percent, whenever it starts to. Its own function for it
 * is called before every scan with the defaults, which are all of the time.
 */
export function controlScanDuty(noble: Noble, duty: () => number): void {
  const hci = inside(noble)._bindings?._hci;
  const set = hci?.setScanParameters?.bind(hci);
  if (hci === undefined || set === undefined) return;
  hci.setScanParameters = () => set(SCAN_INTERVAL, Math.max(4, Math.round((SCAN_INTERVAL * duty()) / 100)));
}

/**
 * Takes the MTU for what both agreed on. noble takes the answer of the device, though it may be more than was asked for
 * (Bluetooth Core 5.2, volume 3, part F §3.4.2.2: the smaller one counts), and then writes and reads in too large pieces.
 */
export function clampMtu(noble: Noble, peripheral: NoblePeripheral, asked: number): void {
  const gatt = inside(noble)._bindings?._gatts?.[peripheral.id];
  if (gatt?._mtu !== undefined) gatt._mtu = Math.min(gatt._mtu, asked);
}

/** Whether noble still waits for a connection, asked for or cancelled: until then it begins no other one. */
export function isConnecting(noble: Noble): boolean {
  const pending = inside(noble)._bindings?._pendingConnectionUuid;
  return pending !== undefined && pending !== null;
}

/** Calls back when the controller was reset, by whomever: it scans no more then, and noble does not notice. */
export function onReset(noble: Noble, listener: () => void): void {
  inside(noble)._bindings?._hci?.on('reset', listener);
}

/**
 * Forgets devices that are not to be kept. noble remembers every address that it ever heard, and phones take a new one
 * every quarter of an hour.
 */
export function forgetDevices(noble: Noble, isKept: (id: string) => boolean): void {
  const { _bindings: bindings, _peripherals: peripherals } = inside(noble);
  if (bindings?._gap?._discoveries !== undefined) {
    const discoveries = bindings._gap._discoveries;
    for (const address of Object.keys(discoveries)) if (!isKept(idOf(address))) delete discoveries[address];
  }
  for (const [id, peripheral] of peripherals ?? []) {
    if (isKept(id) || ['connecting', 'connected', 'disconnecting'].includes(peripheral.state)) continue;
    inside(noble)._cleanupPeriperals?.(id);
    for (const table of [bindings?._addresses, bindings?._addresseTypes, bindings?._connectable, bindings?.scannable])
      if (table !== undefined) delete table[id];
  }
}

/** Devices that were heard, or are connected, by their ids. */
export function heardDevices(noble: Noble): ReadonlyMap<string, NoblePeripheral> {
  return inside(noble)._peripherals ?? new Map();
}

/** Tells whoever waits for a connection or uses one that it is gone: a noble that was stopped says nothing. */
export function endAll(noble: Noble): void {
  inside(noble)._cleanupPeriperals?.();
}

export function idOf(address: string): string {
  return address.replaceAll(':', '').toLowerCase();
}

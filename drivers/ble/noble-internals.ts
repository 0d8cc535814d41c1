import type { EventEmitter } from 'node:events';
import { LatchkeyError } from '../../src/core/errors.ts';
import type { Noble, NoblePeripheral } from './noble.ts';

/** The part of noble that speaks HCI. It is made when noble is started. */
export interface GuardedHci extends EventEmitter {
  readonly _socket: EventEmitter;
  onSocketData(packet: Buffer): void;
  writeAclDataPkt(handle: number, channel: number, payload: Buffer): unknown;
  setScanParameters(interval?: number, window?: number): void;
  disconnect(handle: number): void;
  reset(): void;
}

/**
 * What noble has no way in for, each with its reason. Held to noble 2.8.0 by its exact version in package.json. What the
 * safety of the hub or a setting rests on is required (`hciOf`); of the rest, what is not there is passed over, so that
 * another version loses the remedy and nothing else.
 */
interface Internals {
  readonly _peripherals?: Map<string, NoblePeripheral>;
  _cleanupPeriperals?(id?: string): void;
  readonly _bindings?: EventEmitter & {
    _state?: string | null;
    onStateChange?(state: string): void;
    readonly _hci?: (Partial<GuardedHci> & { readonly _aclConnections?: ReadonlyMap<number, unknown> }) | null;
    readonly _gap?: { _discoveries?: Record<string, Discovery> };
    readonly _gatts?: Record<string, { _mtu?: number } | undefined>;
    readonly _pendingConnectionUuid?: string | null;
    readonly _addresses?: Record<string, unknown>;
    readonly _addresseTypes?: Record<string, unknown>;
    readonly _connectable?: Record<string, unknown>;
    readonly scannable?: Record<string, unknown>;
  };
}

/** What noble has gathered of one address. */
interface Discovery {
  readonly advertisement?: Partial<Record<'serviceUuids' | 'serviceData' | 'serviceSolicitationUuids', unknown[]>>;
}

function inside(noble: Noble): Internals {
  return noble as unknown as Internals;
}

/**
 * The part that speaks HCI, of a noble that was started.
 * @throws {LatchkeyError} `radio_unsupported` where it is not as it is used here
 */
export function hciOf(noble: Noble): GuardedHci {
  const hci = inside(noble)._bindings?._hci;
  const methods = ['onSocketData', 'writeAclDataPkt', 'setScanParameters', 'disconnect', 'reset'] as const;
  const missing = hci == null ? ['_hci'] : methods.filter((method) => typeof hci[method] !== 'function');
  if (hci != null && typeof hci._socket?.on !== 'function') missing.push('_socket');
  if (missing.length > 0)
    throw new LatchkeyError('radio_unsupported', `this version of noble has no ${missing.join(', ')}`);
  return hci as GuardedHci;
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
 * is called before every scan with the defaults, which are all of the time. To be called when noble was started.
 */
export function controlScanDuty(noble: Noble, duty: () => number): void {
  const hci = hciOf(noble);
  const set = hci.setScanParameters.bind(hci);
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

/**
 * Calls back when somebody else reset the controller: it scans no more then and has no links, and noble notices neither.
 * noble resets it itself before a connection where there is no other; that is not told.
 */
export function onForeignReset(noble: Noble, listener: () => void): void {
  const hci = hciOf(noble);
  const reset = hci.reset.bind(hci);
  let own = 0;
  hci.reset = () => {
    own += 1;
    reset();
  };
  hci.on('reset', () => {
    if (own === 0) listener();
    else own -= 1;
  });
}

/** Calls back with a state before noble acts on it: what it does to links then has its reason. */
export function onState(noble: Noble, listener: (state: string) => void): void {
  inside(noble)._bindings?.prependListener('stateChange', listener);
}

/** "Connection terminated by local host" (Bluetooth Core 5.2, volume 1, part F §2.22). */
const ENDED_HERE = 0x16;

/**
 * Has noble take all its connections for ended. A controller that was reset says of none of them that it is gone, so noble
 * gets the events that are missing: Disconnection Complete, as H4 packets (volume 4, part E §7.7.5).
 */
export function endLinks(noble: Noble): void {
  const hci = inside(noble)._bindings?._hci;
  for (const handle of [...(hci?._aclConnections?.keys() ?? [])])
    hci?.onSocketData?.(Buffer.of(0x04, 0x05, 4, 0, handle & 0xff, handle >> 8, ENDED_HERE));
}

/** Entries of a list that one address may gather before it is begun anew: an honest device has one or two. */
const GATHERED = 64;

/**
 * Forgets devices that are not to be kept. noble remembers every address that it ever heard, and phones take a new one
 * every quarter of an hour. Of one that is kept it gathers every service that it ever named.
 */
export function forgetDevices(noble: Noble, isKept: (id: string) => boolean): void {
  const { _bindings: bindings, _peripherals: peripherals } = inside(noble);
  if (bindings?._gap?._discoveries !== undefined) {
    const discoveries = bindings._gap._discoveries;
    for (const [address, { advertisement = {} }] of Object.entries(discoveries)) {
      if (!isKept(idOf(address))) delete discoveries[address];
      for (const list of Object.values(advertisement))
        if (Array.isArray(list) && list.length > GATHERED) list.length = 0;
    }
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

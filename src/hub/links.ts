/** The ways to devices: serial lines and the radio, and what devices may ask over them. */
import type { Radio } from '../../drivers/ble/radio.ts';
import { openSerialLine, type SerialLine } from '../../drivers/serial/serial-line.ts';
import { systemRandom, systemTimers } from '../../drivers/system-time.ts';
import type { CoapHandler } from '../codec/coap/responder.ts';
import type { Config } from '../config/schema.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { Device } from '../devices/device.ts';
import type { Dispatcher } from '../flows/dispatch.ts';
import { serveDevices } from '../flows/serve-devices.ts';
import { TellTime } from '../flows/tell-time.ts';
import type { DeviceLink } from '../ports/device-link.ts';
import type { Log } from '../ports/log.ts';
import type { RelayParts } from './relay.ts';
import type { State } from './state.ts';

/** What there is of them now. */
export interface Links {
  readonly lines: ReadonlyMap<string, SerialLine>;
  readonly radio: Radio | undefined;
}

/** @throws {LatchkeyError} `link_unconfigured` */
export function linkOf({ ble, line }: Device, { lines, radio }: Links): DeviceLink {
  const link = ble !== undefined ? radio?.link(ble.name) : line === undefined ? undefined : lines.get(line);
  if (link === undefined) throw new LatchkeyError('link_unconfigured', ble?.name ?? line);
  return link;
}

/** What devices may ask of the hub, whatever the link. */
export type DeviceServer = (isExpected: (device: Device) => boolean, log: Log) => CoapHandler;

export function deviceServer({ clock, registry }: State, { introspection }: RelayParts): DeviceServer {
  const time = new TellTime({ registry, clock });
  return (isExpected, log) => serveDevices({ isExpected, introspection, time, random: systemRandom, log });
}

export function openLine(
  { ackTimeout, baudRate, name, path }: Config['lines'][number],
  { clock }: State,
  serve: DeviceServer,
  log: Log,
): SerialLine {
  return openSerialLine({
    name,
    path,
    baudRate,
    timers: systemTimers,
    clock,
    random: systemRandom,
    log,
    handler: serve((device) => device.line === name, log.child({ line: name })),
    coap: { ackTimeout },
  });
}

/** A device that shows up is tried at once, whatever the pause. */
export function wakeAtSightings({ lines, radio }: Links, dispatcher: Dispatcher, { registry }: State): void {
  for (const line of lines.values()) wakeAtSightingsOf(line, dispatcher, { registry });
  radio?.onSighting((name) => {
    const device = registry.byBleName(name);
    if (device !== undefined) void dispatcher.wakeForWork([device.id]);
  });
}

export function wakeAtSightingsOf(
  line: SerialLine,
  dispatcher: Dispatcher,
  { registry }: Pick<State, 'registry'>,
): void {
  line.onSighting(() => {
    const devices = registry.list().filter((device) => device.line === line.name);
    void dispatcher.wakeForWork(devices.map(({ id }) => id));
  });
}

/** The radio, where one is configured. All of it is loaded only then. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { HeardDevice, Radio } from '../../drivers/ble/radio.ts';
import { systemRandom, systemTimers } from '../../drivers/system-time.ts';
import type { Config } from '../config/schema.ts';
import type { RadioView } from '../ports/admin.ts';
import type { Log } from '../ports/log.ts';
import type { DeviceServer } from './links.ts';
import type { State } from './state.ts';

/**
 * What has the adapter, in a process of its own: node runs it as it was built. Seen from the built program, and from here,
 * where a test runs the hub from its sources.
 */
const PROGRAMS = ['../bin/radio.js', '../../dist/bin/radio.js'].map((path) =>
  fileURLToPath(new URL(path, import.meta.url)),
);

export async function openRadio(
  { ble }: Config,
  { clock, registry }: State,
  serve: DeviceServer,
  log: Log,
): Promise<Radio | undefined> {
  const { adapter, downstreamUuid: downstream, serviceUuid: service, upstreamUuid: upstream } = ble;
  if (adapter === undefined) return undefined;
  // By name: a copy of "the others" would hide a setting that is not read (test/config/every-setting.test.ts).
  const { baudRate, connectTimeout, connections, linger, mtu, operationTimeout, presence, scanDuty, visit } = ble;
  const times = { connectTimeout, linger, operationTimeout, presence, visit };
  const profile = { service, downstream, upstream };
  const { Radio } = await import('../../drivers/ble/radio.ts');
  return new Radio({
    program: PROGRAMS.find((path) => existsSync(path)) ?? '',
    settings: { adapter, baudRate, connections, mtu, scanDuty, profile, ...times },
    timers: systemTimers,
    clock,
    random: systemRandom,
    log,
    isKnown: (name) => registry.byBleName(name) !== undefined,
    // Each peer that answers to the name may ask; what is answered is sealed for the device.
    handler: (name) => serve(({ ble: identity }) => identity?.name === name, log.child({ ble: name })),
  });
}

export function viewRadio({ ble }: Config, { registry }: State, radio: Radio): RadioView {
  const { code, detail, up } = radio.health();
  const heard = radio.heard();
  return {
    adapter: ble.adapter ?? '',
    address: radio.address,
    up,
    lastError: code,
    lastErrorDetail: detail,
    links: radio.connections,
    room: radio.slots.limit,
    counters: { ...radio.counters },
    devices: registry.list().flatMap(({ ble: identity, id }) => {
      if (identity === undefined) return [];
      const here = heard.filter(({ name }) => name === identity.name);
      return [{ device: id, ...viewDevice(radio, identity.name, here) }];
    }),
  };
}

function viewDevice(
  radio: Radio,
  name: string,
  heard: readonly HeardDevice[],
): Omit<RadioView['devices'][number], 'device'> {
  const link = radio.link(name);
  const best = heard.find(({ address }) => address === link.address) ?? heard[0];
  return {
    name,
    up: link.isUp(),
    connected: link.isConnected,
    address: link.address ?? best?.address,
    rssi: best?.rssi,
    rivals: Math.max(0, heard.length - 1),
  };
}

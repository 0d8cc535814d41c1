/** Pairing, over what links there are. */
import type { Radio } from '../../drivers/ble/radio.ts';
import { systemTimers } from '../../drivers/system-time.ts';
import type { Config } from '../config/schema.ts';
import type { Registry } from '../devices/registry.ts';
import type { Dispatcher } from '../flows/dispatch.ts';
import type { FinishPairing } from '../flows/finish-pairing.ts';
import { PairFlow } from '../flows/pair.ts';
import { lineObstacles, radioObstacles } from '../flows/pair-obstacles.ts';
import type { RefreshTrust } from '../flows/refresh-trust.ts';
import type { Log } from '../ports/log.ts';
import type { PairTargets } from '../ports/pairing.ts';
import type { Links } from './links.ts';
import { pairingTimeout } from './settings.ts';
import { administerFlow, newDeviceSurroundings, type State } from './state.ts';

export function openPairing(parts: {
  readonly config: Config;
  readonly state: State;
  readonly trust: RefreshTrust;
  readonly links: Links;
  readonly finish: FinishPairing;
  readonly dispatcher: Dispatcher;
  readonly log: Log;
}): PairFlow {
  const { config, dispatcher, finish, links, log, state, trust } = parts;
  const { audit, hubKeys, registry } = state;
  const devices = administerFlow(config, state, log, {
    cancel: (id) => dispatcher.cancel(id),
    difficulty: (device) => dispatcher.difficulty(device),
    trust,
    wake: (device) => dispatcher.wake(device),
  });
  return new PairFlow({
    ...newDeviceSurroundings(config, state),
    registry,
    hubKeys,
    targets: [lineTargets(config, links, registry), radioTargets(config, links, registry)],
    trust,
    finish,
    wake: (device) => dispatcher.wake(device),
    dropDeliveries: (device) => devices.dropDeliveries(device),
    view: (device) => devices.view(device),
    timers: systemTimers,
    audit,
    log,
    attemptTimeout: pairingTimeout(config),
  });
}

/** A line that is open and has no device is one that may have an unknown device. */
function lineTargets(config: Config, links: Links, registry: Registry): PairTargets {
  return {
    watch: () => () => undefined,
    list: () => {
      const taken = new Set(registry.list().flatMap(({ line, pairing }) => (pairing === undefined ? [line] : [])));
      return [...links.lines.values()].flatMap((link) =>
        link.isUp() && !taken.has(link.name) ? [{ name: link.name, place: { line: link.name }, link }] : [],
      );
    },
    obstacles: (name) => {
      const lines = config.lines.map((line) => ({
        name: line.name,
        ...(links.lines.get(line.name)?.health() ?? NOT_OPENED),
      }));
      return lineObstacles({ lines, devices: registry.list() }, name);
    },
  };
}

/** As the hub starts, for a moment. */
const NOT_OPENED = { up: false, code: undefined, detail: 'not opened yet' };

function radioTargets({ ble }: Config, links: Links, registry: Registry): PairTargets {
  return {
    watch: (name) => links.radio?.openWindow(name) ?? (() => undefined),
    list: () => (links.radio === undefined ? [] : heardBy(links.radio, registry)),
    obstacles: (name) => {
      const radio = ble.adapter === undefined ? undefined : (links.radio?.health() ?? NOT_OPENED);
      const heard = links.radio?.heard().map((device) => device.name) ?? [];
      return radioObstacles({ radio, heard, byName: (each) => registry.byBleName(each) }, name);
    },
  };
}

/** Of those that advertise one name the strongest shows: the link finds out which of them it can talk to. */
function heardBy(radio: Radio, registry: Registry): ReturnType<PairTargets['list']> {
  const signals = new Map<string, readonly number[]>();
  for (const { name, rssi } of radio.heard()) signals.set(name, [...(signals.get(name) ?? []), rssi]);
  return [...signals].flatMap(([name, heard]) => {
    const known = registry.byBleName(name);
    if (known !== undefined && known.pairing === undefined) return [];
    const signal = Math.max(...heard);
    const candidate = {
      name,
      place: { ble: { name } },
      signal,
      rivals: heard.length - 1,
      // Made when the operator chooses it: an attacker can advertise any number of names.
      get link() {
        return radio.link(name);
      },
    };
    return [candidate];
  });
}

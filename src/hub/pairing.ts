/** Pairing, over what links there are. */
import type { Radio } from '../../drivers/ble/radio.ts';
import { systemTimers } from '../../drivers/system-time.ts';
import type { DeviceTrust } from '../codec/device-trust-map.ts';
import type { Config } from '../config/schema.ts';
import { isCoded } from '../core/errors.ts';
import type { Device } from '../devices/device.ts';
import type { Registry } from '../devices/registry.ts';
import type { Dispatcher } from '../flows/dispatch.ts';
import type { FinishPairing } from '../flows/finish-pairing.ts';
import { PairFlow } from '../flows/pair.ts';
import { trustedKeys } from '../flows/trusted-keys.ts';
import type { Log } from '../ports/log.ts';
import type { PairTargets } from '../ports/pairing.ts';
import type { IssuerKeys } from '../trust/issuer-keys.ts';
import type { Issuers } from '../trust/issuers.ts';
import type { Links } from './links.ts';
import { pairingTimeout } from './settings.ts';
import { administerFlow, newDeviceSurroundings, type State } from './state.ts';

export function openPairing(parts: {
  readonly config: Config;
  readonly state: State;
  readonly issuers: Issuers;
  readonly links: Links;
  readonly finish: FinishPairing;
  readonly dispatcher: Dispatcher;
  readonly log: Log;
}): PairFlow {
  const { config, dispatcher, finish, issuers, links, log, state } = parts;
  const { audit, hubKeys, registry } = state;
  const devices = administerFlow(config, state, log, (device) => dispatcher.difficulty(device));
  return new PairFlow({
    ...newDeviceSurroundings(config, state),
    registry,
    hubKeys,
    targets: [lineTargets(links, registry), radioTargets(links, registry)],
    issuerKeys: (device) => trustedIssuers(device, issuers),
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

/** A line that is open and has no device is one that may have a device that nobody knows. */
function lineTargets(links: Links, registry: Registry): PairTargets {
  return {
    watch: () => () => undefined,
    list: () => {
      const taken = new Set(registry.list().flatMap(({ line, pairing }) => (pairing === undefined ? [line] : [])));
      return [...links.lines.values()].flatMap((link) =>
        link.isUp() && !taken.has(link.name) ? [{ name: link.name, place: { line: link.name }, link }] : [],
      );
    },
  };
}

function radioTargets(links: Links, registry: Registry): PairTargets {
  return {
    watch: () => links.radio?.openWindow() ?? (() => undefined),
    list: () => (links.radio === undefined ? [] : heardBy(links.radio, registry)),
  };
}

/** Of those that advertise one name the strongest counts: the link finds out which of them it can talk to. */
function heardBy(radio: Radio, registry: Registry): ReturnType<PairTargets['list']> {
  const signals = new Map<string, number>();
  for (const { name, rssi } of radio.heard()) signals.set(name, Math.max(rssi, signals.get(name) ?? rssi));
  return [...signals].flatMap(([name, signal]) => {
    const known = registry.byBleName(name);
    if (known !== undefined && known.pairing === undefined) return [];
    return [{ name, place: { ble: { name } }, signal, link: radio.link(name) }];
  });
}

/** Without waiting for the network: an issuer whose keys are not here yet comes without, and with them in a bundle later. */
async function trustedIssuers(device: Device, issuers: Issuers): Promise<DeviceTrust['issuers']> {
  const taken = issuers.status().filter(({ issuer }) => device.issuers?.includes(issuer) ?? true);
  return Promise.all(
    taken.map(async ({ age, issuer }) => {
      const keys = age === undefined ? undefined : issuers.find(issuer)?.keys;
      return { issuer, keys: keys === undefined ? [] : await keysOf(keys) };
    }),
  );
}

async function keysOf(keys: IssuerKeys): Promise<DeviceTrust['issuers'][number]['keys']> {
  try {
    return trustedKeys((await keys.forKeyId(undefined)).ring.document);
  } catch (error) {
    // What the hub would not believe itself it does not have a device believe.
    if (isCoded(error)) return [];
    throw error;
  }
}

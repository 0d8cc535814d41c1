/** What the running parts say of themselves, for `latchkey status`. */
import type { Radio } from '../../drivers/ble/radio.ts';
import { areDescriptorsExhausted } from '../../drivers/descriptors.ts';
import type { MqttFront } from '../../drivers/mqtt/open-mqtt.ts';
import type { SerialLine } from '../../drivers/serial/serial-line.ts';
import { monotonic } from '../../drivers/system-time.ts';
import type { Config } from '../config/schema.ts';
import { bestGuess, certainty } from '../core/clock.ts';
import { inSlices } from '../core/slices.ts';
import type { Device } from '../devices/device.ts';
import type { Dispatcher } from '../flows/dispatch.ts';
import { boundedConditions, healthOf } from '../flows/health.ts';
import type { RefreshTrust } from '../flows/refresh-trust.ts';
import type { Introspector } from '../pop/introspection/introspector.ts';
import type { BrokerView, HubStatus, IssuerView, LineView, TrustView } from '../ports/admin.ts';
import type { Issuers } from '../trust/issuers.ts';
import { viewRadio } from './radio.ts';
import type { Reload } from './reload.ts';
import { keyAddressOf } from './settings.ts';
import { type State, statusOfState } from './state.ts';

export interface RunningParts {
  readonly config: Config;
  readonly state: State;
  readonly issuers: Issuers;
  readonly introspectors: readonly Introspector[];
  readonly lines: ReadonlyMap<string, SerialLine>;
  /** Undefined where none is configured, and until it is opened. */
  radio: Radio | undefined;
  readonly trust: RefreshTrust;
  readonly dispatcher: Pick<Dispatcher, 'fullFor'>;
  /** Seconds that a device may wait for a change of what it trusts before that is a condition. */
  readonly trustWarnAfter: number;
  /** Milliseconds of the monotonic clock. */
  readonly startedAt: number;
  /** Undefined where no broker is configured, and until it is there. */
  mqtt: MqttFront | undefined;
  /** Undefined until the hub can read its configuration again. */
  reload: Pick<Reload, 'status'> | undefined;
}

/** Milliseconds that a device may have no room for a token before that is a condition: a token of a minute may be ending. */
const FULL_FOR_LONG = 60_000;

/** Devices that are looked at in one turn of the event loop. */
const LOOKED_AT_ONCE = 64;

export async function statusOf(running: RunningParts): Promise<HubStatus> {
  const { config, introspectors, issuers, lines, mqtt, radio, startedAt, state } = running;
  const trustToTell = await trustToTellOf(running);
  return {
    ...statusOfState(state),
    uptime: Math.round((monotonic() - startedAt) / 1_000),
    issuers: viewIssuers(config, issuers, introspectors),
    lines: viewLines(config, lines),
    radio: radio === undefined ? undefined : viewRadio(config, state, radio),
    broker: mqtt === undefined ? undefined : viewBroker(mqtt),
    conditions: boundedConditions(
      healthOf({
        clock: certainty(state.clock.now()),
        clockFaults: state.clock.faults(),
        issuers: issuers.status(),
        lines: [...lines.values()].map((line) => ({ name: line.name, ...line.health() })),
        radio: radio === undefined ? undefined : { adapter: config.ble.adapter ?? '', ...radio.health() },
        stranded: state.registry.list().flatMap(({ ble, id, line }) => {
          if (ble !== undefined) return config.ble.adapter === undefined ? [{ device: id, link: 'radio' }] : [];
          return line === undefined || lines.has(line) ? [] : [{ device: id, link: `line ${line}` }];
        }),
        unfinished: state.registry.list().flatMap(({ id, pairing }) => (pairing === undefined ? [] : [id])),
        audit: state.audit.status().code,
        stores: state.stores.faults(),
        descriptorsExhausted: areDescriptorsExhausted(),
        introspection: introspectors.map((introspector) => introspector.status()),
        broker: mqtt?.health(),
        trust: trustToTell,
        full: running.dispatcher.fullFor(FULL_FOR_LONG),
        reload: running.reload?.status,
        trustWaitsSince: bestGuess(state.clock.now()) - running.trustWarnAfter,
      }),
    ),
  };
}

async function trustToTellOf({ state, trust }: RunningParts): Promise<readonly TrustView[]> {
  const found: TrustView[] = [];
  const look = (device: Device) => {
    for (const view of trust.status([device]))
      if (view.state !== 'current' || view.issuers_left_out !== undefined) found.push(view);
  };
  await inSlices(state.registry.list(), look, { size: LOOKED_AT_ONCE });
  return found;
}

function viewIssuers(config: Config, issuers: Issuers, introspectors: readonly Introspector[]): readonly IssuerView[] {
  const addresses = new Map(config.issuers.map((settings) => [settings.issuer, keyAddressOf(settings)]));
  const asked = new Map(
    introspectors.map((introspector) => {
      const { issuer, ...status } = introspector.status();
      return [issuer, status];
    }),
  );
  return issuers.status().map(({ source: _, ...status }) => ({
    ...status,
    address: addresses.get(status.issuer) ?? '',
    introspection: asked.get(status.issuer),
  }));
}

function viewLines(config: Config, lines: ReadonlyMap<string, SerialLine>): readonly LineView[] {
  return config.lines.flatMap(({ name, path }) => {
    const line = lines.get(name);
    if (line === undefined) return [];
    const { up, code, detail } = line.health();
    return [{ name, path, up, lastError: code, lastErrorDetail: detail, counters: line.counters() }];
  });
}

function viewBroker(mqtt: MqttFront): BrokerView {
  const { up, code, detail } = mqtt.health();
  return { up, lastError: code, lastErrorDetail: detail, counters: mqtt.counters() };
}

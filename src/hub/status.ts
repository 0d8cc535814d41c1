/** What the running parts say of themselves, for `latchkey status`. */
import type { Radio } from '../../drivers/ble/radio.ts';
import type { MqttFront } from '../../drivers/mqtt/open-mqtt.ts';
import type { SerialLine } from '../../drivers/serial/serial-line.ts';
import { monotonic } from '../../drivers/system-time.ts';
import type { Config } from '../config/schema.ts';
import { bestGuess, certainty } from '../core/clock.ts';
import { healthOf } from '../flows/health.ts';
import type { RefreshTrust } from '../flows/refresh-trust.ts';
import type { Introspector } from '../pop/introspection/introspector.ts';
import type { BrokerView, HubStatus, IssuerView, LineView } from '../ports/admin.ts';
import type { Issuers } from '../trust/issuers.ts';
import { viewRadio } from './radio.ts';
import { keyAddressOf } from './settings.ts';
import { offlineStatus, type State } from './state.ts';

export interface RunningParts {
  readonly config: Config;
  readonly state: State;
  readonly issuers: Issuers;
  readonly introspectors: readonly Introspector[];
  readonly lines: ReadonlyMap<string, SerialLine>;
  /** Undefined where none is configured, and until it is opened. */
  radio: Radio | undefined;
  readonly trust: RefreshTrust;
  /** Seconds that a device may wait for a change of what it trusts before that is a condition. */
  readonly trustWarnAfter: number;
  /** Milliseconds of the monotonic clock. */
  readonly startedAt: number;
  /** Undefined where no broker is configured, and until it is there. */
  mqtt: MqttFront | undefined;
}

export function statusOf(running: RunningParts): HubStatus {
  const { config, introspectors, issuers, lines, mqtt, radio, startedAt, state, trust } = running;
  return {
    ...offlineStatus(state),
    uptime: Math.round((monotonic() - startedAt) / 1_000),
    issuers: viewIssuers(config, issuers, introspectors),
    lines: viewLines(config, lines),
    radio: radio === undefined ? undefined : viewRadio(config, state, radio),
    broker: mqtt === undefined ? undefined : viewBroker(mqtt),
    conditions: healthOf({
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
      introspection: introspectors.map((introspector) => introspector.status()),
      broker: mqtt?.health(),
      trust: trust.status(),
      trustWaitsSince: bestGuess(state.clock.now()) - running.trustWarnAfter,
    }),
  };
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

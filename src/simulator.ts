/**
 * Composition root of what stands in for the world in `latchkey sim` and `latchkey demo`: a device behind a real line, one
 * that is connected, an authorization server on loopback, and a stranger on the line.
 */

import { usableAdapters } from '../drivers/ble/adapter-fault.ts';
import { BlenoAdapter } from '../drivers/ble/bleno-adapter.ts';
import { servePeripheral } from '../drivers/ble/peripheral.ts';
import { startAuthorizationServer } from '../drivers/demo/authorization-server.ts';
import { serveDeviceFace } from '../drivers/http/device-face.ts';
import { parseBrokerUrl } from '../drivers/mqtt/broker-address.ts';
import { DeviceQuestions } from '../drivers/mqtt/device-questions.ts';
import { readReplacedFile, replaceFile } from '../drivers/replaced-file.ts';
import type { DevicePort } from '../drivers/serial/device-end.ts';
import { serveDevice } from '../drivers/serial/device-port.ts';
import { openSerialLine } from '../drivers/serial/serial-line.ts';
import { monotonic, systemRandom, systemTimers } from '../drivers/system-time.ts';
import type { CoseKey } from './codec/cose/key.ts';
import type { Credentials } from './codec/credentials-file.ts';
import type { TrustFile } from './codec/trust-file.ts';
import { bestGuess, type Clock } from './core/clock.ts';
import type { CoapRequest } from './core/coap-exchange.ts';
import { coded, isCoded, LatchkeyError } from './core/errors.ts';
import type { Secret } from './core/secret.ts';
import type { DeviceLink } from './ports/device-link.ts';
import type { Log } from './ports/log.ts';
import { ConnectedDevice } from './sim/connected-device.ts';
import type { ConnectedEvent } from './sim/connected-event.ts';
import type { DeviceEvent } from './sim/device-event.ts';
import { DeviceMemory } from './sim/device-memory.ts';
import { DeviceSetup } from './sim/device-setup.ts';
import { type DeviceState, decodeDeviceState, encodeDeviceState, FRESH_DEVICE } from './sim/device-state.ts';
import { HubTime } from './sim/hub-time.ts';
import type { VerdictPolicy } from './sim/hub-verdict.ts';
import type { HeldTrust } from './sim/judge-bundle.ts';
import { SimulatedDevice } from './sim/simulated-device.ts';

/** A place on the radio. */
export interface RadioAddress {
  /** What it advertises as its local name. */
  readonly ble: string;
  /** Path of a UART that speaks H4, or the name of an adapter of the system; without one its first. */
  readonly hci?: string | undefined;
}

/**
 * `machine`: the clock of this machine. `unset`: one that was never set, so that no `exp` can be checked and no token is
 * taken. `hub`: the same, until its hub told the time. `none`: no clock at all, so that tokens need `exi` and `cnonce`.
 */
export type SimulatedClock = 'machine' | 'unset' | 'hub' | 'none';

export interface SimulatorOptions {
  /** `tcp://127.0.0.1:PORT` (0 for any port), the path of a tty, or a name on the radio. */
  readonly listen: string | RadioAddress;
  /** What it trusts once and for all, or how it is paired. */
  readonly trust: TrustFile | PairableOptions;
  /** The trust map that the trust came in, where a bundle brought it before a restart. */
  readonly heldPayload?: Uint8Array | undefined;
  /** Keeps what a bundle brought for after a restart. */
  readonly keepTrust?: (held: HeldTrust) => void;
  /** Tokens that it holds at once; a few by default, as a small device. */
  readonly slots?: number;
  /** `machine` by default. */
  readonly clock?: SimulatedClock;
  readonly onEvent?: (event: DeviceEvent) => void;
  /** Sees every request as it came over the line, tokens and all. */
  readonly onRequest?: (request: CoapRequest) => void;
}

interface PairableOptions {
  /** Of the setup code on its label: 16 bytes. */
  readonly setupSecret: Secret<Uint8Array>;
  /** Where it keeps its state without power; written with mode 0600. */
  readonly stateFile: string;
  /** Its reset button is pressed before it starts. */
  readonly reset?: boolean;
}

export type { DemoAuthorizationServer } from '../drivers/demo/authorization-server.ts';
export { startAuthorizationServer };

export interface RunningSimulator {
  readonly device: SimulatedDevice;
  /** Where it listens, with the real port: what `line` in a hub's configuration takes, or `ble:` and its name. */
  readonly address: string;
  close(): Promise<void>;
}

/**
 * @throws {LatchkeyError} `address_unavailable`; `line_permission`, `link_down` for a tty that cannot be opened;
 *   `peripheral_package_missing`, `peripheral_adapter_down` for a radio that cannot be used, `usage` for a name too long for it
 */
export async function startSimulator(options: SimulatorOptions): Promise<RunningSimulator> {
  const { clock: kind = 'machine', onEvent = () => undefined } = options;
  const trust = 'stateFile' in options.trust ? await openSetup(options.trust, onEvent) : options.trust;
  const held = () => ('memory' in trust ? trust.memory.trust : trust);
  const hubTime = kind === 'hub' ? openHubTime(held) : undefined;
  const clock = hubTime ?? (kind === 'machine' ? machineClock : unsetClock);
  const device = new SimulatedDevice({
    trust,
    clock,
    hasCalendar: kind !== 'none',
    ...(options.heldPayload === undefined ? {} : { heldPayload: options.heldPayload }),
    ...(options.keepTrust === undefined ? {} : { keepTrust: options.keepTrust }),
    ...(options.slots === undefined ? {} : { slots: options.slots }),
    random: systemRandom,
    onEvent,
  });
  const handler = (request: CoapRequest) => {
    options.onRequest?.(request);
    return device.handler(request);
  };
  const port = await serve(handler, options.listen, clock);
  const asking =
    hubTime === undefined ? undefined : keepAsking(hubTime, port, { isPaired: () => held() !== undefined, onEvent });
  return {
    device,
    address: port.address,
    async close() {
      asking?.stop();
      await port.close();
    },
  };
}

/** @throws {LatchkeyError} `device_state_invalid`, `file_unreadable`, `file_unwritable` */
async function openSetup(
  { reset = false, setupSecret, stateFile }: PairableOptions,
  onEvent: (event: DeviceEvent) => void,
): Promise<DeviceSetup> {
  const save = (state: DeviceState) => replaceFile(stateFile, encodeDeviceState(state));
  const text = reset ? undefined : await readReplacedFile(stateFile);
  const state = text === undefined ? FRESH_DEVICE : decodeDeviceState(text);
  if (text === undefined) await save(state);
  const memory = new DeviceMemory({ state, save });
  return new DeviceSetup({ secret: setupSecret, memory, clock: machineClock, random: systemRandom, onEvent });
}

/**
 * A device that is not paired yet has no hub to ask.
 * @throws {LatchkeyError} `trust_file_invalid` for a device that was given no key for it
 */
function openHubTime(trust: () => TrustFile | undefined): HubTime {
  const current = (): TrustFile & { readonly timeKey: CoseKey } => {
    const held = trust();
    if (held?.timeKey === undefined)
      throw new LatchkeyError('trust_file_invalid', 'timeKey: none, so the hub cannot be asked');
    return { ...held, timeKey: held.timeKey };
  };
  return new HubTime({
    get device() {
      return current().device;
    },
    get key() {
      return current().timeKey;
    },
    monotonic,
    random: systemRandom,
    builtAt: FIRMWARE_BUILT,
  });
}

/** Milliseconds from one question to the next: until the hub has answered, and from then on. */
const ASK_AGAIN = 1_000;
const ASK_ANEW = 3_600_000;
const ASK_DEADLINE = 5_000;

/** Asks the hub for the time as soon as there is one, and now and then afterwards. */
function keepAsking(
  clock: HubTime,
  port: Pick<DevicePort, 'isConnected' | 'request'>,
  { isPaired, onEvent }: { readonly isPaired: () => boolean; readonly onEvent: (event: DeviceEvent) => void },
): { stop(): void } {
  let cancel: (() => void) | undefined;
  let stopped = false;
  const ask = async () => {
    let next = ASK_AGAIN;
    try {
      if (port.isConnected() && isPaired()) {
        await clock.ask((question) => port.request(question, { deadline: ASK_DEADLINE }));
        next = ASK_ANEW;
        onEvent({ event: 'time_told', time: bestGuess(clock.now()) });
      }
    } catch (error) {
      onEvent({ event: 'time_not_told', code: coded(error).code });
    }
    if (!stopped) cancel = systemTimers.after(next, () => void ask());
  };
  void ask();
  return {
    stop: () => {
      stopped = true;
      cancel?.();
    },
  };
}

export interface ConnectedSimulatorOptions {
  /** `mqtt://host:port`, or `mqtts://`. The device logs in with its id. */
  readonly broker: string;
  /** Its password there, where that is not its `httpSecret`. */
  readonly brokerPassword?: Secret<string>;
  /** Certificate authority of the broker, PEM, in place of those of the system. */
  readonly brokerCa?: string;
  readonly topicPrefix: string;
  readonly credentials: Credentials;
  /** Where its clients reach it. Loopback: it has no TLS. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly policy: VerdictPolicy;
  /** How long it waits for its hub, milliseconds. */
  readonly deadline: number;
  readonly onEvent?: (event: ConnectedEvent) => void;
}

export interface RunningConnectedDevice {
  readonly device: ConnectedDevice;
  /** Where its clients reach it, with the real port. */
  readonly address: string;
  close(): Promise<void>;
}

/**
 * A connected device. Resolves when its clients can reach it; the broker is connected to in the background.
 * @throws {LatchkeyError} `address_unavailable`
 */
export async function startConnectedDevice(options: ConnectedSimulatorOptions): Promise<RunningConnectedDevice> {
  const { credentials, deadline, onEvent, policy, topicPrefix } = options;
  const { device: id, httpSecret } = credentials;
  const { host, port, secure } = parseBrokerUrl(options.broker);
  const questions = new DeviceQuestions({
    access: {
      host,
      port,
      tls: secure ? { ca: options.brokerCa } : undefined,
      clientId: id,
      username: id,
      password: options.brokerPassword ?? httpSecret,
    },
    topicPrefix,
    device: id,
    deadline,
    onState: (fault) => onEvent?.(brokerEvent(fault)),
    timers: systemTimers,
    clock: machineClock,
    random: systemRandom,
    log: silentLog,
  });
  const device = new ConnectedDevice({
    credentials,
    policy,
    ask: (question) => questions.ask(question),
    clock: machineClock,
    random: systemRandom,
    ...(onEvent === undefined ? {} : { onEvent }),
  });
  try {
    const face = await serveDeviceFace({ ...options.listen, face: device, random: systemRandom, log: silentLog });
    return {
      device,
      address: face.address,
      async close() {
        await face.close();
        await questions.close();
      },
    };
  } catch (error) {
    await questions.close();
    throw error;
  }
}

function brokerEvent(fault: LatchkeyError | undefined): ConnectedEvent {
  if (fault === undefined) return { event: 'broker_up' };
  const { code, detail } = fault;
  return { event: 'broker_down', code, ...(detail === undefined ? {} : { detail }) };
}

/**
 * A second line to a device, as a stranger has it who soldered a cable to it: the device cannot tell it from the hub's.
 * Resolves once it is open.
 */
export async function openStrangersLine(device: SimulatedDevice): Promise<DeviceLink> {
  const port = await serve(device.handler, 'tcp://127.0.0.1:0', machineClock);
  const line = openSerialLine({
    name: 'stranger',
    path: port.address,
    timers: systemTimers,
    clock: machineClock,
    random: systemRandom,
    log: silentLog,
  });
  await new Promise<void>((resolve) => {
    line.onSighting(resolve);
    if (line.isUp()) resolve();
  });
  return {
    name: line.name,
    limits: line.limits,
    isUp: () => line.isUp(),
    request: (request, options) => line.request(request, options),
    onSighting: (listener) => line.onSighting(listener),
    counters: () => line.counters(),
    async close() {
      await line.close();
      await port.close();
    },
  };
}

/** Two adapters of this machine, for a hub and a simulated device; undefined where there are not two that can be used. */
export async function findRadios(): Promise<{ readonly hub: string; readonly tube: string } | undefined> {
  const [hub, ...others] = await usableAdapters();
  for (const tube of others) {
    try {
      (await BlenoAdapter.open({ hci: tube, timers: systemTimers })).close();
      if (hub !== undefined) return { hub, tube };
    } catch (error) {
      if (!isCoded(error)) throw error;
    }
  }
  return undefined;
}

function serve(handler: SimulatedDevice['handler'], listen: string | RadioAddress, clock: Clock) {
  const common = { handler, clock, timers: systemTimers, random: systemRandom };
  if (typeof listen === 'string') return serveDevice({ ...common, listen });
  return servePeripheral({ ...common, name: listen.ble, hci: listen.hci });
}

const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLog,
};

const machineClock: Clock = {
  now: () => {
    const seconds = Math.floor(Date.now() / 1000);
    return { earliest: seconds, latest: seconds };
  },
  monotonic,
};

/** 2020-01-01: the floor that a firmware has from the day it was built. */
const FIRMWARE_BUILT = 1_577_836_800;
const unsetClock: Clock = { now: () => ({ earliest: FIRMWARE_BUILT, latest: undefined }), monotonic };

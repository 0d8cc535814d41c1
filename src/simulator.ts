/**
 * Composition root of what stands in for the world in `latchkey sim` and `latchkey demo`: a device behind a real line, one
 * that is connected, an authorization server on loopback, and a stranger on the line.
 */
import { startAuthorizationServer } from '../drivers/demo/authorization-server.ts';
import { serveDeviceFace } from '../drivers/http/device-face.ts';
import { parseBrokerUrl } from '../drivers/mqtt/broker-address.ts';
import { DeviceQuestions } from '../drivers/mqtt/device-questions.ts';
import { serveDevice } from '../drivers/serial/device-port.ts';
import { openSerialLine } from '../drivers/serial/serial-line.ts';
import { monotonic, systemRandom, systemTimers } from '../drivers/system-time.ts';
import type { Credentials } from './codec/credentials-file.ts';
import type { TrustFile } from './codec/trust-file.ts';
import type { Clock } from './core/clock.ts';
import type { CoapRequest } from './core/coap-exchange.ts';
import type { LatchkeyError } from './core/errors.ts';
import type { Secret } from './core/secret.ts';
import type { DeviceLink } from './ports/device-link.ts';
import type { Log } from './ports/log.ts';
import { ConnectedDevice } from './sim/connected-device.ts';
import type { ConnectedEvent } from './sim/connected-event.ts';
import type { DeviceEvent } from './sim/device-event.ts';
import type { VerdictPolicy } from './sim/hub-verdict.ts';
import { SimulatedDevice } from './sim/simulated-device.ts';

export interface SimulatorOptions {
  /** `tcp://127.0.0.1:PORT` (0 for any port), or the path of a tty. */
  readonly listen: string;
  readonly trust: TrustFile;
  /** False for a device whose clock was never set: it can judge no `exp` and takes no token. */
  readonly knowsTime?: boolean;
  readonly onEvent?: (event: DeviceEvent) => void;
  /** Sees every request as it came over the line, tokens and all. */
  readonly onRequest?: (request: CoapRequest) => void;
}

export type { DemoAuthorizationServer } from '../drivers/demo/authorization-server.ts';
export { startAuthorizationServer };

export interface RunningSimulator {
  readonly device: SimulatedDevice;
  /** Where it listens, with the real port: what `line` in a hub's configuration takes. */
  readonly address: string;
  close(): Promise<void>;
}

/** @throws {LatchkeyError} `address_unavailable`; `line_permission`, `link_down` for a tty that cannot be opened */
export async function startSimulator(options: SimulatorOptions): Promise<RunningSimulator> {
  const clock = options.knowsTime === false ? unsetClock : machineClock;
  const device = new SimulatedDevice({
    trust: options.trust,
    clock,
    random: systemRandom,
    ...(options.onEvent === undefined ? {} : { onEvent: options.onEvent }),
  });
  const handler = (request: CoapRequest) => {
    options.onRequest?.(request);
    return device.handler(request);
  };
  const port = await serve(handler, options.listen, clock);
  return { device, address: port.address, close: () => port.close() };
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

function serve(handler: SimulatedDevice['handler'], listen: string, clock: Clock) {
  return serveDevice({ listen, handler, clock, timers: systemTimers, random: systemRandom });
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

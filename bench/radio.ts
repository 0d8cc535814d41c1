/**
 * From a device that is heard to a token that it accepted, by radio: real noble and bleno over controllers with 15 ms of
 * latency each way, against the round trips that GATT itself needs.
 *
 * The floor is so many round trips, made by a plain noble on the same air in the same run: reads of a characteristic, each
 * of which has to wait for its response (Bluetooth Core 5.2, volume 3, part F §3.3.2), 30 ms and what two hosts take for it.
 * How many is counted, not reckoned: the requests of the Attribute Protocol that crossed the hub's link before the answer of
 * the device came. With the MTU of 256 that bleno takes these are 9: one to agree on the MTU; three to find the service (the
 * services with short UUIDs, those with long ones, the end of the list: part G §4.4.1); two to find its characteristics (both
 * of them, the end: §4.6.1); two to turn indications on (find the descriptor, write it); and one that writes the token. The
 * answer comes right behind the response to that. A token that is longer than the MTU less 3 bytes has one for each piece
 * and one more.
 *
 * From a reset of the adapter under a link in use to the next token that is accepted, against one advertising interval of the
 * device. Connecting itself needs what the first figure measures, which is taken off: at 10 ms between advertisements there
 * is next to no wait in it. What is left is the wait for the device to advertise, which is no more than one interval if the
 * hub waits for it at once, and is not the hub's; and whatever the hub adds by hearing of the loss late, by a pause, or by
 * letting an advertisement go by. The device advertises in a grid of its own, and the reset comes at any point of it, so that
 * the middle is half an interval where the hub adds nothing.
 */

import { fileURLToPath } from 'node:url';
import { DRAFT_GATT_PROFILE } from '../drivers/ble/gatt-profile.ts';
import { type Peripheral, servePeripheral } from '../drivers/ble/peripheral.ts';
import { Radio } from '../drivers/ble/radio.ts';
import { monotonic, systemRandom, systemTimers } from '../drivers/system-time.ts';
import { COAP_METHOD, CONTENT_FORMAT } from '../src/codec/iana.ts';
import { openReceipt, receiptQuery, tokenHash } from '../src/codec/signed-request.ts';
import { readTrustFile } from '../src/codec/trust-file.ts';
import { isCoded, LatchkeyError } from '../src/core/errors.ts';
import { Secret } from '../src/core/secret.ts';
import type { Device } from '../src/devices/device.ts';
import { answerKey, type HubSigningKeys, trustFileOf, wrapKeys } from '../src/devices/device-trust.ts';
import type { Log } from '../src/ports/log.ts';
import { SimulatedDevice } from '../src/sim/simulated-device.ts';
import { NobleCentral, type NoblePeripheral } from '../test/fixtures/noble-central.ts';
import type { Adapter } from '../test/fixtures/virtual-radio/adapter.ts';
import { ATTRIBUTE } from '../test/fixtures/virtual-radio/hci-numbers.ts';
import { isSocatInstalled } from '../test/fixtures/virtual-radio/host-pty.ts';
import { VirtualRadio } from '../test/fixtures/virtual-radio/virtual-radio.ts';
import { type Figure, quantile } from './harness.ts';
import { AUDIENCE, deviceProfile, makeJwt, NOW, verifyAndTranslate } from './reference-token.ts';

/** Beside this file once both are built. */
const RADIO_PROGRAM = fileURLToPath(new URL('../bin/radio.js', import.meta.url));
const LATENCY = { toPeripheral: 15, toCentral: 15 };
const ROUND_TRIP = LATENCY.toPeripheral + LATENCY.toCentral;
const NAME = 'tube-1';
/** Connections come about at an advertisement, and how often a device makes one is not the hub's. */
const ADVERTISING = 10;
/** Milliseconds between advertisements of a device whose hub is reset, as long as they are with a device that saves power. */
const RESET_ADVERTISING = 500;
/** Resets take their time, and tell more than deliveries do. */
const MOST_RESETS = 9;
/** HCI_Reset, as another program sends it that shares the adapter. */
const HCI_RESET = Uint8Array.of(0x01, 0x03, 0x0c, 0x00);
/** Room on the device for all tokens that are delivered: it makes none while they are alive. */
const TOKENS = 256;

const write = () => {
  // What the log costs is not measured here.
};
const SILENCE: Log = { debug: write, info: write, warn: write, error: write, child: () => SILENCE };
const surroundings = { timers: systemTimers, clock: { monotonic }, random: systemRandom };

/** A device with a mac0 profile never asks for the hub's keys. */
const noKey = (): never => {
  throw new LatchkeyError('internal', 'no key of the hub is needed');
};
const NO_HUB_KEYS: HubSigningKeys = { signingKey: noKey, signingKeys: noKey };

const DEVICE: Device = {
  id: NAME,
  audience: AUDIENCE,
  line: undefined,
  ble: { name: NAME },
  profile: { ...deviceProfile('mac0', 'slim'), permissions: { temperature: [['temperature', 16]] } },
  issuers: undefined,
  rootKey: new Secret(systemRandom.bytes(32)),
  trustVersion: 1,
  addedAt: NOW,
};

/** Nothing where socat is not installed; then a note says so. */
export async function radioFigures(deliveries: number, note: (text: string) => void): Promise<readonly Figure[]> {
  if (!isSocatInstalled()) {
    note('ble-connect-to-accepted and ble-back-after-reset are left out: socat is not installed');
    return [];
  }
  const { connecting, figure } = await connectingFigure(deliveries);
  return [figure, await resetFigure(Math.min(deliveries, MOST_RESETS), connecting)];
}

async function connectingFigure(deliveries: number): Promise<Connecting> {
  const air = new VirtualRadio({ latency: LATENCY });
  const hub = await air.plugIn();
  const tube = await air.plugIn({ advertisingInterval: ADVERTISING });
  const peripheral = await serve(tube);
  const radio = openRadio(hub, 0);
  const plain = await NobleCentral.open((await air.plugIn()).path);
  try {
    return await connectToAccepted({ radio, plain, tube, peripheral }, deliveries);
  } finally {
    plain.close();
    await radio.close();
    await peripheral.close();
    await air.close();
  }
}

async function resetFigure(resets: number, connecting: number): Promise<Figure> {
  const air = new VirtualRadio({ latency: LATENCY });
  const hub = await air.plugIn();
  const tube = await air.plugIn({ advertisingInterval: 'by hand' });
  const peripheral = await serve(tube);
  const radio = openRadio(hub, 60_000);
  const advertising = setInterval(() => tube.controller.advertise(), RESET_ADVERTISING);
  try {
    while (!radio.link(NAME).isUp()) await pause();
    await deliver(radio);
    const times: number[] = [];
    for (let made = 0; made < resets; made += 1) {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * RESET_ADVERTISING));
      const start = performance.now();
      hub.controller.receive(HCI_RESET);
      await deliverInsistently(radio);
      times.push(performance.now() - start);
    }
    const intervals = (quantile(times, 0.5) - connecting) / RESET_ADVERTISING;
    return {
      name: 'ble-back-after-reset',
      value: Math.max(0, intervals),
      goal: 1,
      better: 'lower',
      remark:
        `advertising intervals of ${RESET_ADVERTISING} ms, beyond the ${connecting.toFixed(0)} ms that connecting needs; ` +
        `middle ${quantile(times, 0.5).toFixed(0)} ms, longest ${Math.max(...times).toFixed(0)} ms of ${resets}`,
    };
  } finally {
    clearInterval(advertising);
    await radio.close();
    await peripheral.close();
    await air.close();
  }
}

interface Connecting {
  readonly figure: Figure;
  /** Milliseconds from a device that is heard to a token that it accepted, at the middle. */
  readonly connecting: number;
}

interface Room {
  readonly radio: Radio;
  readonly plain: NobleCentral;
  readonly tube: Adapter;
  readonly peripheral: Peripheral;
}

async function connectToAccepted({ peripheral, plain, radio, tube }: Room, deliveries: number): Promise<Connecting> {
  const ratios: number[] = [];
  const times: number[] = [];
  const [heard] = await plain.find(NAME);
  if (heard === undefined) throw new Error('the device was not heard');
  let trips = 0;
  for (let made = 0; made < deliveries; made += 1) {
    while (!radio.link(NAME).isUp() || peripheral.isConnected()) await pause();
    const start = performance.now();
    await deliver(radio);
    const took = performance.now() - start;
    trips = roundTrips(tube);
    while (radio.link(NAME).isConnected || peripheral.isConnected()) await pause();
    times.push(took);
    ratios.push(took / (await roundTripsTake(plain, heard, trips)));
  }
  const middle = quantile(times, 0.5);
  const figure: Figure = {
    name: 'ble-connect-to-accepted',
    value: quantile(ratios, 0.5),
    goal: 1.15,
    better: 'lower',
    remark:
      `times the ${trips} round trips that GATT needs; middle ${middle.toFixed(0)} ms of ${deliveries}, the wait for an ` +
      `advertisement included, ${(middle / (trips * ROUND_TRIP)).toFixed(2)} times ${trips} x ${ROUND_TRIP} ms`,
  };
  return { connecting: middle, figure };
}

/** Milliseconds of so many reads, one after another. */
async function roundTripsTake(plain: NobleCentral, device: NoblePeripheral, trips: number): Promise<number> {
  const { gone, upstream } = await plain.link(device);
  const start = performance.now();
  for (let trip = 0; trip < trips; trip += 1) await upstream.readAsync();
  const took = performance.now() - start;
  await device.disconnectAsync();
  await gone;
  return took;
}

/** One token over a fresh link, until its receipt is verified. */
async function deliver(radio: Radio): Promise<void> {
  const cwt = verifyAndTranslate(makeJwt(), DEVICE.profile, wrapKeys(DEVICE, NO_HUB_KEYS));
  const nonce = systemRandom.bytes(8);
  const answer = await radio.link(NAME).request(
    {
      method: COAP_METHOD.POST,
      path: ['authz-info'],
      query: [receiptQuery(nonce)],
      contentFormat: CONTENT_FORMAT.cwt,
      payload: cwt,
    },
    { deadline: 10_000 },
  );
  openReceipt(answer.payload, { key: answerKey(DEVICE), audience: AUDIENCE, tokenHash: tokenHash(cwt), nonce });
}

/** As the dispatcher does it: what was under way when the link was lost is begun anew. */
async function deliverInsistently(radio: Radio): Promise<void> {
  for (;;) {
    try {
      return await deliver(radio);
    } catch (error) {
      if (!isCoded(error, 'link_down') && !isCoded(error, 'device_answer_lost')) throw error;
    }
  }
}

/** Requests that crossed before the device's answer did. */
function roundTrips({ controller }: Adapter): number {
  const attributes = controller.lastLink?.attributes ?? [];
  const answered = attributes.findIndex(({ opcode }) => opcode === ATTRIBUTE.indication);
  return attributes
    .slice(0, answered)
    .filter(({ direction, opcode }) => direction === 'toPeripheral' && opcode !== ATTRIBUTE.confirmation).length;
}

function serve({ path }: Adapter): Promise<Peripheral> {
  const device = new SimulatedDevice({
    trust: readTrustFile(trustFileOf(DEVICE, NO_HUB_KEYS, [])),
    clock: { now: () => ({ earliest: NOW, latest: NOW }), monotonic },
    slots: TOKENS,
    random: systemRandom,
  });
  return servePeripheral({ ...surroundings, name: NAME, hci: path, handler: device.handler });
}

function openRadio({ path }: Adapter, linger: number): Radio {
  return new Radio({
    ...surroundings,
    program: RADIO_PROGRAM,
    log: SILENCE,
    isKnown: (name) => name === NAME,
    settings: {
      adapter: path,
      baudRate: 1_000_000,
      profile: DRAFT_GATT_PROFILE,
      connections: 5,
      scanDuty: 50,
      presence: 60_000,
      linger,
      visit: 0,
      mtu: 517,
      connectTimeout: 10_000,
      operationTimeout: 10_000,
    },
  });
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 5));
}

/** A device with its own good key that answers its trust bundles with what brings none further, at the built hub. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { DevicePort } from '../../drivers/serial/device-end.ts';
import { serveDevice } from '../../drivers/serial/device-port.ts';
import { codeNumber } from '../../src/codec/coap/codes.ts';
import { makeTrustAnswer, openTrustBundle } from '../../src/codec/trust-bundle.ts';
import { readTrustFile, type TrustFile } from '../../src/codec/trust-file.ts';
import { EMPTY } from '../../src/core/bytes.ts';
import type { CoapRequest, CoapResponse } from '../../src/core/coap-exchange.ts';
import type { HubStatus } from '../../src/ports/admin.ts';
import { SimulatedDevice } from '../../src/sim/simulated-device.ts';
import { system } from '../fixtures/line-rig.ts';
import { World } from '../fixtures/world.ts';

/** The clock of the machine, as the device has it. */
const machineClock = {
  ...system.clock,
  now: () => ({ earliest: Math.floor(Date.now() / 1_000), latest: Math.floor(Date.now() / 1_000) }),
};

let world: World;
let port: DevicePort | undefined;
let bundles = 0;

beforeEach(async () => {
  bundles = 0;
  world = await World.open({ settings: '[delivery]\nwait = "5s"\n', issuers: 'unknown_kid_cooldown = "1s"\n' });
});

afterEach(async () => {
  await port?.close();
  await world.close();
});

/** Plugs a device in that is as it should be but for its answers to bundles. */
async function plugIn(toBundle: (request: CoapRequest, trust: TrustFile) => CoapResponse): Promise<void> {
  const trust = readTrustFile(world.trust);
  const device = new SimulatedDevice({ ...system, trust, clock: machineClock });
  port = await serveDevice({
    ...system,
    listen: 'tcp://127.0.0.1:0',
    handler: async (request) => {
      if (request.path[0] !== 'trust') return device.handler(request);
      bundles += 1;
      return toBundle(request, trust);
    },
  });
  world.relay.plug(port.address);
}

/** An authentic 4.09 that is always one version ahead. */
function oneAhead({ payload: bundle = EMPTY }: CoapRequest, trust: TrustFile): CoapResponse {
  const keys = trust.bundleKey === undefined ? [] : [trust.bundleKey];
  const { version } = openTrustBundle(bundle, { keys, audience: trust.audience }).trust;
  const code = codeNumber('4.09');
  const { answerKey: key, device } = trust;
  return { code, payload: makeTrustAnswer({ key, device, code, bundle, version: version + 1 }) };
}

test.each([
  ['is always one version ahead', oneAhead, 'trust_outrun'],
  ['answers 5.00', () => ({ code: codeNumber('5.00'), payload: EMPTY }), 'device_refused_trust'],
] as const)(
  'a device that %s for ever is left alone, gets its tokens, and is a condition',
  async (_, answer, code) => {
    await plugIn(answer);
    await world.until(async () => {
      const { conditions } = await world.ask<HubStatus>('status');
      return conditions.some((condition) => condition.code === code && condition.subject === 'trust of tube-1');
    }, 200);
    expect(bundles).toBeLessThanOrEqual(4);
    expect((await world.deliverAnew()).state).toBe('delivered');
    // What it sends in the first minute is all that it causes: nothing of it repeats.
    const before = world.hub.output.length;
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(world.hub.output.length - before).toBeLessThanOrEqual(2);
    expect(bundles).toBeLessThanOrEqual(4);
    const records = await world.ask<{ kind: string }[]>('audit', 'list');
    expect(records.filter(({ kind }) => kind === 'trust').length).toBeLessThanOrEqual(4);
  },
  60_000,
);

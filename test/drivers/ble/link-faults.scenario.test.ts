/** What goes wrong under a request: the link, the device, the adapter. Real noble and bleno over controllers that a test orders about. */
import { afterEach, describe, expect, it } from 'vitest';
import { RADIO_TIMES } from '../../../drivers/ble/ble-settings.ts';
import { COAP_CODE } from '../../../src/codec/iana.ts';
import type { CoapResponse } from '../../../src/core/coap-exchange.ts';
import { body, outcome, post, RadioRig, type RigDevice, until } from '../../fixtures/radio-rig.ts';
import type { Direction } from '../../fixtures/virtual-radio/faults.ts';
import { ATTRIBUTE } from '../../fixtures/virtual-radio/hci-numbers.ts';

const DEADLINE = { deadline: 10_000 };
const rigs: RadioRig[] = [];

async function open(options: Parameters<typeof RadioRig.open>[0] = {}): Promise<RadioRig> {
  const rig = await RadioRig.open(options);
  rigs.push(rig);
  return rig;
}

afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.close();
});

const accepted = (payload: Uint8Array) => ({ code: COAP_CODE.created, payload });

/** As the delivery queue does it: again at the next sighting, until there is an answer. */
async function insist(rig: RadioRig, payload: Uint8Array): Promise<CoapResponse> {
  const link = rig.radio.link('tube-1');
  for (let attempt = 0; attempt < 10; attempt += 1) {
    await until(() => link.isUp());
    const answer = await outcome(link.request(post(payload), DEADLINE));
    if (typeof answer !== 'string') return answer;
  }
  throw new Error('no attempt was answered');
}

/** Bytes of ACL data that a request over a fresh link takes, each way. */
async function measured(rig: RadioRig, tube: RigDevice, payload: Uint8Array): Promise<Record<Direction, number>> {
  await insist(rig, payload);
  await until(() => !tube.peripheral.isConnected());
  const link = tube.adapter.controller.lastLink;
  if (link === undefined) throw new Error('no link');
  return { ...link.carried };
}

describe('a link that is lost', () => {
  // One value of 300 bytes in pieces, and three blocks.
  it.each([
    ['toPeripheral', 300],
    ['toCentral', 300],
    ['toPeripheral', 600],
    ['toCentral', 600],
  ] as const)('after every tenth byte %s of a body of %i bytes takes nothing with it', async (direction, bytes) => {
    const rig = await open({ settings: { linger: 0 } });
    const tube = await rig.device();
    const payload = body(bytes);
    const carried = (await measured(rig, tube, payload))[direction];
    expect(carried).toBeGreaterThan(bytes / 10);
    for (let at = 0; at < carried; at += 10) {
      const before = tube.requests.length;
      const lost = tube.adapter.controller.faults.loseLinkAfter(direction, at);
      expect(await insist(rig, payload)).toMatchObject(accepted(payload));
      await lost;
      const whole = tube.requests.slice(before);
      // The answer to the last block may have been lost: then it comes again, and the device knows the token.
      expect(whole.length).toBeGreaterThanOrEqual(1);
      for (const request of whole) expect(request.payload).toEqual(payload);
      await until(() => !tube.peripheral.isConnected());
    }
    // The slot is given back a moment after the link is gone.
    await until(() => rig.radio.slots.held === 0);
  });

  it('between blocks goes on with the block that was not answered', async () => {
    const rig = await open();
    const tube = await rig.device();
    const payload = body(2_000);
    const { toPeripheral } = await measured(rig, tube, payload);
    void tube.adapter.controller.faults.loseLinkAfter('toPeripheral', Math.round(toPeripheral * 0.75));
    const answer = rig.radio.link('tube-1').request(post(payload), DEADLINE);
    expect(await answer).toMatchObject(accepted(payload));
    // What was there before the loss did not cross again.
    await until(() => !tube.peripheral.isConnected());
    const again = tube.adapter.controller.lastLink?.carried.toPeripheral ?? 0;
    expect(again).toBeLessThan(toPeripheral * 0.6);
    expect(tube.requests).toHaveLength(2);
  });
});

describe('a device that resets', () => {
  it('between blocks gets the body from its start', async () => {
    const rig = await open();
    const tube = await rig.device();
    const payload = body(2_000);
    const { toPeripheral } = await measured(rig, tube, payload);
    const reset = tube.adapter.controller.faults
      .loseLinkAfter('toPeripheral', Math.round(toPeripheral * 0.6))
      .then(async () => {
        await tube.peripheral.close();
        return rig.device('tube-1', { on: tube.adapter });
      });
    const answer = rig.radio.link('tube-1').request(post(payload), { deadline: 20_000 });
    const restarted = await reset;
    expect(await answer).toMatchObject(accepted(payload));
    expect(restarted.requests.map((request) => request.payload)).toEqual([payload]);
  });
});

describe('a device that is not confirmed, or does not go on', () => {
  it('whose indication is never confirmed is let go, and comes again', async () => {
    const rig = await open({ settings: { operationTimeout: 500, linger: 5_000 } });
    const tube = await rig.device();
    tube.adapter.controller.faults.drop('toPeripheral', ATTRIBUTE.confirmation);
    await rig.heard();
    const link = rig.radio.link('tube-1');
    // Its first answer arrives; the second one has to wait for the confirmation of the first.
    expect(await link.request(post(body(9)), DEADLINE)).toMatchObject(accepted(body(9)));
    expect(await outcome(link.request(post(body(9)), DEADLINE))).toBe('device_no_answer');
    await until(() => !link.isConnected);
    tube.adapter.controller.faults.pass('toPeripheral', ATTRIBUTE.confirmation);
    expect(await insist(rig, body(9))).toMatchObject(accepted(body(9)));
  });

  it('that takes nothing in any more is given up at the deadline of the step', async () => {
    const rig = await open({ settings: { operationTimeout: 500, linger: 5_000 } });
    const tube = await rig.device();
    await rig.heard();
    const link = rig.radio.link('tube-1');
    await link.request(post(body(9)), DEADLINE);
    tube.adapter.controller.faults.stall('toPeripheral');
    expect(['device_answer_lost', 'link_down', 'device_no_answer']).toContain(
      await outcome(link.request(post(body(9)), DEADLINE)),
    );
    expect(rig.radio.counters.lost).toBe(1);
    tube.adapter.controller.faults.flow('toPeripheral');
    expect(await insist(rig, body(9))).toMatchObject(accepted(body(9)));
  });

  it('that refuses a write is given up, though noble never says so', async () => {
    const rig = await open({ settings: { operationTimeout: 500 } });
    const tube = await rig.device();
    tube.adapter.controller.faults.drop('toCentral', ATTRIBUTE.writeResponse);
    await rig.heard();
    expect(await outcome(rig.radio.link('tube-1').request(post(body(9)), { deadline: 3_000 }))).toBe('link_down');
    tube.adapter.controller.faults.pass('toCentral', ATTRIBUTE.writeResponse);
    expect(await insist(rig, body(9))).toMatchObject(accepted(body(9)));
  });
});

describe('an adapter', () => {
  it('that is pulled out is a fault with its code, and what is asked meanwhile ends with it', async () => {
    const rig = await open({ settings: { linger: 60_000 } });
    const tube = await rig.device();
    await rig.heard();
    const link = rig.radio.link('tube-1');
    await link.request(post(body(9)), DEADLINE);
    await rig.hub.unplug();
    await until(() => !rig.radio.health().up);
    expect(await outcome(link.request(post(body(9)), DEADLINE))).toMatch(/^radio_/);
    await until(() => rig.radio.health().code === 'radio_missing');
    expect(link.isUp()).toBe(false);
    expect(rig.radio.connections).toBe(0);
    expect(tube.peripheral.isConnected()).toBe(false);
  });

  it('that is pulled out while nothing crosses it is noticed by its hang-up, not by the next scan', async () => {
    const rig = await open();
    await until(() => rig.radio.health().up);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const began = performance.now();
    await rig.hub.unplug();
    await until(() => !rig.radio.health().up);
    expect(performance.now() - began).toBeLessThan(RADIO_TIMES.rescan / 2);
  });

  it('that is pulled out under a request ends it, and the next one is answered when it is back', async () => {
    const rig = await open({ air: { latency: { toPeripheral: 30, toCentral: 30 } } });
    await rig.device();
    await rig.heard();
    const under = outcome(rig.radio.link('tube-1').request(post(body(3_000)), DEADLINE));
    await until(() => rig.radio.connections === 1);
    await rig.hub.unplug();
    expect(await under).toMatch(/^(radio_|link_down|device_answer_lost)/);
    await rig.hub.plug();
    await until(() => rig.radio.health().up);
    expect(await insist(rig, body(300))).toMatchObject(accepted(body(300)));
  });

  it('that hangs is noticed by the next scan, and works again when it does', async () => {
    const rig = await open();
    await rig.device();
    await rig.heard();
    rig.hub.controller.hangs = true;
    expect(typeof (await outcome(rig.radio.link('tube-1').request(post(body(9)), { deadline: 8_000 })))).toBe('string');
    await until(() => !rig.radio.health().up);
    rig.hub.controller.hangs = false;
    await until(() => rig.radio.health().up);
    expect(await insist(rig, body(9))).toMatchObject(accepted(body(9)));
  });

  it('that was reset by another program listens again', async () => {
    const rig = await open();
    const tube = await rig.device();
    await rig.heard();
    // HCI_Reset, whose completion every program hears that shares the adapter.
    rig.hub.controller.receive(Uint8Array.of(0x01, 0x03, 0x0c, 0x00));
    const began = performance.now();
    await until(() => rig.hub.controller.isScanning);
    expect(performance.now() - began).toBeLessThan(RADIO_TIMES.rescan / 2);
    expect(await insist(rig, body(9))).toMatchObject(accepted(body(9)));
    expect(tube.requests).toHaveLength(1);
  });

  it('that is not there at the start is found when it comes', async () => {
    const rig = await open({ settings: { adapter: '/tmp/latchkey-no-such-controller' } });
    await until(() => rig.radio.health().code === 'radio_missing');
    expect(rig.log.lines.filter(({ fields }) => fields.event === 'radio_closed')).toHaveLength(1);
    expect(rig.radio.counters.opened).toBe(0);
  });
});

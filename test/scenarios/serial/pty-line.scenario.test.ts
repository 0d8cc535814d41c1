import { afterEach, describe, expect, it } from 'vitest';
import { serveDevice } from '../../../drivers/serial/device-port.ts';
import { openSerialLine } from '../../../drivers/serial/serial-line.ts';
import { COAP_CODE, COAP_METHOD } from '../../../src/codec/iana.ts';
import { utf8 } from '../../../src/core/bytes.ts';
import { QuietLog } from '../../fakes/quiet-log.ts';
import { ptyRig, system } from '../../fixtures/line-rig.ts';
import { describeLine, until } from '../../fixtures/line-scenarios.ts';
import { PtyPair } from '../../fixtures/pty-pair.ts';

describeLine('a line over a pty', ptyRig);

describe('a pty', () => {
  const closers: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  async function pair(): Promise<PtyPair> {
    const made = await PtyPair.create();
    closers.push(() => made.close());
    return made;
  }

  it('that takes no more bytes is found to hang, closed, and opened again', async () => {
    const ptys = await pair();
    const log = new QuietLog();
    const settings = { reopenAfter: 5, reopenCap: 50, writeDeadline: 100, closeDeadline: 500 };
    const coap = { ackTimeout: 5, ackRandomFactor: 1, maxRetransmit: 6 };
    const line = openSerialLine({ ...system, name: 'tube', path: ptys.hub, baudRate: 921_600, log, settings, coap });
    closers.push(() => line.close());
    await until(() => line.isUp());
    ptys.freeze();
    // One message at a time leaves, so each is given up before the kernel's buffers are full and the next one is made.
    const post = { method: COAP_METHOD.POST, path: ['x'], payload: new Uint8Array(1_000) };
    let failure: unknown;
    while (line.counters().hung === 0) {
      failure = await line.request(post, { deadline: 1_000 }).catch((error: unknown) => error);
    }
    expect(failure).toMatchObject({ code: expect.stringMatching(/^(link_down|device_answer_lost|device_no_answer)$/) });
    await ptys.unplug();
    await ptys.plug();
    const device = await serveDevice({
      ...system,
      listen: ptys.device,
      handler: async () => ({ code: COAP_CODE.created, payload: utf8('') }),
    });
    closers.push(() => device.close());
    await until(() => line.isUp());
    const created = await answered(() => line.request(post, { deadline: 2_000 }));
    expect(created).toMatchObject({ code: COAP_CODE.created });
  });

  it('that is not there is opened when it comes: link_down until then', async () => {
    const ptys = await pair();
    await ptys.unplug();
    const line = openSerialLine({
      ...system,
      name: 'tube',
      path: ptys.hub,
      log: new QuietLog(),
      settings: { reopenAfter: 5, reopenCap: 50 },
    });
    closers.push(() => line.close());
    await until(() => (line.counters().openFailed ?? 0) > 1);
    expect(line.health()).toMatchObject({ up: false, code: 'link_down' });
    await ptys.plug();
    await until(() => line.isUp());
    expect(line.health().up).toBe(true);
  });

  it('is not served by a device when it is not there: link_down', async () => {
    const ptys = await pair();
    await ptys.unplug();
    const serving = serveDevice({
      ...system,
      listen: ptys.device,
      handler: async () => ({ code: COAP_CODE.created, payload: utf8('') }),
    });
    await expect(serving).rejects.toMatchObject({ code: 'link_down' });
  });

  it('is served again by a device after it was gone', async () => {
    const ptys = await pair();
    const settings = { reopenAfter: 5, reopenCap: 50 };
    const device = await serveDevice({
      ...system,
      settings,
      listen: ptys.device,
      handler: async () => ({ code: COAP_CODE.created, payload: utf8('') }),
    });
    closers.push(() => device.close());
    const line = openSerialLine({ ...system, settings, name: 'tube', path: ptys.hub, log: new QuietLog() });
    closers.push(() => line.close());
    await until(() => line.isUp());
    await ptys.unplug();
    await until(() => !line.isUp() && !device.isConnected());
    await ptys.plug();
    await until(() => line.isUp() && device.isConnected());
    const post = { method: COAP_METHOD.POST, path: ['x'] };
    expect((await line.request(post, { deadline: 20_000 })).code).toBe(COAP_CODE.created);
  });

  it('is locked against a second program: link_down', async () => {
    const ptys = await pair();
    const options = { ...system, name: 'tube', path: ptys.hub, log: new QuietLog() };
    const first = openSerialLine(options);
    closers.push(() => first.close());
    await until(() => first.isUp());
    const second = openSerialLine(options);
    closers.push(() => second.close());
    await until(() => (second.counters().openFailed ?? 0) > 0);
    expect(second.health()).toMatchObject({ up: false, code: 'link_down' });
    expect(first.isUp()).toBe(true);
  });
});

/** The first answer; a request that meets the line between two openings is made again. */
async function answered<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'link_down')) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

/** The hub's radio with real noble, against real bleno, over controllers that a test orders about. */
import { afterEach, describe, expect, it } from 'vitest';
import { COAP_CODE } from '../../../src/codec/iana.ts';
import { EMPTY } from '../../../src/core/bytes.ts';
import type { CoapRequest } from '../../../src/core/coap-exchange.ts';
import { body, outcome, post, RadioRig, until } from '../../fixtures/radio-rig.ts';

/** Opcode of the Attribute Protocol. */
const READ_BY_TYPE_RESPONSE = 0x09;
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

describe('a device that is heard', () => {
  it('is connected when something is asked of it, and let go soon after', async () => {
    const rig = await open();
    const tube = await rig.device();
    await rig.heard();
    const link = rig.radio.link('tube-1');
    expect(link.isConnected).toBe(false);
    expect(await link.request(post(body(300)), DEADLINE)).toMatchObject(accepted(body(300)));
    expect(link.isConnected).toBe(true);
    await until(() => !link.isConnected && !tube.peripheral.isConnected() && rig.radio.slots.held === 0);
    expect(rig.radio.counters).toMatchObject({ connected: 1, lost: 0 });
  });

  it('keeps its link for what follows', async () => {
    const rig = await open({ settings: { linger: 1_000 } });
    await rig.device();
    await rig.heard();
    for (let round = 0; round < 5; round += 1) await rig.radio.link('tube-1').request(post(body(round)), DEADLINE);
    expect(rig.radio.counters.connected).toBe(1);
  });

  it('is told of once in a while, however often it advertises', async () => {
    const rig = await open();
    await rig.device();
    let told = 0;
    rig.radio.onSighting(() => {
      told += 1;
    });
    await until(() => rig.radio.counters.heard > 30);
    expect(told).toBeLessThanOrEqual(2);
  });

  it('leaves no listener of noble for signals behind', async () => {
    const before = ['SIGINT', 'SIGTERM', 'exit'].map((event) => process.listenerCount(event));
    const rig = await open();
    await until(() => rig.radio.health().up);
    expect(['SIGINT', 'SIGTERM', 'exit'].map((event) => process.listenerCount(event))).toEqual(before);
  });

  it('may ask the hub over the same link', async () => {
    const asked: CoapRequest[] = [];
    const rig = await open({
      handler: (name) => async (request) => {
        asked.push(request);
        return accepted(new TextEncoder().encode(name));
      },
    });
    const tube = await rig.device('tube-1', {
      handler: async () => {
        const answer = await tube.peripheral.request(post(body(700), 'introspect'), DEADLINE);
        return accepted(answer.payload);
      },
    });
    await rig.heard();
    const answer = await rig.radio.link('tube-1').request(post(body(700)), DEADLINE);
    expect(Buffer.from(answer.payload).toString()).toBe('tube-1');
    expect(asked).toMatchObject([{ path: ['introspect'], payload: body(700) }]);
  });
});

describe('a visit', () => {
  it('lets a device ask that nobody asks anything', async () => {
    const asked: string[] = [];
    const rig = await open({
      settings: { visit: 60_000, linger: 4_000, operationTimeout: 10_000 },
      handler:
        () =>
        async ({ path }) => {
          asked.push(path.join('/'));
          return accepted(body(40));
        },
    });
    const tube = await rig.device();
    await until(() => tube.peripheral.isConnected());
    // More than once the time that a link is kept: what is asked keeps it.
    for (let round = 0; round < 5; round += 1) {
      expect(await tube.peripheral.request(post(body(9), 'time'), DEADLINE)).toMatchObject(accepted(body(40)));
      await new Promise((resolve) => setTimeout(resolve, 900));
    }
    expect(asked).toHaveLength(5);
    await until(() => !tube.peripheral.isConnected());
    expect(tube.requests).toEqual([]);
    expect(rig.radio.counters).toMatchObject({ connected: 1, lost: 0 });
  });

  it('is made once in its time', async () => {
    const rig = await open({ settings: { visit: 60_000, linger: 0 } });
    const tube = await rig.device();
    await until(() => rig.radio.counters.connected === 1 && !tube.peripheral.isConnected());
    const heard = rig.radio.counters.heard;
    await until(() => rig.radio.counters.heard > heard + 20);
    expect(rig.radio.counters.connected).toBe(1);
  });

  it('is not made where it is not wanted', async () => {
    const rig = await open({ settings: { visit: 0 } });
    await rig.device();
    await until(() => rig.radio.counters.heard > 20);
    expect(rig.radio.counters.connected).toBe(0);
  });
});

describe('values of any size', () => {
  it.each([
    [23, 1],
    [23, 20],
    [23, 300],
    [23, 3_000],
    [24, 300],
    [64, 700],
    [185, 300],
    [256, 505],
    [256, 5_000],
  ])('cross with an MTU of %i: %i bytes there and back', async (mtu, bytes) => {
    const rig = await open();
    const tube = await rig.device();
    tube.adapter.controller.faults.attMtu = mtu;
    await rig.heard();
    const answer = await rig.radio.link('tube-1').request(post(body(bytes)), DEADLINE);
    expect(answer).toMatchObject(accepted(body(bytes)));
    expect(tube.requests.map(({ payload }) => payload)).toEqual([body(bytes)]);
  });

  it('cross where the hub asks for less than the device could take', async () => {
    const rig = await open({ settings: { mtu: 64 } });
    const tube = await rig.device();
    await rig.heard();
    const answer = await rig.radio.link('tube-1').request(post(body(300)), DEADLINE);
    expect(answer).toMatchObject(accepted(body(300)));
    const link = tube.adapter.controller.lastLink;
    expect(Math.max(...(link?.attributes ?? []).map(({ length }) => length))).toBeLessThanOrEqual(64);
  });
});

describe('several devices', () => {
  it('are served at once, up to so many links, and all of them in the end', async () => {
    const names = ['a', 'b', 'c', 'd'];
    const rig = await open({ known: names, settings: { connections: 2 } });
    for (const name of names) await rig.device(name);
    await Promise.all(names.map((name) => rig.heard(name)));
    let most = 0;
    const answers = names.map(async (name) => {
      const answer = await rig.radio.link(name).request(post(body(300)), DEADLINE);
      most = Math.max(most, rig.radio.connections);
      return answer;
    });
    for (const answer of await Promise.all(answers)) expect(answer).toMatchObject(accepted(body(300)));
    expect(most).toBe(2);
    expect(rig.hub.controller.links.size).toBeLessThanOrEqual(2);
  });

  it('share one link: whoever lingers on it gives way', async () => {
    const rig = await open({ known: ['a', 'b'], settings: { connections: 1, linger: 60_000 } });
    await rig.device('a');
    await rig.device('b');
    await Promise.all([rig.heard('a'), rig.heard('b')]);
    for (const name of ['a', 'b', 'a'])
      expect(await rig.radio.link(name).request(post(body(9)), DEADLINE)).toMatchObject(accepted(body(9)));
    expect(rig.radio.counters).toMatchObject({ connected: 3, lost: 0 });
  });

  it('share one link: whoever asks without end has turns, and the other one too', async () => {
    const rig = await open({ known: ['a', 'b'], settings: { connections: 1 } });
    await rig.device('a');
    await rig.device('b');
    await Promise.all([rig.heard('a'), rig.heard('b')]);
    let goesOn = true;
    const asking = Array.from({ length: 4 }, async () => {
      while (goesOn) await rig.radio.link('a').request(post(body(9)), { deadline: 20_000 });
    });
    await until(() => rig.radio.link('a').isConnected);
    const answer = await rig.radio.link('b').request(post(body(9)), { deadline: 20_000 });
    expect(answer).toMatchObject(accepted(body(9)));
    goesOn = false;
    await Promise.all(asking);
  });

  it('are no more than the adapter has room for, which is noticed', async () => {
    const rig = await open({ known: ['a', 'b'], settings: { linger: 60_000 }, plug: { maximumLinks: 1 } });
    await rig.device('a');
    await rig.device('b');
    await Promise.all([rig.heard('a'), rig.heard('b')]);
    const answers = ['a', 'b'].map((name) => rig.radio.link(name).request(post(body(9)), DEADLINE));
    for (const answer of await Promise.all(answers)) expect(answer).toMatchObject(accepted(body(9)));
    expect(rig.radio.slots.limit).toBe(1);
  });

  it('that belong to another hub are left alone', async () => {
    const rig = await open({ known: ['ours'] });
    const other = await rig.anotherHub(['theirs']);
    const ours = await rig.device('ours');
    const theirs = await rig.device('theirs');
    await Promise.all([rig.heard('ours'), rig.heard('theirs', other)]);
    await rig.radio.link('ours').request(post(body(9)), DEADLINE);
    await other.link('theirs').request(post(body(9)), DEADLINE);
    expect([ours, theirs].map(({ peripheral }) => peripheral.counters().connections)).toEqual([1, 1]);
    expect(rig.radio.heard().map(({ name }) => name)).toEqual(['ours']);
    expect(rig.radio.counters.passedOver).toBeGreaterThan(0);
    expect(await outcome(rig.radio.link('theirs').request(post(EMPTY), DEADLINE))).toBe('link_down');
    expect(theirs.peripheral.counters().connections).toBe(1);
  });

  it('that nobody registered are of interest while a window is open', async () => {
    const rig = await open({ known: [] });
    await rig.device('stranger');
    await until(() => rig.radio.counters.passedOver > 0);
    expect(rig.radio.heard()).toEqual([]);
    const close = rig.radio.openWindow();
    await until(() => rig.radio.heard().length === 1);
    expect(rig.radio.heard()).toMatchObject([{ name: 'stranger', rssi: -60 }]);
    const answer = await rig.radio.link('stranger').request(post(body(9), 'provision'), DEADLINE);
    expect(answer).toMatchObject(accepted(body(9)));
    close();
  });
});

describe('another one under the same name', () => {
  it('is set aside by its address when it does not prove itself, and the device gets what is for it', async () => {
    const rig = await open();
    const impostor = await rig.device('tube-1');
    await rig.heard();
    const link = rig.radio.link('tube-1');
    await link.request(post(body(9)), DEADLINE);
    link.proven(false);
    expect(impostor.requests).toHaveLength(1);
    const tube = await rig.device('tube-1');
    await until(() => link.isUp());
    await link.request(post(body(9)), DEADLINE);
    link.proven(true);
    expect([impostor.requests.length, tube.requests.length]).toEqual([1, 1]);
    expect(rig.log.lines).toContainEqual(
      expect.objectContaining({ fields: expect.objectContaining({ code: 'device_impostor' }) }),
    );
    await until(() => !link.isConnected);
    for (let round = 0; round < 3; round += 1) await link.request(post(body(9)), DEADLINE);
    expect([impostor.requests.length, tube.requests.length]).toEqual([1, 4]);
  });

  it('alone is not asked again before its pause is over', async () => {
    const rig = await open();
    await rig.device('tube-1');
    await rig.heard();
    const link = rig.radio.link('tube-1');
    await link.request(post(body(9)), DEADLINE);
    link.proven(false);
    expect(link.isUp()).toBe(false);
    expect(await outcome(link.request(post(body(9)), DEADLINE))).toBe('link_down');
  });
});

describe('a device that is away', () => {
  it('is asked nothing: the answer comes at once', async () => {
    const rig = await open();
    await until(() => rig.radio.health().up);
    const began = performance.now();
    expect(await outcome(rig.radio.link('tube-1').request(post(EMPTY), DEADLINE))).toBe('link_down');
    expect(performance.now() - began).toBeLessThan(500);
  });

  it('that was heard a moment ago ends what is asked of it at its deadline, and does not keep others waiting', async () => {
    const rig = await open({ known: ['gone', 'here'], settings: { connectTimeout: 1_000 } });
    const gone = await rig.device('gone');
    await rig.device('here');
    await Promise.all([rig.heard('gone'), rig.heard('here')]);
    gone.adapter.controller.leave();
    const lost = outcome(rig.radio.link('gone').request(post(EMPTY), { deadline: 3_000 }));
    const answer = await rig.radio.link('here').request(post(body(9)), DEADLINE);
    expect(answer).toMatchObject(accepted(body(9)));
    expect(['device_answer_lost', 'link_down', 'device_no_answer']).toContain(await lost);
    gone.adapter.controller.comeBack();
    await until(() => rig.radio.link('gone').isUp());
    expect(await rig.radio.link('gone').request(post(body(9)), DEADLINE)).toMatchObject(accepted(body(9)));
  });

  it('is told of when it comes back', async () => {
    const rig = await open({ settings: { presence: 1_000 } });
    const tube = await rig.device();
    await rig.heard();
    tube.adapter.controller.leave();
    await until(() => !rig.radio.link('tube-1').isUp());
    tube.adapter.controller.comeBack();
    await rig.heard();
    expect(await rig.radio.link('tube-1').request(post(body(9)), DEADLINE)).toMatchObject(accepted(body(9)));
  });
});

describe('a link that does not come about', () => {
  it('because the device never answers the first packet is tried again', async () => {
    const rig = await open({ settings: { operationTimeout: 60_000 } });
    const tube = await rig.device();
    await rig.heard();
    tube.adapter.controller.refusal = 'never established';
    const answer = rig.radio.link('tube-1').request(post(body(9)), DEADLINE);
    await until(() => rig.radio.counters.connectFailed > 0);
    tube.adapter.controller.refusal = undefined;
    expect(await answer).toMatchObject(accepted(body(9)));
  });

  it('because nobody answers the search for characteristics is given up, and the place is free', async () => {
    const rig = await open({ settings: { operationTimeout: 500, connections: 1 } });
    const tube = await rig.device();
    await rig.heard();
    tube.adapter.controller.faults.drop('toCentral', READ_BY_TYPE_RESPONSE);
    expect(await outcome(rig.radio.link('tube-1').request(post(EMPTY), { deadline: 3_000 }))).toBe('link_down');
    await until(() => rig.radio.slots.held === 0 && rig.hub.controller.links.size === 0);
    tube.adapter.controller.faults.pass('toCentral', READ_BY_TYPE_RESPONSE);
    await until(() => rig.radio.link('tube-1').isUp());
    expect(await rig.radio.link('tube-1').request(post(body(9)), DEADLINE)).toMatchObject(accepted(body(9)));
  });
});

describe('many links, one after another', () => {
  it('leave neither timers nor listeners behind', async () => {
    const warnings: string[] = [];
    const warn = ({ name, message }: Error) => warnings.push(`${name}: ${message}`);
    process.on('warning', warn);
    const rig = await open({ settings: { linger: 0 } });
    const tube = await rig.device();
    await rig.heard();
    const link = rig.radio.link('tube-1');
    const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    const rounds = async (count: number) => {
      for (let round = 0; round < count; round += 1) {
        await until(() => link.isUp());
        await link.request(post(body(40)), DEADLINE);
        await until(() => !link.isConnected && !tube.peripheral.isConnected());
      }
      return timers();
    };
    const few = await rounds(15);
    expect(await rounds(60)).toBeLessThanOrEqual(few + 2);
    expect(rig.radio.counters).toMatchObject({ connected: 75, lost: 0 });
    expect(warnings).toEqual([]);
    process.removeListener('warning', warn);
  });
});

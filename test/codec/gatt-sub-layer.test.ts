import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeGattMessage, encodeGattMessage, type GattContent } from '../../src/codec/gatt-message.ts';
import { GattSubLayer } from '../../src/codec/gatt-sub-layer.ts';
import { hex } from '../../src/core/bytes.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { FakeTime } from '../fakes/fake-time.ts';

const ACKNOWLEDGE_AFTER = 50;
const DEADLINE = 10_000;

/** A message that says `name`, which is what the tests compare. */
function content(name: number): GattContent {
  return { tokenLength: 1, bytes: Uint8Array.of(0x45, name) };
}

class Side {
  readonly time: FakeTime;
  readonly layer: GattSubLayer;
  readonly sent: Uint8Array[] = [];
  readonly heard: number[] = [];
  readonly confirmed: boolean[] = [];
  stalled = 0;

  constructor(time: FakeTime, onHeard: (name: number) => void = () => undefined) {
    this.time = time;
    this.layer = new GattSubLayer({
      send: (value) => this.sent.push(value),
      onContent: ({ bytes }, confirm) => {
        this.heard.push(bytes[1] ?? -1);
        this.confirmed.push(confirm);
        onHeard(bytes[1] ?? -1);
      },
      onStalled: () => {
        this.stalled += 1;
      },
      timers: time,
      acknowledgeAfter: ACKNOWLEDGE_AFTER,
      acknowledgementDeadline: DEADLINE,
    });
  }

  /** The bits M, C and A of what was sent, and `+` where there is content. */
  flags(): string[] {
    return this.sent.map((value) => {
      const { messageId, confirm, acknowledgement, content: inside } = decodeGattMessage(value);
      return `${messageId}${confirm ? 1 : 0}${acknowledgement}${inside === undefined ? '' : '+'}`;
    });
  }

  take(message: { m: 0 | 1; c: boolean; a: 0 | 1; name?: number }): void {
    this.layer.receive(
      encodeGattMessage({
        messageId: message.m,
        confirm: message.c,
        acknowledgement: message.a,
        content: message.name === undefined ? undefined : content(message.name),
      }),
    );
  }
}

function side(onHeard?: (name: number) => void): Side {
  return new Side(new FakeTime(), onHeard);
}

describe('what goes out', () => {
  it('starts with M 0, C 1, A 0 (the draft, "Minimal use")', () => {
    const hub = side();
    hub.layer.send(content(1));
    expect(hub.flags()).toEqual(['010+']);
  });

  it('waits for the acknowledgement of the message before', () => {
    const hub = side();
    for (const name of [1, 2, 3]) hub.layer.send(content(name));
    expect(hub.flags()).toEqual(['010+']);
    hub.take({ m: 1, c: false, a: 0 });
    expect(hub.flags()).toEqual(['010+', '110+']);
    hub.take({ m: 1, c: false, a: 1 });
    expect(hub.flags()).toEqual(['010+', '110+', '010+']);
  });

  it('is not set free by an acknowledgement of the other message id', () => {
    const hub = side();
    hub.layer.send(content(1));
    hub.layer.send(content(2));
    hub.take({ m: 1, c: false, a: 1 });
    expect(hub.flags()).toEqual(['010+']);
  });

  it('is set free by a message that acknowledges along the way', () => {
    const hub = side();
    hub.layer.send(content(1));
    hub.layer.send(content(2));
    hub.take({ m: 0, c: true, a: 0, name: 9 });
    expect(hub.flags()).toEqual(['010+', '110+']);
    expect(hub.heard).toEqual([9]);
  });

  it('stays within its bound while the peer acknowledges nothing', () => {
    const hub = side();
    for (let name = 0; name < LIMITS.gattWaiting + 3; name += 1) hub.layer.send(content(name));
    expect(hub.sent).toHaveLength(1);
    expect(hub.layer.counters().valuesNotSent).toBe(2);
  });

  it('ends in a stall where no acknowledgement comes', async () => {
    const hub = side();
    hub.layer.send(content(1));
    await hub.time.advance(DEADLINE - 1);
    expect(hub.stalled).toBe(0);
    await hub.time.advance(1);
    expect(hub.stalled).toBe(1);
    hub.layer.send(content(2));
    expect(hub.sent).toHaveLength(1);
    expect(hub.time.pendingTimers).toBe(0);
  });
});

describe('what comes in', () => {
  it('is acknowledged by an empty message where nothing else goes out', async () => {
    const device = side();
    device.take({ m: 0, c: true, a: 0, name: 1 });
    expect(device.sent).toHaveLength(0);
    await device.time.advance(ACKNOWLEDGE_AFTER);
    expect(device.flags()).toEqual(['100']);
    device.take({ m: 1, c: true, a: 0, name: 2 });
    await device.time.advance(ACKNOWLEDGE_AFTER);
    expect(device.flags()).toEqual(['100', '101']);
  });

  it('is acknowledged by the response, which then is the only message', async () => {
    const device = side(() => device.layer.send(content(7)));
    device.take({ m: 1, c: true, a: 0, name: 1 });
    await device.time.advance(DEADLINE - 1);
    expect(device.flags()).toEqual(['011+']);
  });

  it('is acknowledged at once when told so, and once', () => {
    const hub = side();
    hub.layer.flush();
    hub.take({ m: 1, c: true, a: 0, name: 1 });
    hub.layer.flush();
    hub.layer.flush();
    expect(hub.flags()).toEqual(['101']);
  });

  it('is not acknowledged where the peer does not ask for it', async () => {
    const hub = side();
    hub.take({ m: 1, c: false, a: 0, name: 1 });
    await hub.time.advance(DEADLINE);
    expect(hub.sent).toHaveLength(0);
    expect(hub.confirmed).toEqual([false]);
  });

  it('is passed over where it is the value before once more, and acknowledged again', async () => {
    const device = side();
    for (let time = 0; time < 2; time += 1) {
      device.take({ m: 0, c: true, a: 0, name: 1 });
      await device.time.advance(ACKNOWLEDGE_AFTER);
    }
    expect(device.heard).toEqual([1]);
    expect(device.flags()).toEqual(['100', '100']);
    expect(device.layer.counters().valuesRepeated).toBe(1);
  });

  it('is passed over where it comes again behind an empty message, with another A', () => {
    const device = side();
    device.take({ m: 0, c: true, a: 0, name: 1 });
    device.take({ m: 0, c: false, a: 1 });
    device.take({ m: 0, c: true, a: 1, name: 1 });
    expect(device.heard).toEqual([1]);
  });

  it('is new with the other message id, though it says the same', () => {
    const device = side();
    device.take({ m: 0, c: true, a: 0, name: 1 });
    device.take({ m: 1, c: true, a: 0, name: 1 });
    expect(device.heard).toEqual([1, 1]);
  });

  it('takes the first message with either message id: the figure of the draft starts with 1', () => {
    for (const m of [0, 1] as const) {
      const device = side();
      device.take({ m, c: true, a: 0, name: 1 });
      expect(device.heard).toEqual([1]);
    }
  });

  it('is passed over whole with the reserved bit', async () => {
    const hub = side();
    hub.layer.send(content(1));
    hub.layer.send(content(2));
    // It would acknowledge, and ask for an acknowledgement.
    hub.layer.receive(Uint8Array.of(0xa1, 0x45, 5));
    await hub.time.advance(ACKNOWLEDGE_AFTER);
    expect(hub.flags()).toEqual(['010+']);
    expect(hub.heard).toEqual([]);
    expect(hub.layer.counters().valuesReserved).toBe(1);
  });

  it('is passed over where it is malformed', () => {
    const hub = side();
    hub.layer.receive(new Uint8Array(0));
    hub.layer.receive(Uint8Array.of(0x2f, 1));
    expect(hub.heard).toEqual([]);
    expect(hub.layer.counters().valuesMalformed).toBe(2);
  });

  it('is passed over after the end, with no timer left', () => {
    const hub = side();
    hub.layer.send(content(1));
    hub.take({ m: 0, c: true, a: 0, name: 1 });
    hub.layer.close();
    hub.take({ m: 1, c: true, a: 0, name: 2 });
    hub.layer.send(content(3));
    expect(hub.heard).toEqual([1]);
    expect(hub.time.pendingTimers).toBe(0);
  });
});

/** Both sides over a medium that keeps the order, as GATT does, and doubles what it is told to. */
async function converse(script: readonly (readonly ['hub' | 'device', number])[], doubled: ReadonlySet<number>) {
  const time = new FakeTime();
  const hub = new Side(time);
  const device = new Side(time);
  let carried = 0;
  const carry = (from: Side, to: Side, done: { at: number }) => {
    for (; done.at < from.sent.length; done.at += 1) {
      const value = from.sent[done.at] ?? new Uint8Array(0);
      to.layer.receive(value);
      if (doubled.has(carried)) to.layer.receive(value);
      carried += 1;
    }
  };
  const toDevice = { at: 0 };
  const toHub = { at: 0 };
  for (const [who, name] of script) (who === 'hub' ? hub : device).layer.send(content(name));
  for (let turn = 0; turn < 200; turn += 1) {
    carry(hub, device, toDevice);
    carry(device, hub, toHub);
    await time.advance(ACKNOWLEDGE_AFTER);
  }
  return { hub, device, time };
}

describe('both sides', () => {
  it('get every message once and in order, whatever is doubled and whoever speaks first', async () => {
    const script = fc.array(fc.tuple(fc.constantFrom<'hub' | 'device'>('hub', 'device'), fc.nat(255)), {
      maxLength: LIMITS.gattWaiting,
    });
    await fc.assert(
      fc.asyncProperty(script, fc.uniqueArray(fc.nat(40)), async (lines, doubled) => {
        const { hub, device, time } = await converse(lines, new Set(doubled));
        expect(device.heard).toEqual(lines.filter(([who]) => who === 'hub').map(([, name]) => name));
        expect(hub.heard).toEqual(lines.filter(([who]) => who === 'device').map(([, name]) => name));
        expect(hub.stalled + device.stalled).toBe(0);
        expect(time.pendingTimers).toBe(0);
      }),
      { numRuns: 40 },
    );
  });

  it('never throw, and never answer with what is no message, whatever they are given', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 20 }), (values) => {
        const hub = side();
        for (const value of values) hub.layer.receive(value);
        hub.layer.flush();
        for (const value of hub.sent) expect(hex(encodeGattMessage(decodeGattMessage(value)))).toBe(hex(value));
      }),
    );
  });
});

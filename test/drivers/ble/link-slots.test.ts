import { describe, expect, it } from 'vitest';
import { LinkSlots, type SlotHolder } from '../../../drivers/ble/link-slots.ts';

class Holder implements SlotHolder {
  asked = 0;
  granted: boolean | undefined;
  isNeeded = true;
  readonly #abort = new AbortController();

  acquire(slots: LinkSlots): void {
    void slots.acquire(this, this.#abort.signal).then((granted) => {
      this.granted = granted;
    });
  }

  giveUp(): void {
    this.#abort.abort();
  }

  giveWay(): void {
    this.asked += 1;
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
}

/** So many holders, all of whom have asked in their order. */
async function asking(slots: LinkSlots, count: number): Promise<readonly Holder[]> {
  const holders = Array.from({ length: count }, () => new Holder());
  for (const holder of holders) holder.acquire(slots);
  await settle();
  return holders;
}

const granted = (holders: readonly Holder[]) => holders.map((holder) => holder.granted);

describe('places among the links', () => {
  it('are given out up to the limit, in the order in which they were asked for', async () => {
    const slots = new LinkSlots(2);
    const holders = await asking(slots, 4);
    expect(granted(holders)).toEqual([true, true, undefined, undefined]);
    slots.release(holders[1] as Holder);
    await settle();
    expect(granted(holders)).toEqual([true, true, true, undefined]);
    expect(slots.held).toBe(2);
  });

  it('go to those that are needed first, also where the need came while they waited', async () => {
    const slots = new LinkSlots(1);
    const [first, visit, other, last] = Array.from({ length: 4 }, () => new Holder()) as [
      Holder,
      Holder,
      Holder,
      Holder,
    ];
    for (const holder of [visit, other]) holder.isNeeded = false;
    for (const holder of [first, visit, other, last]) holder.acquire(slots);
    other.isNeeded = true;
    const order: Holder[] = [];
    for (let place = 0; place < 4; place += 1) {
      await settle();
      const holder = [first, visit, other, last].find((one) => one.granted === true && !order.includes(one)) as Holder;
      order.push(holder);
      slots.release(holder);
    }
    expect(order).toEqual([first, other, last, visit]);
  });

  it('are asked back from whoever has one, when another waits', async () => {
    const slots = new LinkSlots(2);
    const holders = await asking(slots, 2);
    expect(holders.map(({ asked }) => asked)).toEqual([0, 0]);
    await asking(slots, 1);
    expect(holders.map(({ asked }) => asked)).toEqual([1, 1]);
    expect(slots.isContended).toBe(true);
  });

  it('are not given to whoever has given up', async () => {
    const slots = new LinkSlots(1);
    const [first, second, third] = await asking(slots, 3);
    second?.giveUp();
    slots.release(first as Holder);
    await settle();
    expect([second?.granted, third?.granted]).toEqual([false, true]);
  });

  it('are fewer once the adapter had no room for one more, and never none', async () => {
    const slots = new LinkSlots(5);
    await asking(slots, 3);
    slots.full(2);
    expect(slots.limit).toBe(2);
    slots.full(0);
    expect(slots.limit).toBe(1);
    slots.full(4);
    expect(slots.limit).toBe(1);
  });

  it('are as many as before once there is another adapter', async () => {
    const slots = new LinkSlots(2);
    slots.full(1);
    const holders = await asking(slots, 2);
    slots.restore(2);
    await settle();
    expect(granted(holders)).toEqual([true, true]);
  });

  it('are not freed by whoever has none', async () => {
    const slots = new LinkSlots(1);
    const [first, second] = await asking(slots, 2);
    slots.release(second as Holder);
    await settle();
    expect([first?.granted, second?.granted, slots.held]).toEqual([true, undefined, 1]);
  });
});

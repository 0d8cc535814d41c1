import { LIMITS } from '../../src/core/limits.ts';

interface HeldPacket {
  readonly topic: string;
  readonly payload: { readonly length: number };
}

/** The part of the store of aedes that holds messages of QoS 1 for a session until they are acknowledged. */
export interface OutgoingStore {
  outgoingEnqueueCombi(sessions: readonly unknown[], packet: HeldPacket): Promise<void>;
  outgoingClearMessageId(client: unknown, packet: unknown): Promise<HeldPacket | undefined>;
}

interface Share {
  readonly messages: number;
  readonly bytes: number;
}

const NONE: Share = { messages: 0, bytes: 0 };

/**
 * Counts what the broker holds until it is acknowledged, per topic, which here is per device: no session but the hub's is kept, and it
 * hears of questions alone.
 */
export class HeldMessages {
  readonly #ofTopic = new Map<string, Share>();
  #all = NONE;

  get all(): Share {
    return this.#all;
  }

  /** Counts from now on what goes into the store and out of it. */
  watch(store: OutgoingStore): void {
    const enqueue = store.outgoingEnqueueCombi.bind(store);
    const clear = store.outgoingClearMessageId.bind(store);
    store.outgoingEnqueueCombi = async (sessions, packet) => {
      await enqueue(sessions, packet);
      for (const _ of sessions) this.#add(packet, 1);
    };
    store.outgoingClearMessageId = async (client, packet) => {
      const cleared = await clear(client, packet);
      if (cleared !== undefined) this.#add(cleared, -1);
      return cleared;
    };
  }

  hasRoom({ payload, topic }: HeldPacket): boolean {
    const own = this.#ofTopic.get(topic) ?? NONE;
    return (
      own.messages < LIMITS.embeddedHeldOfOneDevice &&
      this.#all.messages < LIMITS.embeddedHeldMessages &&
      this.#all.bytes + payload.length <= LIMITS.embeddedHeldBytes
    );
  }

  #add({ payload, topic }: HeldPacket, sign: 1 | -1): void {
    const grown = (share: Share): Share => ({
      messages: share.messages + sign,
      bytes: share.bytes + sign * payload.length,
    });
    this.#all = grown(this.#all);
    const own = grown(this.#ofTopic.get(topic) ?? NONE);
    if (own.messages > 0) this.#ofTopic.set(topic, own);
    else this.#ofTopic.delete(topic);
  }
}

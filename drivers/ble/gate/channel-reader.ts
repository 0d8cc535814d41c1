import { type Breach, breach } from './verdict.ts';

/** Fixed channels of a link of Bluetooth Low Energy (Core 5.4, Vol 3 Part A §2.1). */
export const CHANNEL = { attributes: 0x0004, signalling: 0x0005, security: 0x0006 } as const;

/** Length and channel before the payload of an L2CAP packet (Vol 3 Part A §3.1). */
export const CHANNEL_HEADER_BYTES = 4;

/** Most bytes that a packet of a channel may have. */
const MOST: ReadonlyMap<number, number> = new Map([
  // A value of 512 bytes behind opcode, handle and offset; the MTU in use is for the attribute rules.
  [CHANNEL.attributes, 517],
  // The longest command names five channels (Vol 3 Part A §4.25).
  [CHANNEL.signalling, 64],
  // A public key (Vol 3 Part H §3.5.6).
  [CHANNEL.security, 65],
]);

export interface ChannelPacket {
  readonly channel: number;
  readonly payload: Buffer;
}

interface Unfinished {
  readonly channel: number;
  readonly length: number;
  /** Undefined for a channel that nothing here reads: its bytes are counted and not kept. */
  readonly parts: Buffer[] | undefined;
  received: number;
}

/**
 * Puts L2CAP packets together from the fragments of one link. A packet has a bounded size, and no byte is kept of channels
 * that the stack does not read: the peer cannot make it grow.
 */
export class ChannelReader {
  #unfinished: Unfinished | undefined;

  /** The first fragment of a packet. */
  begin(fragment: Buffer): ChannelPacket | Breach | undefined {
    if (this.#unfinished !== undefined) return breach('l2cap', 0, 'a packet begins inside another');
    if (fragment.length < CHANNEL_HEADER_BYTES) return breach('l2cap', 0, 'header');
    const length = fragment.readUInt16LE(0);
    const channel = fragment.readUInt16LE(2);
    const most = MOST.get(channel);
    if (most !== undefined && length > most) return breach('l2cap', channel, 'length');
    const parts = most === undefined ? undefined : [];
    this.#unfinished = { channel, length, parts, received: 0 };
    return this.#take(fragment.subarray(CHANNEL_HEADER_BYTES));
  }

  /** Another one. Where none began it belongs to a packet that was given up, or to another program. */
  goOn(fragment: Buffer): ChannelPacket | Breach | undefined {
    return this.#unfinished === undefined ? undefined : this.#take(fragment);
  }

  #take(bytes: Buffer): ChannelPacket | Breach | undefined {
    const unfinished = this.#unfinished;
    if (unfinished === undefined) return undefined;
    const { channel, length, parts } = unfinished;
    unfinished.received += bytes.length;
    if (unfinished.received > length) return breach('l2cap', channel, 'more than it says');
    if (bytes.length > 0) parts?.push(bytes);
    if (unfinished.received < length) return undefined;
    this.#unfinished = undefined;
    return parts === undefined ? undefined : { channel, payload: parts.length === 1 ? bytes : Buffer.concat(parts) };
  }
}

/** Cuts a stream of bytes into MQTT packets and lets through those that keep the rules. */
import { inspectPacket, type PacketFacts, type Sender } from '../../src/codec/mqtt/inspect-packet.ts';
import { PacketRefusal, refuse } from '../../src/codec/mqtt/packet-reader.ts';
import { PACKET, REASON } from '../../src/codec/mqtt/registry.ts';

export interface GateOptions {
  /** Whose packets they are. */
  readonly sender: Sender;
  /** Bytes of the largest packet that is taken now, fixed header included. */
  mostBytes(): number;
  /** Refuses a packet that keeps the rules of MQTT; the bytes are the whole packet and may be changed. */
  judge(facts: PacketFacts, packet: Buffer): PacketRefusal | undefined;
  /** Hears of a malformed message in a good frame: true where it is left out, and what follows is taken. */
  leavesOut(refusal: PacketRefusal, qos: number, packetId: number): boolean;
}

export interface Taken {
  /** In their order. */
  readonly passed: readonly Buffer[];
  /** Why nothing more is taken. What passed before it counts. */
  readonly refusal: PacketRefusal | undefined;
}

interface Header {
  /** Bytes of the whole packet. */
  readonly size: number;
  readonly bodyAt: number;
}

const NOTHING: Taken = { passed: [], refusal: undefined };
const MOST_LENGTH_BYTES = 4;
const NO_BYTES = Buffer.alloc(0);

export class PacketGate {
  readonly #options: GateOptions;
  /** Its first bytes are the beginning of a packet whose end has not come. One buffer, however small the pieces are that come. */
  #buffer = NO_BYTES;
  /** How many of them. */
  #filled = 0;
  /** Bytes until there is something to look at. */
  #needed = 2;
  #isClosed = false;

  constructor(options: GateOptions) {
    this.#options = options;
  }

  /** Bytes of memory for the packet that has not come to its end. */
  get held(): number {
    return this.#buffer.length;
  }

  take(chunk: Buffer): Taken {
    if (this.#isClosed) return NOTHING;
    const isWhole = this.#filled === 0 && chunk.length >= this.#needed;
    if (!isWhole) this.#append(chunk);
    if (!isWhole && this.#filled < this.#needed) return NOTHING;
    const bytes = isWhole ? chunk : this.#buffer.subarray(0, this.#filled);
    const passed: Buffer[] = [];
    let at = 0;
    /** Where the packets begin that pass as one piece. */
    let from = 0;
    let refusal: PacketRefusal | undefined;
    while (refusal === undefined && !this.#isClosed) {
      const header = this.#headerAt(bytes, at);
      if (header instanceof PacketRefusal) refusal = header;
      if (header === undefined || header instanceof PacketRefusal) break;
      const packet = bytes.subarray(at, at + header.size);
      const verdict = this.#verdict(packet, header.bodyAt);
      if (verdict instanceof PacketRefusal) refusal = verdict;
      else if (verdict === 'out') {
        if (at > from) passed.push(bytes.subarray(from, at));
        from = at + header.size;
      }
      if (refusal === undefined) at += header.size;
    }
    if (at > from) passed.push(bytes.subarray(from, at));
    if (refusal !== undefined) this.#isClosed = true;
    this.#keep(this.#isClosed ? NO_BYTES : bytes.subarray(at));
    return { passed, refusal };
  }

  /** Keeps a copy: the rest may be a few bytes of a large chunk, and what passed is the caller's. */
  #keep(rest: Buffer): void {
    this.#filled = 0;
    this.#buffer = NO_BYTES;
    if (rest.length > 0) this.#append(rest);
  }

  #append(chunk: Buffer): void {
    const filled = this.#filled + chunk.length;
    if (filled > this.#buffer.length) {
      // Doubled, so that a packet in pieces is not copied for each of them; and not beyond the end of the packet.
      const doubled = Math.min(2 * this.#buffer.length, this.#needed);
      // Not of the pool of node: a few bytes would keep the whole of it.
      const larger = Buffer.allocUnsafeSlow(Math.max(filled, doubled));
      this.#buffer.copy(larger, 0, 0, this.#filled);
      this.#buffer = larger;
    }
    chunk.copy(this.#buffer, this.#filled);
    this.#filled = filled;
  }

  /** Undefined until the whole packet is there. */
  #headerAt(bytes: Buffer, at: number): Header | PacketRefusal | undefined {
    let length = 0;
    for (let index = 0; index < MOST_LENGTH_BYTES; index += 1) {
      const byte = bytes[at + 1 + index];
      if (byte === undefined) {
        this.#needed = index + 2;
        return undefined;
      }
      length |= (byte & 0x7f) << (7 * index);
      if (byte === 0 && index > 0) break;
      if (byte >= 0x80) continue;
      const bodyAt = index + 2;
      const size = bodyAt + length;
      if (size > this.#options.mostBytes()) return refuse(REASON.packetTooLarge, `a packet of ${size} bytes`);
      this.#needed = at + size <= bytes.length ? 2 : size;
      return at + size <= bytes.length ? { size, bodyAt } : undefined;
    }
    return refuse(REASON.malformed, 'length of a packet');
  }

  #verdict(packet: Buffer, bodyAt: number): PacketRefusal | 'pass' | 'out' {
    const facts = inspectPacket(packet[0] ?? 0, packet.subarray(bodyAt), this.#options.sender);
    if (facts instanceof PacketRefusal) return facts;
    if ('refusal' in facts) {
      const { packetId, qos, refusal } = facts;
      return this.#options.leavesOut(refusal, qos, packetId) ? 'out' : refusal;
    }
    const refusal = this.#options.judge(facts, packet);
    if (refusal !== undefined) return refusal;
    // What comes behind the end of a connection is nothing (§3.14.4, §3.2.2.2), and the parser would read on into it.
    if (facts.type === PACKET.DISCONNECT || (facts.type === PACKET.CONNACK && facts.reason !== 0))
      this.#isClosed = true;
    return 'pass';
  }
}

import { isUtf8 } from 'node:buffer';
import { REASON } from './registry.ts';

/** Why a packet is refused. It stays inside the gate: `inspectPacket` answers with it, and throws nothing. */
export class PacketRefusal {
  /** Of MQTT 5.0 §2.4. */
  readonly reason: number;
  /** For the log; holds nothing of what the packet said. */
  readonly what: string;

  constructor(reason: number, what: string) {
    this.reason = reason;
    this.what = what;
  }
}

export function refuse(reason: number, what: string): PacketRefusal {
  return new PacketRefusal(reason, what);
}

/** Reads a packet behind its fixed header, in the types of MQTT 5.0 §1.5. Big-endian. Throws `PacketRefusal`. */
export class PacketReader {
  readonly #bytes: Buffer;
  #position = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get position(): number {
    return this.#position;
  }

  get length(): number {
    return this.#bytes.length;
  }

  get isAtEnd(): boolean {
    return this.#position >= this.#bytes.length;
  }

  byte(name: string): number {
    return this.#take(1, name)[0] ?? 0;
  }

  two(name: string): number {
    return this.#take(2, name).readUInt16BE();
  }

  four(name: string): number {
    return this.#take(4, name).readUInt32BE();
  }

  /** At most four bytes, and as few as do; the value is below 2²⁸ (§1.5.5). */
  varint(name: string): number {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.byte(name);
      value |= (byte & 0x7f) << shift;
      if (byte === 0 && shift > 0) break;
      if (byte < 0x80) return value;
    }
    throw refuse(REASON.malformed, `${name} is not in its shortest form`);
  }

  binary(name: string): Buffer {
    return this.#take(this.two(name), name);
  }

  text(name: string): string {
    return textOf(this.binary(name), name);
  }

  topic(name: string): string {
    return topicOf(this.binary(name), name);
  }

  packetId(): number {
    const id = this.two('packet identifier');
    if (id === 0) throw refuse(REASON.protocolError, 'packet identifier is 0');
    return id;
  }

  /** Leaves the rest unread. */
  skip(): void {
    this.#position = this.#bytes.length;
  }

  end(): void {
    if (!this.isAtEnd) throw refuse(REASON.malformed, 'bytes behind the end');
  }

  #take(length: number, name: string): Buffer {
    const end = this.#position + length;
    if (end > this.#bytes.length) throw refuse(REASON.malformed, `${name} is cut short`);
    const taken = this.#bytes.subarray(this.#position, end);
    this.#position = end;
    return taken;
  }
}

/** UTF-8 without U+0000 (§1.5.4). */
function textOf(bytes: Buffer, name: string): string {
  if (!isUtf8(bytes) || bytes.includes(0)) throw refuse(REASON.malformed, `${name} is not text`);
  return bytes.toString('utf8');
}

/** A name that a message can be published on (§4.7). */
export function topicOf(bytes: Buffer, name: string): string {
  const topic = textOf(bytes, name);
  if (topic === '') throw refuse(REASON.protocolError, `${name} is empty`);
  if (/[+#]/.test(topic)) throw refuse(REASON.protocolError, `${name} has wildcards`);
  return topic;
}

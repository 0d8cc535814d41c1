/** Bytes made from a seed: the same number gives the same mutations, so that a fault can be produced again. */

/** Values at the edges of what length and count fields hold. */
const EDGES = [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff] as const;
/** Longest piece that is inserted, doubled or cut; bytes. */
const PIECE = 64;

export class Mutator {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 up to, and without, `limit`. mulberry32. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % Math.max(1, limit);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  /** `bytes` with one to four changes. `others` are inputs that a piece may come from. */
  mutate(bytes: Uint8Array, others: readonly Uint8Array[] = []): Buffer {
    let changed: Buffer = Buffer.from(bytes);
    for (let left = 1 + this.below(4); left > 0; left -= 1) changed = this.#change(changed, others);
    return changed;
  }

  #change(bytes: Buffer, others: readonly Uint8Array[]): Buffer {
    const at = this.below(bytes.length);
    const piece = Math.min(bytes.length - at, 1 + this.below(PIECE));
    switch (this.below(9)) {
      case 0:
        return replaced(bytes, at, (byte) => byte ^ (1 << this.below(8)));
      case 1:
        return replaced(bytes, at, () => this.below(256));
      case 2:
        return replaced(bytes, at, () => this.pick(EDGES));
      case 3:
        return replaced(bytes, at, (byte) => byte + (this.below(2) === 0 ? 1 : -1));
      case 4:
        return Buffer.from(bytes.subarray(0, at));
      case 5:
        return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + piece)]);
      case 6:
        return Buffer.concat([bytes.subarray(0, at + piece), bytes.subarray(at)]);
      case 7:
        return Buffer.concat([bytes.subarray(0, at), this.#noise(), bytes.subarray(at)]);
      default:
        return this.#splice(bytes, at, others);
    }
  }

  #noise(): Buffer {
    return Buffer.from(Array.from({ length: 1 + this.below(8) }, () => this.below(256)));
  }

  #splice(bytes: Buffer, at: number, others: readonly Uint8Array[]): Buffer {
    const other = others.length === 0 ? bytes : this.pick(others);
    return Buffer.concat([bytes.subarray(0, at), other.subarray(this.below(other.length))]);
  }
}

function replaced(bytes: Buffer, at: number, change: (byte: number) => number): Buffer {
  const copy = Buffer.from(bytes);
  if (at < copy.length) copy[at] = change(copy[at] as number) & 0xff;
  return copy;
}

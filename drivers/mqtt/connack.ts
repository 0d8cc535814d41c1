/** What the embedded broker writes by itself, past aedes (MQTT 5.0 §3.2, §3.14; MQTT 3.1.1 §3.2). */
import { PACKET } from '../../src/codec/mqtt/registry.ts';

const MQTT_5 = 5;
/** MQTT 3.1.1 §3.2.2.3: the server does not support this level of the protocol. */
const UNACCEPTABLE_VERSION = 1;
const MAXIMUM_QOS_1 = [0x24, 1];
const NO_SESSION = [0x11, 0, 0, 0, 0];
/** Properties of a CONNACK of aedes are far below: the length stays one byte. */
const ONE_BYTE = 0x7f;

/** Refuses a CONNECT, in the form of its version. An older MQTT has no reason but the version. */
export function refusingConnack(version: number, reason: number): Uint8Array {
  return version < MQTT_5 ? Uint8Array.of(0x20, 2, 0, UNACCEPTABLE_VERSION) : Uint8Array.of(0x20, 3, 0, reason, 0);
}

export function disconnectPacket(reason: number): Uint8Array {
  return Uint8Array.of(0xe0, 2, reason, 0);
}

/**
 * Adds to the CONNACK of aedes, which has no option for it, what the broker does not offer: QoS 2, and for a device a session that
 * outlives its connection. What else goes out stays as it is.
 */
export class ConnackNotes {
  readonly #isHub: () => boolean;
  #held: Buffer | undefined = Buffer.alloc(0);

  /** @param isHub asked with the CONNACK */
  constructor(isHub: () => boolean) {
    this.#isHub = isHub;
  }

  /** Whether the CONNACK went out. */
  get isSent(): boolean {
    return this.#held === undefined;
  }

  note(bytes: Buffer): Buffer {
    if (this.#held === undefined) return bytes;
    const held = Buffer.concat([this.#held, bytes]);
    const length = held[1] ?? ONE_BYTE;
    if (held.length < 2 || held.length < 2 + length) {
      this.#held = held;
      return Buffer.alloc(0);
    }
    this.#held = undefined;
    return noted(held, this.#isHub() ? MAXIMUM_QOS_1 : [...MAXIMUM_QOS_1, ...NO_SESSION]);
  }
}

function noted(bytes: Buffer, notes: readonly number[]): Buffer {
  const [first = 0, length = 0, , reason, properties] = bytes;
  const isSuccess = first >> 4 === PACKET.CONNACK && reason === 0 && properties !== undefined;
  if (!isSuccess || length + notes.length > ONE_BYTE) return bytes;
  const changed = Buffer.concat([bytes.subarray(0, 5), Uint8Array.from(notes), bytes.subarray(5)]);
  changed[1] = length + notes.length;
  changed[4] = properties + notes.length;
  return changed;
}

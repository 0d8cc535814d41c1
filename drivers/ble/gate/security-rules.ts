import { breach, type Verdict } from './verdict.ts';

const CODE = {
  pairingRequest: 0x01,
  pairingResponse: 0x02,
  pairingConfirm: 0x03,
  pairingRandom: 0x04,
  pairingFailed: 0x05,
  encryptionInformation: 0x06,
  centralIdentification: 0x07,
  securityRequest: 0x0b,
} as const;

/** Bytes of each packet, its code included (Core 5.4, Vol 3 Part H §3.5 and §3.6). */
const BYTES: ReadonlyMap<number, number> = new Map([
  [CODE.pairingRequest, 7],
  [CODE.pairingResponse, 7],
  [CODE.pairingConfirm, 17],
  [CODE.pairingRandom, 17],
  [CODE.pairingFailed, 2],
  [CODE.encryptionInformation, 17],
  [CODE.centralIdentification, 11],
  [0x08, 17], // Identity Information
  [0x09, 8], // Identity Address Information
  [0x0a, 17], // Signing Information
  [CODE.securityRequest, 2],
  [0x0c, 65], // Pairing Public Key
  [0x0d, 17], // Pairing DHKey Check
  [0x0e, 2], // Keypress Notification
]);

/** What noble waits for in a pairing, in this order; it sends its own part after each. */
const ORDER: readonly number[] = [CODE.pairingResponse, CODE.pairingConfirm, CODE.pairingRandom];

/** Keys that a peer may hand out once a pairing is over; noble reads the first two. */
const KEYS: ReadonlySet<number> = new Set([0x06, 0x07, 0x08, 0x09, 0x0a]);
const KEYS_READ: ReadonlySet<number> = new Set([CODE.encryptionInformation, CODE.centralIdentification]);

/**
 * The security manager of one link. The hub pairs with no device by itself; noble does where a device refuses an attribute
 * for want of it, and takes each packet for the one that it waits for.
 */
export class SecurityRules {
  /** Place in `ORDER`; undefined while there is no pairing. */
  #awaited: number | undefined;
  #isEncrypting = false;

  sent(packet: Buffer): void {
    if (packet[0] === CODE.pairingRequest) this.#awaited = 0;
  }

  /** Whether the link may have become encrypted now: noble goes on with what was refused, and takes it to be there. */
  encrypted(): boolean {
    const may = this.#isEncrypting;
    this.#isEncrypting = false;
    return may;
  }

  judge(packet: Buffer): Verdict {
    const code = packet[0] ?? 0;
    const bytes = BYTES.get(code);
    // A code that is reserved is passed over (Vol 3 Part H §3.3).
    if (packet.length > 0 && bytes === undefined) return 'drop';
    if (packet.length !== bytes) return breach('smp', code, 'length');
    if (code === CODE.securityRequest) return 'drop';
    const isOver = this.#awaited === ORDER.length;
    if (code === CODE.pairingFailed && this.#awaited !== undefined) {
      this.#awaited = undefined;
      return 'pass';
    }
    if (isOver && KEYS.has(code)) return KEYS_READ.has(code) ? 'pass' : 'drop';
    if (this.#awaited === undefined || code !== ORDER[this.#awaited]) return breach('smp', code, 'not asked for');
    this.#awaited += 1;
    if (this.#awaited === ORDER.length) this.#isEncrypting = true;
    return 'pass';
  }
}

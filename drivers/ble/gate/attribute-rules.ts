import { LIMITS } from '../../../src/core/limits.ts';
import { LEAST_MTU } from '../ble-settings.ts';
import { areFoundEntries, areGroupEntries, areInformationEntries, areTypeEntries } from './attribute-entries.ts';
import { breach, type Verdict } from './verdict.ts';

const ERROR = 0x01;
const MTU_REQUEST = 0x02;
const MTU_RESPONSE = 0x03;
const INDICATION = 0x1d;
const CONFIRMATION = 0x1e;
/** Bit of an opcode: a command, which has no answer (Core 5.4, Vol 3 Part F §3.3.1). */
const COMMAND_FLAG = 0x40;

interface Rule {
  /**
   * Where it has its place: a response behind the request of this opcode, 0 for an error, which answers any; a request, to
   * which noble says that nothing is served here; a notification; an indication, one at a time; nowhere.
   */
  readonly place: { readonly answers: number } | 'request' | 'notification' | 'indication' | 'nowhere';
  /** Least bytes with the opcode; most are the MTU. */
  readonly least: number;
  readonly most?: number;
  /** Of a request, what has to hold besides; of a response, what with the request that it answers. */
  readonly fits?: (pdu: Buffer, request: Buffer) => boolean;
}

const saysMtu = (pdu: Buffer) => pdu.readUInt16LE(1) >= LEAST_MTU;
/** A value has 512 bytes at most (§3.2.9); noble reads on for as long as an answer fills the MTU. */
const endsInTime = (offset: number) => (pdu: Buffer) => offset + pdu.length - 1 <= LIMITS.gattValueBytes;
const repeats = (pdu: Buffer, request: Buffer) => pdu.subarray(1).equals(request.subarray(1));

/** What a peer may send, by opcode (Core 5.4, Vol 3 Part F §3.4.8). */
const RULES: ReadonlyMap<number, Rule> = new Map<number, Rule>([
  [ERROR, { place: { answers: 0 }, least: 5, most: 5, fits: (pdu, request) => pdu[1] === request[0] }],
  [MTU_REQUEST, { place: 'request', least: 3, most: 3, fits: saysMtu }],
  [MTU_RESPONSE, { place: { answers: MTU_REQUEST }, least: 3, most: 3, fits: saysMtu }],
  [0x04, { place: 'request', least: 5, most: 5 }],
  [0x05, { place: { answers: 0x04 }, least: 6, fits: areInformationEntries }],
  [0x06, { place: 'request', least: 7 }],
  [0x07, { place: { answers: 0x06 }, least: 5, fits: areFoundEntries }],
  [0x08, { place: 'request', least: 7, most: 21 }],
  [0x09, { place: { answers: 0x08 }, least: 4, fits: areTypeEntries }],
  [0x0a, { place: 'request', least: 3, most: 3 }],
  [0x0b, { place: { answers: 0x0a }, least: 1, fits: endsInTime(0) }],
  [0x0c, { place: 'request', least: 5, most: 5 }],
  [0x0d, { place: { answers: 0x0c }, least: 1, fits: (pdu, request) => endsInTime(request.readUInt16LE(3))(pdu) }],
  [0x0e, { place: 'request', least: 5 }],
  [0x0f, { place: { answers: 0x0e }, least: 1 }],
  [0x10, { place: 'request', least: 7, most: 21 }],
  [0x11, { place: { answers: 0x10 }, least: 8, fits: areGroupEntries }],
  [0x12, { place: 'request', least: 3 }],
  [0x13, { place: { answers: 0x12 }, least: 1, most: 1 }],
  [0x16, { place: 'request', least: 5 }],
  [0x17, { place: { answers: 0x16 }, least: 5, fits: repeats }],
  [0x18, { place: 'request', least: 2, most: 2 }],
  [0x19, { place: { answers: 0x18 }, least: 1, most: 1 }],
  [0x1b, { place: 'notification', least: 3 }],
  [INDICATION, { place: 'indication', least: 3 }],
  // The hub indicates nothing, and does not ask peers for several values at once.
  [CONFIRMATION, { place: 'nowhere', least: 1, most: 1 }],
  [0x20, { place: 'request', least: 5 }],
  [0x21, { place: { answers: 0x20 }, least: 1 }],
  [0x23, { place: 'nowhere', least: 1 }],
]);

/** Opcodes of requests: what noble sends of them waits for its answer. */
const REQUESTS: ReadonlySet<number> = new Set(
  [...RULES].flatMap(([opcode, { place }]) => (place === 'request' ? [opcode] : [])),
);

/** An opcode that the specification does not have yet. One that is even asks something, and noble says that it is unknown. */
const UNKNOWN = { request: { place: 'request', least: 1 }, answer: { place: 'nowhere', least: 1 } } as const;

/**
 * The Attribute Protocol on one link, where the hub is the client: each side has one request under way (§3.3.2). noble takes
 * whatever comes for the answer that it waits for, and reads it as such.
 */
export class AttributeRules {
  #mtu = LEAST_MTU;
  /** The request that waits for its answer, as noble sent it. */
  #request: Buffer | undefined;
  #isUnconfirmed = false;
  /** The MTU that the peer asked for. */
  #theirMtu = LEAST_MTU;
  #requestsOfPeer = 0;

  sent(pdu: Buffer): void {
    const opcode = pdu[0] ?? 0;
    if (opcode === CONFIRMATION) this.#isUnconfirmed = false;
    else if (opcode === MTU_RESPONSE && pdu.length === 3) this.#agree(this.#theirMtu, pdu.readUInt16LE(1));
    else if (REQUESTS.has(opcode)) this.#request = Buffer.from(pdu);
  }

  judge(pdu: Buffer): Verdict {
    const opcode = pdu[0];
    if (opcode === undefined) return breach('att', 0, 'length');
    const rule = RULES.get(opcode) ?? (opcode % 2 === 0 ? UNKNOWN.request : UNKNOWN.answer);
    const { least, most = this.#mtu } = rule as Rule;
    if ((opcode & COMMAND_FLAG) !== 0) return pdu.length <= this.#mtu ? 'drop' : breach('att', opcode, 'length');
    if (pdu.length < least || pdu.length > most) return breach('att', opcode, 'length');
    return this.#place(opcode, pdu, rule);
  }

  #place(opcode: number, pdu: Buffer, { fits, place }: Rule): Verdict {
    if (place === 'nowhere') return breach('att', opcode, 'not asked for');
    if (place === 'notification') return 'pass';
    if (place === 'indication') {
      if (this.#isUnconfirmed) return breach('att', opcode, 'the one before is not confirmed');
      this.#isUnconfirmed = true;
      return 'pass';
    }
    if (place === 'request') {
      this.#requestsOfPeer += 1;
      if (this.#requestsOfPeer > LIMITS.bleStrayRequests) return breach('att', opcode, 'too many requests');
      if (fits?.(pdu, pdu) === false) return breach('att', opcode, 'value');
      if (opcode === MTU_REQUEST) this.#theirMtu = pdu.readUInt16LE(1);
      return 'pass';
    }
    const request = this.#request;
    if (request === undefined || (place.answers !== 0 && request[0] !== place.answers))
      return breach('att', opcode, 'not asked for');
    if (fits?.(pdu, request) === false) return breach('att', opcode, 'value');
    // noble may send the next request while it takes this answer.
    this.#request = undefined;
    if (opcode === MTU_RESPONSE) this.#agree(request.readUInt16LE(1), pdu.readUInt16LE(1));
    return 'pass';
  }

  /** The smaller one counts (§3.4.2.2); both sides may ask, and what was agreed on stays. */
  #agree(ours: number, theirs: number): void {
    this.#mtu = Math.max(this.#mtu, Math.min(ours, theirs));
  }
}

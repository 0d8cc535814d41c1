/** Holds records against the chain that they should make: removed, altered and reordered ones show. */
import { base64url, equal, sha256 } from '../core/bytes.ts';
import type { AuditFault } from '../ports/admin.ts';
import type { AuditHead } from '../ports/audit.ts';
import { type ChainedRecord, chainHash } from './audit-record.ts';

/** Faults that are named; a chain that is broken everywhere is not told of record by record. */
const NAMED_FAULTS = 32;

export class ChainCheck {
  readonly #pin: AuditHead | undefined;
  readonly faults: AuditFault[] = [];
  /** Records that were looked at. */
  records = 0;
  #at: AuditHead;
  #pinState: 'gone' | 'ahead' | 'met';

  /**
   * @param from what the first record must follow on
   * @param pin a head that was noted elsewhere, which the chain must pass through
   */
  constructor(from: AuditHead, pin?: AuditHead) {
    this.#at = from;
    this.#pin = pin;
    this.#pinState = pin === undefined ? 'met' : pin.sequence < from.sequence ? 'gone' : 'ahead';
    this.#meetPin();
  }

  /** Where the chain has come to: the number and the hash that stand at the last record. */
  get head(): AuditHead {
    return this.#at;
  }

  next({ record: { sequence }, bytes, hash }: ChainedRecord): void {
    this.records += 1;
    const expected = this.#at.sequence + 1;
    if (sequence < expected) {
      this.#find(sequence, 'out_of_order');
      return;
    }
    if (sequence > expected) this.#find(expected, 'missing', sequence - 1);
    else if (!equal(chainHash(this.#at.hash, bytes), hash)) this.#find(sequence, 'altered');
    // On from what stands there, so that one altered record shows as one.
    this.#at = { sequence, hash };
    this.#meetPin();
  }

  /** @param first number that the first of them should have */
  unreadable(first: number): void {
    this.#find(first, 'unreadable');
  }

  /** Holds a signed answer against the record that names it. @param digest as in the record */
  evidence(digest: string, answer: Uint8Array | string): void {
    if (base64url(sha256(answer)) !== digest) this.#find(this.#at.sequence, 'evidence_altered');
  }

  /** @param head where the chain should end */
  finish(head: AuditHead): void {
    if (this.#at.sequence < head.sequence) this.#find(this.#at.sequence + 1, 'missing', head.sequence);
    else if (this.#at.sequence > head.sequence) this.#find(head.sequence + 1, 'out_of_order');
    else if (!equal(this.#at.hash, head.hash)) this.#find(head.sequence, 'altered');
    if (this.#pin !== undefined && this.#pinState !== 'met')
      this.#find(this.#pin.sequence, this.#pinState === 'gone' ? 'pin_dropped' : 'pin_missing');
  }

  #meetPin(): void {
    const pin = this.#pin;
    if (pin === undefined || this.#pinState !== 'ahead' || pin.sequence !== this.#at.sequence) return;
    this.#pinState = 'met';
    if (!equal(pin.hash, this.#at.hash)) this.#find(pin.sequence, 'pin_differs');
  }

  #find(sequence: number, fault: AuditFault['fault'], through?: number): void {
    if (this.faults.length < NAMED_FAULTS)
      this.faults.push({ sequence, fault, ...(through === undefined || through === sequence ? {} : { through }) });
  }
}

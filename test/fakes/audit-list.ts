import type { Audit, AuditEntry } from '../../src/ports/audit.ts';

/** An audit that keeps its entries for a test to read. */
export class AuditList implements Audit {
  readonly entries: AuditEntry[] = [];

  record(entry: AuditEntry): void {
    this.entries.push(entry);
  }
}

/**
 * Reports of advertisements. noble reads them one behind the other, as controllers write them, and looks at the fields of
 * the data without asking whether they are there.
 */

/** Bytes of one report before its data, and behind it; most bytes of data (Core 5.4, Vol 4 Part E §7.7.65.2, .13). */
const LEGACY = { before: 9, behind: 1, most: 31 } as const;
const EXTENDED = { before: 24, behind: 0, most: 229 } as const;

/** Length of a field of which noble reads a number: its type, and that number (Supplement to the Core, Part A §1.5). */
const FIELD_BYTES: ReadonlyMap<number, number> = new Map([[0x0a, 2]]);

/** Why a report cannot be read; undefined where it can. @param reports the subevent's parameters from the count on */
export function reportFault(reports: Buffer, kind: 'legacy' | 'extended'): string | undefined {
  const { before, behind, most } = kind === 'legacy' ? LEGACY : EXTENDED;
  const count = reports[0] ?? 0;
  if (count === 0) return 'count';
  let at = 1;
  for (let report = 0; report < count; report += 1) {
    if (at + before > reports.length) return 'length';
    const length = reports.readUInt8(at + before - 1);
    const data = reports.subarray(at + before, at + before + length);
    at += before + length + behind;
    if (length > most || at > reports.length) return 'length of the data';
    if (!areFieldsWhole(data)) return 'field of the data';
  }
  return at === reports.length ? undefined : 'length';
}

/** Fields are a length, a type and a value; a length of 0 ends them early (Core 5.4, Vol 3 Part C §11). */
function areFieldsWhole(data: Buffer): boolean {
  let at = 0;
  while (at < data.length) {
    const length = data.readUInt8(at);
    if (length === 0) return true;
    if (at + 1 + length > data.length) return false;
    const least = FIELD_BYTES.get(data.readUInt8(at + 1));
    if (least !== undefined && length < least) return false;
    at += 1 + length;
  }
  return true;
}

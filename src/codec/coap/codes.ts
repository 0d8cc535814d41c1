/** CoAP codes as text and back: RFC 7252 §3 writes class (3 bits) and detail (5 bits) as `c.dd`. */

/** 0x45 → "2.05". */
export function codeText(code: number): string {
  return `${code >> 5}.${String(code & 0x1f).padStart(2, '0')}`;
}

/** "2.05" → 0x45. For codes written in this program, so a wrong text is a defect, not input. */
export function codeNumber(text: string): number {
  const match = /^([0-7])\.([0-2][0-9]|3[01])$/.exec(text);
  if (match === null) throw new RangeError(`not a CoAP code: ${text}`);
  return (Number(match[1]) << 5) | Number(match[2]);
}

/** Class 2 (RFC 7252 §5.9.1). */
export function isSuccess(code: number): boolean {
  return code >> 5 === 2;
}

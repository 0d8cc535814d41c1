/** CoAP methods by name, for permissions: bit (code − 1) of RFC 9237 §3. */
import { COAP_METHOD } from '../codec/iana.ts';
import { LatchkeyError } from '../core/errors.ts';

/** @throws {LatchkeyError} `usage` */
export function methodBit(name: string): number {
  const code = Object.entries(COAP_METHOD).find(([known]) => known.toUpperCase() === name.toUpperCase())?.[1];
  if (code === undefined)
    throw new LatchkeyError(
      'usage',
      `"${name}" is not a CoAP method; there are ${Object.keys(COAP_METHOD).join(', ')}`,
    );
  return 1 << (code - 1);
}

export function methodNames(set: number): string {
  return Object.entries(COAP_METHOD)
    .filter(([, code]) => (set & (1 << (code - 1))) !== 0)
    .map(([name]) => name)
    .join(',');
}

/**
 * Base 32 as Douglas Crockford describes it (https://www.crockford.com/base32.html): a number in symbols that people do not
 * mistake for one another, with a check symbol that shows any one wrong symbol and any two that changed places.
 */

const BITS = 5n;
const SYMBOLS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
/** The rest modulo 37, the least prime past 32, needs five more symbols. */
const CHECK_SYMBOLS = `${SYMBOLS}*~$=U`;
/** What stands for the same symbol when a person reads it. */
const ALIKE: Readonly<Record<string, string>> = { I: '1', L: '1', O: '0' };

/** Symbols for a number of `bytes` bytes: 26 for 16. */
export function crockfordLength(bytes: number): number {
  return Math.ceil((bytes * 8) / Number(BITS));
}

/** The bytes as one big-endian number, with zero bits in front up to a whole symbol. */
export function encodeCrockford(bytes: Uint8Array): string {
  let number = unsigned(bytes);
  let text = '';
  for (let left = crockfordLength(bytes.length); left > 0; left--) {
    text = `${SYMBOLS[Number(number % 32n)]}${text}`;
    number /= 32n;
  }
  return text;
}

/** Undefined for another length, a foreign symbol, or a number that does not fit into so many bytes. */
export function decodeCrockford(text: string, length: number): Uint8Array | undefined {
  if (text.length !== crockfordLength(length)) return undefined;
  let number = 0n;
  for (const character of text) {
    const value = SYMBOLS.indexOf(normal(character));
    if (value < 0) return undefined;
    number = number * 32n + BigInt(value);
  }
  if (number >> BigInt(length * 8) !== 0n) return undefined;
  const bytes = new Uint8Array(length);
  for (let index = length - 1; index >= 0; index--, number >>= 8n) bytes[index] = Number(number & 0xffn);
  return bytes;
}

export function crockfordCheck(bytes: Uint8Array): string {
  return CHECK_SYMBOLS.charAt(Number(unsigned(bytes) % BigInt(CHECK_SYMBOLS.length)));
}

export function isCrockfordCheck(symbol: string, bytes: Uint8Array): boolean {
  return symbol.length === 1 && normal(symbol) === crockfordCheck(bytes);
}

function normal(character: string): string {
  const upper = character.toUpperCase();
  return ALIKE[upper] ?? upper;
}

function unsigned(bytes: Uint8Array): bigint {
  let number = 0n;
  for (const byte of bytes) number = (number << 8n) | BigInt(byte);
  return number;
}

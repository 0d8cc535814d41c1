import { LatchkeyError } from '../core/errors.ts';

/** @throws {LatchkeyError} `usage` unless the text is a whole number from 1 to `most` */
export function countOption(option: string, text: string, most: number): number {
  const count = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (count < 1 || count > most) throw new LatchkeyError('usage', `${option} must be from 1 to ${most}`);
  return count;
}

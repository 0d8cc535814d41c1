import { LatchkeyError } from '../core/errors.ts';

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60 };

/** Whole seconds, of text such as "90s" or "2m". @throws {LatchkeyError} `usage` past `most` seconds */
export function secondsOption(option: string, text: string, most: number): number {
  const [, count, unit = 's'] = /^(\d{1,6})([sm])?$/.exec(text) ?? [];
  const seconds = Number(count) * (SECONDS[unit] ?? Number.NaN);
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > most)
    throw new LatchkeyError('usage', `${option} "${text}" is not a time such as 90s or 2m, up to ${most / 60}m`);
  return seconds;
}

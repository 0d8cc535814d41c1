import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';

const PATH = '/proc/sys/kernel/random/boot_id';

/**
 * Names this boot of the machine. Where the kernel does not say (no Linux, or no `/proc`), every start of the process counts
 * as a boot: what is held against the last one is then checked more strictly than it needs to be.
 */
export function bootId(path = PATH): string {
  try {
    const text = readFileSync(path, 'utf8').trim();
    return text === '' ? randomUUID() : text;
  } catch {
    return randomUUID();
  }
}

import { constants } from 'node:fs';
import { access, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isCoded, LatchkeyError } from '../../src/core/errors.ts';

/** What the system says of its adapters, for tests to stand in for. */
export interface SystemFolders {
  /** As /sys. */
  readonly sys: string;
  /** As /proc. */
  readonly proc: string;
}

const SYSTEM: SystemFolders = { sys: '/sys', proc: '/proc' };

/** Bit of CAP_NET_RAW in a capability set (linux/capability.h): to send commands to an adapter that all may share. */
const CAP_NET_RAW = 13n;

/**
 * Refuses an adapter that cannot work, with the reason; noble knows one state for all of them, and asking it already opens
 * the adapter.
 * @param adapter `auto`, `hciN`, or the path of a serial port
 * @throws {LatchkeyError} `radio_missing`, `radio_blocked`, `radio_permission`
 */
export async function refuseUnusable(adapter: string, folders: SystemFolders = SYSTEM): Promise<void> {
  if (adapter.startsWith('/')) return refuseInaccessible(adapter);
  const adapters = await entries(join(folders.sys, 'class/bluetooth'));
  const found = adapters.filter((name) => (adapter === 'auto' ? /^hci\d+$/.test(name) : name === adapter));
  if (found.length === 0) {
    const others = adapters.filter((name) => /^hci\d+$/.test(name));
    throw new LatchkeyError(
      'radio_missing',
      others.length === 0 ? adapter : `${adapter}; there is ${others.join(', ')}`,
    );
  }
  if (await isBlocked(folders.sys, found)) throw new LatchkeyError('radio_blocked', found.join(', '));
  if (!(await mayUse(folders.proc))) throw new LatchkeyError('radio_permission', 'CAP_NET_RAW is missing');
}

/** Adapters of the system that can be used, by their names. */
export async function usableAdapters(folders: SystemFolders = SYSTEM): Promise<readonly string[]> {
  const usable: string[] = [];
  for (const name of await entries(join(folders.sys, 'class/bluetooth'))) {
    if (!/^hci\d+$/.test(name)) continue;
    try {
      await refuseUnusable(name, folders);
      usable.push(name);
    } catch (error) {
      if (!isCoded(error)) throw error;
    }
  }
  return usable;
}

async function refuseInaccessible(path: string): Promise<void> {
  try {
    await access(path, constants.R_OK | constants.W_OK);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    const forbidden = code === 'EACCES' || code === 'EPERM';
    throw new LatchkeyError(forbidden ? 'radio_permission' : 'radio_missing', `${path}: ${code}`, { cause: error });
  }
}

/** Whether each of them is switched off by a key or by software: rfkill(8). */
async function isBlocked(sys: string, adapters: readonly string[]): Promise<boolean> {
  const blocked = new Set<string>();
  for (const entry of await entries(join(sys, 'class/rfkill'))) {
    const folder = join(sys, 'class/rfkill', entry);
    if ((await text(join(folder, 'type'))) !== 'bluetooth') continue;
    const states = await Promise.all(['soft', 'hard'].map((kind) => text(join(folder, kind))));
    if (states.includes('1')) blocked.add((await text(join(folder, 'name'))) ?? '');
  }
  return adapters.every((name) => blocked.has(name));
}

/** Where that cannot be read, the adapter will say it. */
async function mayUse(proc: string): Promise<boolean> {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec((await text(join(proc, 'self/status'))) ?? '')?.[1];
  return effective === undefined || ((BigInt(`0x${effective}`) >> CAP_NET_RAW) & 1n) === 1n;
}

async function entries(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch {
    // A kernel without Bluetooth, or without rfkill, has no such folder.
    return [];
  }
}

async function text(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch {
    return undefined;
  }
}

/**
 * What LevelDB's own repair leaves behind: it keeps a table that has an entry whose key cannot be read, and then refuses to
 * read past it at every start. Here the entries that can be read are written into new tables.
 */
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ClassicLevel, type Iterator } from 'classic-level';
import { TEMPORARY } from './leftovers.ts';
import { translated } from './store-errors.ts';

const BINARY = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const;
/** Entries of one batch of the new database. */
const BATCH = 256;
/** Files of LevelDB that hold or name data. The lock stays: it is held meanwhile. */
const DATA = /^(CURRENT|MANIFEST-\d+|\d+\.(ldb|sst|log))$/;

type Level = ClassicLevel<Buffer, Buffer>;

/**
 * Reads the whole database, and writes it anew where an entry cannot be read.
 * @param folder of a database that no process has open; copies of it are made beside it
 * @returns whether it was written anew
 * @throws {LatchkeyError} `store_corrupt` where it cannot be opened, `disk_full`
 */
export async function rewriteWhereUnreadable(folder: string): Promise<boolean> {
  const place = mkdtempSync(join(dirname(folder), TEMPORARY));
  const [copy, fresh] = [join(place, 'copy'), join(place, 'fresh')];
  try {
    // In a copy: to open a database takes its lock, and writes to it.
    copyData(folder, copy);
    const from: Level = new ClassicLevel(copy, BINARY);
    const to: Level = new ClassicLevel(fresh, BINARY);
    await translated(() => from.open({ createIfMissing: false }));
    let isWhole: boolean;
    try {
      await translated(() => to.open());
      isWhole = await copyEntries(from, to);
    } finally {
      await from.close();
      await to.close();
    }
    if (isWhole) return false;
    for (const name of readdirSync(folder)) if (DATA.test(name)) rmSync(join(folder, name));
    copyData(fresh, folder);
    return true;
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

/** @returns whether all entries could be read */
async function copyEntries(from: Level, to: Level): Promise<boolean> {
  const iterator = from.iterator();
  let batch: { readonly type: 'put'; readonly key: Buffer; readonly value: Buffer }[] = [];
  const write = async () => {
    await translated(() => to.batch(batch));
    batch = [];
  };
  try {
    for (;;) {
      // One at a time: LevelDB goes on past what it cannot read, tells of it at the end, and then drops what was read with it.
      const entry = await next(iterator);
      if (entry === undefined || entry === 'unreadable') {
        await write();
        return entry === undefined;
      }
      const [key, value] = entry;
      batch.push({ type: 'put', key, value });
      if (batch.length >= BATCH) await write();
    }
  } finally {
    await iterator.close();
  }
}

async function next(iterator: Iterator<Level, Buffer, Buffer>): Promise<[Buffer, Buffer] | 'unreadable' | undefined> {
  try {
    const [entry] = await iterator.nextv(1);
    return entry;
  } catch {
    // Whatever it is that LevelDB says of it: the files lie aside as they were.
    return 'unreadable';
  }
}

function copyData(from: string, to: string): void {
  cpSync(from, to, { recursive: true, filter: (path) => path === from || DATA.test(path.slice(from.length + 1)) });
}

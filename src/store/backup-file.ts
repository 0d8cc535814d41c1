/**
 * A backup: JSON lines. The first one names format and version, then comes every entry of both databases as it is outside of
 * the files (so it holds keys in clear), and the last one has their number and the SHA-256 over all bytes before it.
 */
import { createHash } from 'node:crypto';
import { LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject } from '../core/json.ts';
import { VERSION } from '../core/version.ts';
import type { OpenState } from './open-state.ts';

const FORMAT = 'latchkey-backup-1';
/** Entries of the store itself: those of the files that the backup is restored into are made anew. */
const OWN = 'store/';
const DATABASES = ['state', 'audit'] as const;
/** Longest line: an entry of 1 MiB, which is far more than any. */
const LINE_BYTES = 1_572_864;

export interface BackupEntry {
  readonly database: (typeof DATABASES)[number];
  readonly key: string;
  readonly value: Uint8Array;
}

export interface BackupHead {
  readonly version: string;
  /** NumericDate. */
  readonly madeAt: number;
}

/** Each database as it is at one moment, whatever is written meanwhile. */
export async function* backupLines({ audit, store }: OpenState, madeAt: number): AsyncGenerator<string> {
  const hash = createHash('sha256');
  let entries = 0;
  const line = (value: JsonObject) => {
    const text = `${JSON.stringify(value)}\n`;
    hash.update(text);
    return text;
  };
  const entry = (database: string, [key, value]: readonly [string, Uint8Array]) => {
    entries += 1;
    return line({ in: database, key, value: Buffer.from(value).toString('base64') });
  };
  yield line({ format: FORMAT, version: VERSION, made_at: madeAt });
  // All at once: the keys of what is removed while this goes on are overwritten.
  for (const found of await store.list('')) if (!found[0].startsWith(OWN)) yield entry('state', found);
  for await (const found of audit.entries('')) if (!found[0].startsWith(OWN)) yield entry('audit', found);
  yield `${JSON.stringify({ entries, sha256: hash.digest('base64url') })}\n`;
}

/**
 * Reads a backup: first its head, then its entries. Only once it has ended was it whole.
 * @throws {LatchkeyError} `backup_invalid`
 */
export async function* readBackup(file: AsyncIterable<Uint8Array>): AsyncGenerator<BackupHead | BackupEntry> {
  const hash = createHash('sha256');
  let entries = -1;
  let isOver = false;
  for await (const line of linesOf(file)) {
    if (isOver) throw invalid('something follows on its end');
    const json = parse(line);
    if (typeof json.sha256 === 'string') {
      if (json.sha256 !== hash.digest('base64url')) throw invalid('its checksum differs');
      if (json.entries !== entries) throw invalid('entries are missing');
      isOver = true;
      continue;
    }
    hash.update(line);
    hash.update('\n');
    yield entries === -1 ? headOf(json) : entryOf(json);
    entries += 1;
  }
  if (!isOver) throw invalid('its end is missing');
}

async function* linesOf(file: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let rest = Buffer.alloc(0);
  for await (const chunk of file) {
    rest = Buffer.concat([rest, chunk]);
    for (let end = rest.indexOf(0x0a); end >= 0; end = rest.indexOf(0x0a)) {
      yield rest.subarray(0, end);
      rest = rest.subarray(end + 1);
    }
    if (rest.length > LINE_BYTES) throw invalid('a line is too long');
  }
  if (rest.length > 0) throw invalid('its end is missing');
}

function parse(line: Buffer): JsonObject {
  try {
    const json: unknown = JSON.parse(line.toString('utf8'));
    if (isJsonObject(json)) return json;
  } catch (error) {
    // What a parser says quotes what it read, and that holds keys.
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw invalid('a line is no JSON');
}

function headOf({ format, made_at: madeAt, version }: JsonObject): BackupHead {
  if (format !== FORMAT) throw invalid('it is of another format');
  if (typeof version !== 'string' || typeof madeAt !== 'number') throw invalid('its first line');
  return { version, madeAt };
}

function entryOf({ in: name, key, value }: JsonObject): BackupEntry {
  const database = DATABASES.find((each) => each === name);
  if (database === undefined || typeof key !== 'string' || typeof value !== 'string') throw invalid('an entry');
  const bytes = Buffer.from(value, 'base64');
  return { database, key, value: new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length) };
}

function invalid(detail: string): LatchkeyError {
  return new LatchkeyError('backup_invalid', detail);
}

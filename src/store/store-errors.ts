/** What LevelDB and the file system say, as errors of the catalogue. */
import type { ErrorCode } from '../core/error-catalogue.ts';
import { LatchkeyError } from '../core/errors.ts';

/** LevelDB hands on the words of strerror(3), not the number. */
const ERRNO_OF_WORDS: readonly (readonly [words: string, errno: string])[] = [
  ['No space left on device', 'ENOSPC'],
  ['Disk quota exceeded', 'EDQUOT'],
  ['Input/output error', 'EIO'],
  ['Read-only file system', 'EROFS'],
  ['Permission denied', 'EACCES'],
  ['Operation not permitted', 'EPERM'],
  ['Not a directory', 'ENOTDIR'],
  ['Is a directory', 'EISDIR'],
  ['No such file or directory', 'ENOENT'],
  ['Too many open files', 'EMFILE'],
];

/** What stands in the way where a database is opened: the folder, not what is in it. */
const UNWRITABLE: ReadonlySet<string> = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EISDIR']);
const FULL: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT']);
const OUT_OF_DESCRIPTORS: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE']);

/** A fault of the medium, or of what lies on it: opening the database again may help, now or later. */
export function isFault(error: unknown): error is LatchkeyError {
  return error instanceof LatchkeyError && FAULTS.has(error.code);
}

const FAULTS: ReadonlySet<ErrorCode> = new Set([
  'disk_full',
  'store_failing',
  'store_corrupt',
  'file_unwritable',
  'descriptors_exhausted',
] as const);

/** @throws {LatchkeyError} in place of what the operation throws */
export async function translated<T>(operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (cause) {
    throw cause instanceof LatchkeyError ? cause : storeError(cause);
  }
}

/** The library wraps what LevelDB said as the cause of what the call was; the innermost code tells. */
export function storeError(cause: unknown): LatchkeyError {
  for (let at = cause; at instanceof Error; at = at.cause) {
    const code = 'code' in at ? at.code : undefined;
    if (code === 'LEVEL_LOCKED') return new LatchkeyError('store_locked', undefined, { cause });
    if (code === 'LEVEL_CORRUPTION') return new LatchkeyError('store_corrupt', at.message, { cause });
    if (code === 'LEVEL_IO_ERROR') {
      const { message } = at;
      const errno = ERRNO_OF_WORDS.find(([words]) => message.endsWith(words))?.[1];
      return new LatchkeyError(codeOf(errno, 'store_failing'), `${message}${words(errno)}`, { cause });
    }
    if (typeof code === 'string' && 'syscall' in at) {
      const path = 'path' in at && typeof at.path === 'string' ? `${at.path} ` : '';
      return new LatchkeyError(codeOf(code, 'store_failing'), `${path}(${code})`, { cause });
    }
  }
  return new LatchkeyError('internal', undefined, { cause });
}

function words(errno: string | undefined): string {
  return errno === undefined ? '' : ` (${errno})`;
}

function codeOf(errno: string | undefined, otherwise: ErrorCode): ErrorCode {
  if (errno === undefined) return otherwise;
  if (FULL.has(errno)) return 'disk_full';
  if (UNWRITABLE.has(errno)) return 'file_unwritable';
  if (OUT_OF_DESCRIPTORS.has(errno)) return 'descriptors_exhausted';
  // LevelDB looks for files that it wrote itself.
  return errno === 'ENOENT' ? 'store_corrupt' : otherwise;
}

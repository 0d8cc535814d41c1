/** Subjects as the audit knows them: by a hash. Without the key it cannot be found by trying names. */
import { createHmac } from 'node:crypto';
import { base64url } from '../core/bytes.ts';
import { RecentMap } from '../core/recent-map.ts';
import type { Secret } from '../core/secret.ts';

/** Enough that no two subjects of one hub share a hash. */
const HASH_BYTES = 16;
/** Hashes that are remembered: making one is a third of the work on a record. */
const REMEMBERED = 1_024;
/** Longer names, in characters, are hashed anew each time, so that what is remembered stays small. */
const REMEMBERED_LENGTH = 256;

export class SubjectHashes {
  readonly #key: Secret<Uint8Array>;
  readonly #recent = new RecentMap<string, string>(REMEMBERED);

  /** @param key 32 bytes, of this hub alone */
  constructor(key: Secret<Uint8Array>) {
    this.#key = key;
  }

  /** HMAC-SHA-256 over the length of the issuer in characters, a space, the issuer and the subject; 16 bytes, base64url. */
  of(issuer: string, subject: string): string {
    const name = `${issuer.length} ${issuer}${subject}`;
    const known = this.#recent.get(name);
    if (known !== undefined) return known;
    const mac = createHmac('sha256', this.#key.expose()).update(name).digest();
    const made = base64url(mac.subarray(0, HASH_BYTES));
    if (name.length <= REMEMBERED_LENGTH) this.#recent.set(name, made);
    return made;
  }
}

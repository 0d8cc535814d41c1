/** One value under one key of a slot: AES-256-GCM, with the key of the store's entry as additional data. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { concat, utf8 } from '../core/bytes.ts';

/** Version of this form. No value that the hub writes begins with it: those are JSON. */
const FORM = 1;
const SLOT_BYTES = 4;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEAD_BYTES = 1 + SLOT_BYTES + NONCE_BYTES;
const CIPHER = 'aes-256-gcm';

/** The slot whose key opens the value; undefined for one that is not sealed. */
export function slotOfValue(value: Uint8Array): number | undefined {
  if (value[0] !== FORM || value.length < HEAD_BYTES + TAG_BYTES) return undefined;
  return new DataView(value.buffer, value.byteOffset).getUint32(1, true);
}

/** A key seals one value. The nonce is random all the same: files that were copied back may have a key used again. */
export function seal(entry: string, value: Uint8Array, slot: number, key: Uint8Array): Uint8Array {
  const head = new Uint8Array(HEAD_BYTES);
  head[0] = FORM;
  new DataView(head.buffer).setUint32(1, slot, true);
  const nonce = randomBytes(NONCE_BYTES);
  head.set(nonce, 1 + SLOT_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES }).setAAD(utf8(entry));
  return concat(head, cipher.update(value), cipher.final(), cipher.getAuthTag());
}

/** Undefined where none of the keys opens it. */
export function unseal(entry: string, value: Uint8Array, keys: readonly Uint8Array[]): Uint8Array | undefined {
  for (const key of keys) {
    const nonce = value.subarray(1 + SLOT_BYTES, HEAD_BYTES);
    const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES }).setAAD(utf8(entry));
    decipher.setAuthTag(value.subarray(value.length - TAG_BYTES));
    const opened = decipher.update(value.subarray(HEAD_BYTES, value.length - TAG_BYTES));
    try {
      decipher.final();
      return new Uint8Array(opened.buffer, opened.byteOffset, opened.length);
    } catch {
      // Another copy of the key may open it; the caller is told where none does.
    }
  }
  return undefined;
}

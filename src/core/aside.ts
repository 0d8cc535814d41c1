/** Verification on the threads that node keeps for such work (libuv's pool), which leaves its own to all else. */
import { type KeyObject, type VerifyKeyObjectInput, verify } from 'node:crypto';

/**
 * Whether `signature` is one over `data`: `verify` of node:crypto with a callback. The way there and back costs a tenth of an
 * ES256 verification, against all of it (bench/cached-verdicts.ts), so it is for what many peers ask for at once.
 * Bytes are copied when it is called. Never rejects for what a peer sent.
 */
export function verifyAside(
  algorithm: string | undefined,
  data: Uint8Array,
  key: KeyObject | VerifyKeyObjectInput,
  signature: Uint8Array,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    verify(algorithm, data, key, signature, (error, isGood) => {
      if (error === null) resolve(isGood);
      else reject(error);
    });
  });
}

/** Errors for devices that read no JSON: concise problem details (RFC 9290), `application/concise-problem-details+cbor`. */
import type { ErrorCode } from '../core/error-catalogue.ts';
import { isCoded, isErrorCode, type LatchkeyError } from '../core/errors.ts';
import { type CborKey, type CborMap, type CborValue, decodeCbor, encodeCbor, isCborMap } from './cbor.ts';
import { codeNumber } from './coap/codes.ts';

export const CONCISE_PROBLEM_TYPE = 'application/concise-problem-details+cbor';

/** RFC 9290 §2. */
const RESPONSE_CODE = -4;
/** A custom entry, named by a URI (RFC 9290 §3.2). */
const OURS = 'urn:latchkey:error';

/**
 * The CoAP code of the error, our stable `code`, and the `id` that finds the request in the log.
 * @param nonce for a device that is to ask again with it
 */
export function makeConciseProblem(error: LatchkeyError, id: string, nonce?: Uint8Array): Uint8Array {
  return encodeCbor(
    new Map<CborKey, CborValue>([
      [RESPONSE_CODE, codeNumber(error.entry.coap)],
      [
        OURS,
        new Map<CborKey, CborValue>([
          ['code', error.code],
          ['id', id],
          ...(nonce === undefined ? [] : [['nonce', nonce] as const]),
        ]),
      ],
    ]),
  );
}

/**
 * Our code in a problem. Nobody vouches for it: it came beside the answer that would have been sealed.
 * @returns undefined where there is none that is known
 */
export function readConciseProblem(bytes: Uint8Array): ErrorCode | undefined {
  const code = readOurs(bytes)?.get('code');
  return typeof code === 'string' && isErrorCode(code) ? code : undefined;
}

/** The nonce in a problem, which somebody on the way may have put there: it is good for nothing but to ask again. */
export function readProblemNonce(bytes: Uint8Array): Uint8Array | undefined {
  const nonce = readOurs(bytes)?.get('nonce');
  return nonce instanceof Uint8Array ? nonce : undefined;
}

function readOurs(bytes: Uint8Array): CborMap | undefined {
  try {
    const problem = decodeCbor(bytes);
    const ours = isCborMap(problem) ? problem.get(OURS) : undefined;
    return ours !== undefined && isCborMap(ours) ? ours : undefined;
  } catch (error) {
    if (!isCoded(error)) throw error;
    return undefined;
  }
}

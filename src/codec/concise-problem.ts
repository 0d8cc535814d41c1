/** Errors for devices that read no JSON: concise problem details (RFC 9290), `application/concise-problem-details+cbor`. */
import type { LatchkeyError } from '../core/errors.ts';
import { type CborKey, type CborValue, encodeCbor } from './cbor.ts';
import { codeNumber } from './coap/codes.ts';

export const CONCISE_PROBLEM_TYPE = 'application/concise-problem-details+cbor';

/** RFC 9290 §2. */
const RESPONSE_CODE = -4;
/** A custom entry, named by a URI (RFC 9290 §3.2). */
const OURS = 'urn:latchkey:error';

/** The CoAP code of the error, our stable `code`, and the `id` that finds the request in the log. */
export function makeConciseProblem(error: LatchkeyError, id: string): Uint8Array {
  return encodeCbor(
    new Map<CborKey, CborValue>([
      [RESPONSE_CODE, codeNumber(error.entry.coap)],
      [
        OURS,
        new Map<CborKey, CborValue>([
          ['code', error.code],
          ['id', id],
        ]),
      ],
    ]),
  );
}

/** A CoAP request and its answer, as everything above the wire sees them: no message ids, no tokens, no blocks. */
export interface CoapRequest {
  /** Method code, 0.01 GET = 1 … 0.05 FETCH = 5 (RFC 7252 §12.1.1, RFC 8132). */
  readonly method: number;
  /** Uri-Path segments, decoded. */
  readonly path: readonly string[];
  /** Uri-Query segments, decoded. */
  readonly query?: readonly string[];
  readonly contentFormat?: number;
  readonly accept?: number;
  readonly payload?: Uint8Array;
}

export interface CoapResponse {
  /** Response code as one byte, class in the upper 3 bits: 2.01 is 0x41. */
  readonly code: number;
  readonly contentFormat?: number;
  readonly payload: Uint8Array;
}

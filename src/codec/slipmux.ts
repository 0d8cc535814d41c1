import { LIMITS } from '../core/limits.ts';

/**
 * Slipmux (draft-bormann-t2trg-slipmux-04): CoAP messages and diagnostic text over one serial line, in SLIP frames
 * (RFC 1055), CoAP with the 16-bit frame check sequence of RFC 1662 appendix C. IP packets, the third kind of frame, are
 * not spoken here.
 */

const END = 0xc0;
const ESCAPE = 0xdb;
const ESCAPED_END = 0xdc;
const ESCAPED_ESCAPE = 0xdd;
const COAP_FRAME = 0xa9;
const DIAGNOSTIC_FRAME = 0x0a;
/** First byte, a CoAP message of at least its 4-byte header, and the frame check sequence. */
const SHORTEST_COAP_FRAME = 1 + 4 + 2;

const FCS_TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0x8408 : value >>> 1;
  return value;
});

/** FCS-16 over `bytes` as a number; the wire carries its low byte first (RFC 1662 appendix C.2). */
export function frameCheckSequence(bytes: Uint8Array): number {
  let fcs = 0xffff;
  for (const byte of bytes) fcs = (fcs >>> 8) ^ (FCS_TABLE[(fcs ^ byte) & 0xff] ?? 0);
  return fcs ^ 0xffff;
}

/** One CoAP message as a frame, with a delimiter before and after it (the draft's "Framing considerations"). */
export function encodeSlipmux(coap: Uint8Array): Uint8Array {
  const frame = new Uint8Array(1 + coap.length + 2);
  frame[0] = COAP_FRAME;
  frame.set(coap, 1);
  const fcs = frameCheckSequence(frame.subarray(0, 1 + coap.length));
  frame[frame.length - 2] = fcs & 0xff;
  frame[frame.length - 1] = fcs >>> 8;
  return encodeSlip(frame);
}

/** Text for people as a diagnostic frame. Only devices send these. */
export function encodeDiagnostic(text: Uint8Array): Uint8Array {
  const frame = new Uint8Array(1 + text.length);
  frame[0] = DIAGNOSTIC_FRAME;
  frame.set(text, 1);
  return encodeSlip(frame);
}

function encodeSlip(frame: Uint8Array): Uint8Array {
  let escapes = 0;
  for (const byte of frame) if (byte === END || byte === ESCAPE) escapes += 1;
  const out = new Uint8Array(frame.length + escapes + 2);
  let at = 0;
  out[at++] = END;
  for (const byte of frame) {
    if (byte === END || byte === ESCAPE) {
      out[at++] = ESCAPE;
      out[at++] = byte === END ? ESCAPED_END : ESCAPED_ESCAPE;
    } else {
      out[at++] = byte;
    }
  }
  out[at] = END;
  return out;
}

/**
 * Why received bytes were no frame for us: `checksum` (FCS wrong), `escape` (ESC followed by what is no escape),
 * `oversize` (longer than `LIMITS.slipFrameBytes`), `aborted` (ESC END: the sender gave the frame up), `foreign` (neither
 * CoAP nor diagnostic text: IP packets, noise, a boot loader's output).
 */
export type SlipmuxNoise = 'checksum' | 'escape' | 'oversize' | 'aborted' | 'foreign';

export interface SlipmuxSink {
  /** A CoAP message whose frame check sequence holds. The bytes belong to the receiver of the call. */
  onCoap(message: Uint8Array): void;
  /** A diagnostic text, at most `LIMITS.diagnosticBytes` of it, control characters and all: escape before showing. */
  onDiagnostic(text: string): void;
  /** Something was dropped; `bytes` counts it on the wire, without its delimiters. */
  onNoise(reason: SlipmuxNoise, bytes: number): void;
}

/**
 * Frames out of a stream cut anywhere. Holds at most one frame of `LIMITS.slipFrameBytes`, does work in proportion to
 * the bytes pushed, and is in step again after any END.
 */
export class SlipmuxDecoder {
  readonly #frame = new Uint8Array(LIMITS.slipFrameBytes);
  #length = 0;
  #wireBytes = 0;
  #escaping = false;
  #fault: 'escape' | 'oversize' | undefined;

  /** Bytes of an unfinished frame that are held now. */
  get pending(): number {
    return this.#length;
  }

  push(chunk: Uint8Array, sink: SlipmuxSink): void {
    for (const byte of chunk) {
      if (byte === END) {
        this.#finish(sink);
        continue;
      }
      this.#wireBytes += 1;
      if (this.#escaping) {
        this.#escaping = false;
        if (byte === ESCAPED_END) this.#append(END);
        else if (byte === ESCAPED_ESCAPE) this.#append(ESCAPE);
        else this.#fault ??= 'escape';
      } else if (byte === ESCAPE) {
        this.#escaping = true;
      } else {
        this.#append(byte);
      }
    }
  }

  /** Forgets a frame begun, as when the line was opened anew. */
  reset(): void {
    this.#length = 0;
    this.#wireBytes = 0;
    this.#escaping = false;
    this.#fault = undefined;
  }

  #append(byte: number): void {
    if (this.#length === this.#frame.length) {
      this.#fault ??= 'oversize';
      return;
    }
    this.#frame[this.#length] = byte;
    this.#length += 1;
  }

  #finish(sink: SlipmuxSink): void {
    const frame = this.#frame.subarray(0, this.#length);
    const wireBytes = this.#wireBytes;
    const aborted = this.#escaping;
    const fault = this.#fault;
    this.reset();
    if (wireBytes === 0) return;
    if (aborted) {
      sink.onNoise('aborted', wireBytes);
    } else if (fault === 'escape') {
      sink.onNoise(fault, wireBytes);
    } else if (frame[0] === DIAGNOSTIC_FRAME) {
      const text = diagnosticText(frame.subarray(1));
      if (text === undefined) sink.onNoise('foreign', wireBytes);
      else sink.onDiagnostic(text);
    } else if (fault === 'oversize') {
      sink.onNoise(fault, wireBytes);
    } else if (frame[0] !== COAP_FRAME) {
      sink.onNoise('foreign', wireBytes);
    } else if (frame.length < SHORTEST_COAP_FRAME || !holds(frame)) {
      sink.onNoise('checksum', wireBytes);
    } else {
      sink.onCoap(frame.slice(1, -2));
    }
  }
}

/**
 * The text of a diagnostic frame, or undefined where it is not UTF-8. These frames carry no checksum, so the rest of a
 * CoAP frame that noise cut in two can look like one; being strict keeps bytes of a message out of the log.
 */
function diagnosticText(bytes: Uint8Array): string | undefined {
  try {
    // As a stream, so that the limit may cut a character in two.
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true }).slice(0, LIMITS.diagnosticBytes);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

function holds(frame: Uint8Array): boolean {
  const fcs = frameCheckSequence(frame.subarray(0, -2));
  return frame.at(-2) === (fcs & 0xff) && frame.at(-1) === fcs >>> 8;
}

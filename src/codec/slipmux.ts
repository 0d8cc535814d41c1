import { fromUtf8 } from '../core/bytes.ts';
import { LIMITS } from '../core/limits.ts';
import { frameCheckSequence, GOOD_RESIDUE } from './frame-check-sequence.ts';

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

/** One CoAP message as a frame, with a delimiter before and after it (the draft's "Framing considerations"). */
export function encodeSlipmux(coap: Uint8Array): Uint8Array {
  const frame = new Uint8Array(1 + coap.length + 2);
  frame[0] = COAP_FRAME;
  frame.set(coap, 1);
  const fcs = frameCheckSequence(frame, 1 + coap.length);
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
  /** A frame was dropped. */
  onNoise(reason: SlipmuxNoise): void;
}

/**
 * Frames out of a stream cut anywhere. Holds at most one frame of `LIMITS.slipFrameBytes`, does work in proportion to
 * the bytes pushed, and is in step again after any END. A frame without an end is noise once for each such length.
 */
export class SlipmuxDecoder {
  readonly #frame = new Uint8Array(LIMITS.slipFrameBytes);
  #length = 0;
  #escaping = false;
  /** Bytes of a worthless frame that were passed over, since they were last told of. */
  #passedOver = 0;
  /** Known as soon as it is certain; the rest of the frame is then passed over unseen. */
  #fault: 'escape' | 'oversize' | 'foreign' | undefined;

  /** Bytes of an unfinished frame that are held now. */
  get pending(): number {
    return this.#length;
  }

  push(chunk: Uint8Array, sink: SlipmuxSink): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#fault !== undefined) at = this.#passOver(chunk, at, sink);
      else at = this.#collect(chunk, at);
      if (chunk[at] === END) this.#finish(sink);
      at += 1;
    }
  }

  /** Forgets a frame begun, as when the line was opened anew. */
  reset(): void {
    this.#length = 0;
    this.#escaping = false;
    this.#fault = undefined;
    this.#passedOver = 0;
  }

  /** @returns where the frame ends, or the chunk */
  #passOver(chunk: Uint8Array, start: number, sink: SlipmuxSink): number {
    const end = nextEnd(chunk, start);
    this.#passedOver += end - start;
    for (; this.#passedOver >= LIMITS.slipFrameBytes; this.#passedOver -= LIMITS.slipFrameBytes)
      sink.onNoise('oversize');
    return end;
  }

  /** Takes bytes of a frame up to its END or to the byte that makes it worthless. @returns where that is */
  #collect(chunk: Uint8Array, start: number): number {
    for (let at = start; at < chunk.length; at += 1) {
      const byte = chunk[at] ?? END;
      if (byte === END) return at;
      if (this.#escaping) {
        this.#escaping = false;
        if (byte === ESCAPED_END) this.#append(END);
        else if (byte === ESCAPED_ESCAPE) this.#append(ESCAPE);
        else this.#fault = 'escape';
      } else if (byte === ESCAPE) {
        this.#escaping = true;
      } else {
        this.#append(byte);
      }
      if (this.#fault !== undefined) return at;
    }
    return chunk.length;
  }

  #append(byte: number): void {
    if (this.#length === this.#frame.length) {
      this.#fault = 'oversize';
    } else if (this.#length === 0 && byte !== COAP_FRAME && byte !== DIAGNOSTIC_FRAME) {
      this.#fault = 'foreign';
    } else {
      this.#frame[this.#length] = byte;
      this.#length += 1;
    }
  }

  #finish(sink: SlipmuxSink): void {
    const length = this.#length;
    const escaping = this.#escaping;
    const fault = this.#fault;
    // Frames follow each other END to END, so there is an empty one between any two.
    if (length === 0 && !escaping && fault === undefined) return;
    this.reset();
    if (fault === 'escape' || fault === 'foreign') sink.onNoise(fault);
    else if (escaping) sink.onNoise('aborted');
    else if (this.#frame[0] === DIAGNOSTIC_FRAME) finishDiagnostic(this.#frame, length, fault, sink);
    else if (fault !== undefined) sink.onNoise(fault);
    else finishCoap(this.#frame, length, sink);
  }
}

/** Byte by byte: noise makes frames of a few bytes, and a call of `indexOf` for each costs more than the bytes. */
function nextEnd(chunk: Uint8Array, start: number): number {
  let at = start;
  while (at < chunk.length && chunk[at] !== END) at += 1;
  return at;
}

function finishCoap(frame: Uint8Array, length: number, sink: SlipmuxSink): void {
  const holds = length >= SHORTEST_COAP_FRAME && frameCheckSequence(frame, length) === GOOD_RESIDUE;
  if (holds) sink.onCoap(frame.slice(1, length - 2));
  else sink.onNoise('checksum');
}

/**
 * Diagnostic frames carry no checksum, so the rest of a CoAP frame that noise cut in two can look like one; being strict
 * about UTF-8 keeps bytes of a message out of the log. A frame past the limit may end inside a character.
 */
function finishDiagnostic(frame: Uint8Array, length: number, fault: 'oversize' | undefined, sink: SlipmuxSink): void {
  const end = fault === 'oversize' ? lastCharacterStart(frame, length) : length;
  if (isUtf8(frame, 1, end)) sink.onDiagnostic(fromUtf8(frame.subarray(1, end)).slice(0, LIMITS.diagnosticBytes));
  else sink.onNoise('foreign');
}

/**
 * The table of RFC 3629 §4. By hand, since noise makes tens of thousands of frames of a few bytes each, and a call into
 * the runtime (or worse, an exception) for each costs more than all the rest.
 */
function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at < end) {
    const lead = bytes[at] ?? 0;
    at += 1;
    if (lead < 0x80) continue;
    const more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    const second = bytes[at] ?? 0;
    if (lead < 0xc2 || lead > 0xf4 || at + more > end || !secondByteFits(lead, second)) return false;
    for (let rest = 1; rest < more; rest += 1) if (((bytes[at + rest] ?? 0) & 0xc0) !== 0x80) return false;
    at += more;
  }
  return true;
}

/** Keeps out longer forms than needed, surrogates and what is past U+10FFFF. */
function secondByteFits(lead: number, second: number): boolean {
  const lowest = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const highest = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  return second >= lowest && second <= highest;
}

function lastCharacterStart(frame: Uint8Array, length: number): number {
  let start = length - 1;
  while (start > length - 4 && ((frame[start] ?? 0) & 0xc0) === 0x80) start -= 1;
  return start;
}

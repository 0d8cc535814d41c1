import type { CoapCounters } from '../../src/codec/coap/counters.ts';
import type { SlipmuxNoise } from '../../src/codec/slipmux.ts';

/** What a line counts since the process started, across all its openings. */
export interface LineCounters {
  bytesReceived: number;
  bytesSent: number;
  framesReceived: number;
  framesSent: number;
  /** Frames dropped for a frame check sequence that does not hold: noise, wrong speed, a bad cable. */
  framesBadChecksum: number;
  framesBadEscape: number;
  framesOversize: number;
  framesAborted: number;
  /** Frames that are neither CoAP nor diagnostic text. */
  framesForeign: number;
  /** Frames not sent because the line did not take the earlier ones fast enough. */
  framesNotSent: number;
  diagnostics: number;
  /** Diagnostic texts that were not logged because there were too many. */
  diagnosticsDropped: number;
  opened: number;
  openFailed: number;
  lost: number;
  /** Times that the line brought in more than it may and was made to wait. */
  slowedDown: number;
  /** Times that a write did not leave before its deadline. */
  hung: number;
}

export function newLineCounters(): LineCounters {
  return {
    bytesReceived: 0,
    bytesSent: 0,
    framesReceived: 0,
    framesSent: 0,
    framesBadChecksum: 0,
    framesBadEscape: 0,
    framesOversize: 0,
    framesAborted: 0,
    framesForeign: 0,
    framesNotSent: 0,
    diagnostics: 0,
    diagnosticsDropped: 0,
    opened: 0,
    openFailed: 0,
    lost: 0,
    slowedDown: 0,
    hung: 0,
  };
}

export const NOISE_COUNTER: Readonly<Record<SlipmuxNoise, keyof LineCounters>> = {
  checksum: 'framesBadChecksum',
  escape: 'framesBadEscape',
  oversize: 'framesOversize',
  aborted: 'framesAborted',
  foreign: 'framesForeign',
};

/** Adds what an ended session counted to what those before it did. */
export function addCounters(sum: CoapCounters, ended: Readonly<CoapCounters>): void {
  for (const [name, value] of Object.entries(ended)) sum[name as keyof CoapCounters] += value;
}

/** Everything that a line counts under one name each; those of CoAP as `coapReceived` and so on. */
export function allCounters(
  line: Readonly<LineCounters>,
  past: Readonly<CoapCounters>,
  present: Readonly<CoapCounters> | undefined,
): Record<string, number> {
  const all: Record<string, number> = { ...line };
  for (const [name, value] of Object.entries(past)) {
    const now = present?.[name as keyof CoapCounters] ?? 0;
    all[`coap${name.charAt(0).toUpperCase()}${name.slice(1)}`] = value + now;
  }
  return all;
}

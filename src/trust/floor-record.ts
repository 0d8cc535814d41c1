import { parseStrictJsonObject } from '../codec/strict-json.ts';
import { utf8 } from '../core/bytes.ts';
import { coded, LatchkeyError } from '../core/errors.ts';
import type { JsonValue } from '../core/json.ts';
import type { Log } from '../ports/log.ts';
import type { Store } from '../ports/store.ts';
import { setAside } from './set-aside.ts';

/** The parts of the time floor, NumericDate seconds; on disk whole ones. What they mean is told at `TimeFloor`. */
export interface FloorRecord {
  readonly known: number;
  /** What a clock that was set over the network raises `known` from. */
  readonly anchor: number;
  readonly believed: number;
  readonly witnessed: number;
}

/** 2100-01-01. A clock that says more is broken, and a floor up there could never be left again. */
export const LAST_PLAUSIBLE = 4_102_444_800;

const KEY = 'time-floor';
const FORMAT = 'latchkey-time-floor-3';
/** Without an anchor: each run of that version began at what was known. */
const FORMAT_2 = 'latchkey-time-floor-2';
/** Its `known` followed every clock that was believed, so that is what it is worth. */
const FORMAT_1 = 'latchkey-time-floor-1';

const NOTHING: FloorRecord = { known: 0, anchor: 0, believed: 0, witnessed: 0 };

/** The floor on disk; zero where there is none, or none that can be read: that one is set aside and logged. */
export async function readFloor(store: Store, log: Log): Promise<FloorRecord> {
  const bytes = await store.read(KEY);
  if (bytes === undefined) return NOTHING;
  try {
    const { anchor, believed, format, known, witnessed } = parseStrictJsonObject(bytes, { code: 'store_corrupt' });
    if (format === FORMAT_1) return { ...NOTHING, believed: seconds(known), witnessed: seconds(witnessed) };
    if (format !== FORMAT && format !== FORMAT_2) throw new LatchkeyError('store_corrupt', 'format');
    return {
      known: seconds(known),
      anchor: seconds(format === FORMAT ? anchor : known),
      believed: seconds(believed),
      witnessed: seconds(witnessed),
    };
  } catch (error) {
    const { code, detail } = coded(error);
    const fields = { event: 'time_floor_set_aside', code, detail };
    log.error(fields, 'the time floor on disk cannot be read: it is quarantined, and begins anew');
    await setAside(store, log, KEY, bytes);
    return NOTHING;
  }
}

export async function writeFloor(store: Store, floor: FloorRecord): Promise<void> {
  const whole = {
    known: Math.floor(floor.known),
    anchor: Math.floor(floor.anchor),
    believed: Math.floor(floor.believed),
    witnessed: Math.floor(floor.witnessed),
  };
  await store.write([{ put: KEY, value: utf8(JSON.stringify({ format: FORMAT, ...whole })) }]);
}

function seconds(value: JsonValue | undefined): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= LAST_PLAUSIBLE) return value;
  throw new LatchkeyError('store_corrupt', 'not a date');
}

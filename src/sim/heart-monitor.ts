/** What the simulated EKG machine can do. */
import { type CborMap, encodeCbor } from '../codec/cbor.ts';
import { utf8 } from '../core/bytes.ts';

const READ = utf8('read');

/** Answers the text `read` with the CBOR map {"beatsPerMinute": integer}, anything else with {"understood": false}. */
export class HeartMonitor {
  beatsPerMinute = 72;
  /** Readings given. */
  readings = 0;

  answer(message: Uint8Array): Uint8Array {
    return encodeCbor(Buffer.compare(message, READ) === 0 ? this.#read() : NOT_UNDERSTOOD);
  }

  #read(): CborMap {
    this.readings += 1;
    return new Map([['beatsPerMinute', this.beatsPerMinute]]);
  }
}

const NOT_UNDERSTOOD: CborMap = new Map([['understood', false]]);

/** What both ways of pairing, by options and by dialogue, make of the options, and what they call what is there. */
import type { CandidateView, ObstacleView, PairRequest } from '../ports/pairing.ts';
import { type DeviceOptions, issuersOf } from './device-options.ts';

export interface PairOptions extends DeviceOptions {
  readonly for: string;
  readonly code?: string;
  readonly line?: string;
  /** True without a name. */
  readonly ble?: string | true;
  readonly id?: string;
  readonly audience?: string;
  readonly name?: string;
  readonly socket?: string;
  readonly config?: string;
  readonly json?: boolean;
}

/** Asks, and says what is wrong with an answer. */
export interface Asking {
  /**
   * @param option that answers it on the command line
   * @throws {LatchkeyError} `request_cancelled` where standard input has ended
   */
  ask(question: string, option: string): Promise<string>;
  note(line: string): void;
  /** @throws what is no coded error */
  say(error: unknown): void;
}

/** What is an argument of `devices add` and an option here. */
export const PAIR_OPTIONS = { id: '--id' };

/** What the options say of it, but for the code and the profile. */
export function requestOf(options: PairOptions): Omit<PairRequest, 'code' | 'profile'> {
  const { audience, id, name, profile: profileName } = options;
  const issuers = issuersOf(options);
  return { audience, id, name, profileName, ...(issuers === undefined ? {} : { issuers }) };
}

export function describeCandidate({ medium, name, rivals = 0, signal }: CandidateView): string {
  if (medium === 'line') return `${name}, on a serial line`;
  const near = signal === undefined ? '' : `, ${signal} dBm (${strength(signal)})`;
  const others = rivals === 0 ? '' : `; ${rivals} more of that name`;
  return `${name}, by radio${near}${others}`;
}

/** What keeps a device from showing up, and what to do about it. */
export function describeObstacle({ code, detail, fix, place, title }: ObstacleView): string {
  const reason = detail === undefined ? title : `${title}: ${detail}`;
  return `${describePlace(place)}: ${reason}. ${fix} [${code}]`;
}

function describePlace(place: string): string {
  const [medium, name] = place.split('/', 2);
  if (medium === 'line') return name === undefined ? 'serial lines' : `${name}, on a serial line`;
  return name === undefined ? 'radio' : `${name}, by radio`;
}

/** In words, for an installer who stands in a room with ten of them. */
function strength(signal: number): string {
  if (signal >= -55) return 'very close';
  if (signal >= -70) return 'near';
  return signal >= -85 ? 'in the room' : 'far';
}

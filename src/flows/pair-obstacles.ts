/** Why nobody is seen in a pairing window: what is missing, down, or taken by a device that is registered. */
import { CATALOGUE, type ErrorCode } from '../core/error-catalogue.ts';
import { LIMITS } from '../core/limits.ts';
import type { Device } from '../devices/device.ts';
import type { CandidateView, ObstacleView, PairObstacle } from '../ports/pairing.ts';

/** Of a line or of the radio, as in HealthFacts. */
interface LinkHealth {
  readonly up: boolean;
  readonly code: ErrorCode | undefined;
  readonly detail: string | undefined;
}

export interface LineFacts {
  /** All that are configured. */
  readonly lines: readonly (LinkHealth & { readonly name: string })[];
  readonly devices: readonly Device[];
}

/** @param name of the only line that counts, configured or not */
export function lineObstacles({ devices, lines }: LineFacts, name: string | undefined): readonly PairObstacle[] {
  const names = lines.map((line) => line.name);
  if (names.length === 0) return [{ place: 'line', code: 'link_unconfigured', detail: 'there are no [[lines]]' }];
  if (name !== undefined && !names.includes(name)) {
    const detail = `no line ${name}; [[lines]] has ${names.join(', ')}`;
    return [{ place: `line/${name}`, code: 'link_unconfigured', detail }];
  }
  const wanted = name === undefined ? lines : lines.filter((line) => line.name === name);
  return wanted.flatMap((line) => {
    const place = `line/${line.name}`;
    // First: that it is down besides is of no interest to whoever cannot pair anything there.
    const owners = devices.filter(isPaired).filter(({ line: on }) => on === line.name);
    if (owners.length > 0) return [taken(place, owners)];
    return line.up ? [] : [{ place, code: line.code ?? 'link_down', detail: line.detail }];
  });
}

export interface RadioFacts {
  /** Undefined where none is configured. */
  readonly radio: LinkHealth | undefined;
  /** Names that are heard, of registered devices too. */
  readonly heard: readonly string[];
  readonly byName: (name: string) => Device | undefined;
}

/** @param name of the only device that counts, heard or not */
export function radioObstacles(
  { byName, heard, radio }: RadioFacts,
  name: string | undefined,
): readonly PairObstacle[] {
  if (radio === undefined)
    return [{ place: 'ble', code: 'link_unconfigured', detail: 'there is no radio: [ble] has no adapter' }];
  const names = name === undefined ? [...new Set(heard)].slice(0, LIMITS.pairingCandidates) : [name];
  const owned = names.flatMap((each) => {
    const owner = byName(each);
    return owner !== undefined && isPaired(owner) ? [taken(`ble/${each}`, [owner])] : [];
  });
  if (radio.up) return owned;
  return [...owned, { place: 'ble', code: radio.code ?? 'radio_failed', detail: radio.detail }];
}

/**
 * What stands against every place that counts, where it will not pass by itself: until somebody changes the configuration
 * or the registry nobody can show up.
 * @param options.obstacles of the places that count
 */
export function lastingObstacle(options: {
  readonly candidates: number;
  readonly obstacles: readonly PairObstacle[];
  readonly medium: CandidateView['medium'] | undefined;
  readonly name: string | undefined;
}): PairObstacle | undefined {
  const { candidates, medium, name, obstacles } = options;
  const isListening =
    medium !== 'line' &&
    !obstacles.some(({ place }) => place === 'ble' || (name !== undefined && place === `ble/${name}`));
  if (candidates > 0 || isListening || !obstacles.every(({ code }) => LASTING.has(code))) return undefined;
  return obstacles.find(({ code }) => code === 'pairing_place_taken') ?? obstacles[0];
}

const LASTING: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['link_unconfigured', 'pairing_place_taken']);

export function viewObstacle({ code, detail, place }: PairObstacle): ObstacleView {
  const { fix, title } = CATALOGUE[code];
  return { place, code, ...(detail === undefined ? {} : { detail }), lasting: LASTING.has(code), title, fix };
}

/** Of a device whose pairing is unfinished nobody can say that it is paired: it is there to be paired again. */
function isPaired({ pairing }: Device): boolean {
  return pairing === undefined;
}

function taken(place: string, owners: readonly Device[]): PairObstacle {
  return { place, code: 'pairing_place_taken', detail: `${place} has ${owners.map(({ id }) => id).join(', ')}` };
}

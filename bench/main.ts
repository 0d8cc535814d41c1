/**
 * `npm run bench [-- --json] [-- --short]`: every figure that the project promises, measured here and now. With `--fleet`
 * only the load of a fleet of devices, which takes a minute or two; with `--soak [minutes]` only memory under a steady load;
 * with `--scale` only a hub with 10,000 devices and one with 30,000 waiting tokens; with `--writes` only the bytes that are written to disk.
 */
import { cachedVerdictFigures } from './cached-verdicts.ts';
import { fleetFigures } from './fleet.ts';
import { type Effort, type Figure, holds } from './harness.ts';
import { hostileInputFigures } from './hostile-input.ts';
import { judgementFigures } from './judgement.ts';
import { mqttFigures } from './mqtt.ts';
import { radioFigures } from './radio.ts';
import { relayFigures } from './relay.ts';
import { type ScaleEffort, scaleFigures } from './scale.ts';
import { sizeFigures } from './sizes.ts';
import { soakFigures } from './soak.ts';
import { startUpFigures } from './start-up.ts';
import { translationFigures } from './translation.ts';
import { writeFigures } from './writes.ts';

export interface BenchOptions {
  readonly effort: Effort;
  /** Starts of a process that the start-up figures are taken over. */
  readonly starts: number;
  /** Deliveries by radio. */
  readonly deliveries: number;
  readonly scale: ScaleEffort;
}

const GOALS: readonly ((options: BenchOptions) => readonly Figure[] | Promise<readonly Figure[]>)[] = [
  ({ effort }) => translationFigures(effort),
  ({ effort }) => judgementFigures(effort),
  ({ effort }) => relayFigures(effort),
  ({ effort }) => cachedVerdictFigures(effort),
  ({ effort }) => mqttFigures(effort, note),
  ({ deliveries }) => radioFigures(deliveries, note),
  sizeFigures,
  ({ effort }) => hostileInputFigures(effort),
  ({ starts }) => startUpFigures(starts),
  ({ scale }) => scaleFigures(scale),
  writeFigures,
];

const json = process.argv.includes('--json');
const options: BenchOptions = process.argv.includes('--short')
  ? { effort: { rounds: 20, calls: 100 }, starts: 3, deliveries: 5, scale: { tokens: 100, starts: 3 } }
  : { effort: { rounds: 200, calls: 100 }, starts: 15, deliveries: 31, scale: { tokens: 1_000, starts: 7 } };

for (const goal of chosen()) {
  for (const figure of await goal(options)) print(figure);
}

function chosen(): typeof GOALS {
  const soak = process.argv.indexOf('--soak');
  if (soak >= 0) return [() => soakFigures(note, Number(process.argv[soak + 1]) || 10)];
  if (process.argv.includes('--scale')) return [({ scale }) => scaleFigures(scale)];
  if (process.argv.includes('--writes')) return [writeFigures];
  return process.argv.includes('--fleet') ? [() => fleetFigures(note)] : GOALS;
}

/** Beside the figures, so that what reads them is not disturbed. */
function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

function print(figure: Figure): void {
  const { name, value, goal, better, remark } = figure;
  if (json) {
    process.stdout.write(`${JSON.stringify({ name, value, goal, holds: holds(figure) })}\n`);
    return;
  }
  const sign = better === 'higher' ? '≥' : '≤';
  const mark = holds(figure) ? 'holds' : 'FAILS';
  process.stdout.write(`${name.padEnd(34)} ${value.toFixed(3).padStart(9)}  ${sign} ${goal}  ${mark}  ${remark}\n`);
}

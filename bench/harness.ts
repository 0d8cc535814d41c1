/**
 * How the bench measures: a subject against a floor, call by call in turn within one run, so that what the machine does
 * meanwhile happens to both, and both find the caches as the other left them: no hub makes a hundred signatures in a row
 * with nothing in between. A figure is a ratio and so means the same on every machine.
 */

/** One line of the answer. `holds` where the value is on the right side of its goal. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly goal: number;
  readonly better: 'higher' | 'lower';
  /** For people: spread, times, sizes. */
  readonly remark: string;
}

export interface Effort {
  /** Rounds, each of which gives one ratio. */
  readonly rounds: number;
  /** Calls of the floor, and as many of the subject, in a round. */
  readonly calls: number;
}

/** Milliseconds of one call at the middle and at the 99th percentile. */
interface Times {
  readonly p50: number;
  readonly p99: number;
}

export interface Comparison {
  /** Speed of the subject as a part of the floor's: 1 is as fast, 0.5 takes twice the time. Middle and quartiles over rounds. */
  readonly ratio: { readonly median: number; readonly lower: number; readonly upper: number };
  readonly floor: Times;
  readonly subject: Times;
}

export function holds(figure: Figure): boolean {
  return figure.better === 'higher' ? figure.value >= figure.goal : figure.value <= figure.goal;
}

export function compare(floor: () => unknown, subject: () => unknown, effort: Effort): Comparison {
  const warmUp = Math.min(4_000, effort.rounds * effort.calls);
  for (let call = 0; call < warmUp; call += 1) {
    floor();
    subject();
  }
  const floorTimes: number[] = [];
  const subjectTimes: number[] = [];
  const ratios: number[] = [];
  for (let round = 0; round < effort.rounds; round += 1) {
    let floorTotal = 0;
    let subjectTotal = 0;
    for (let call = 0; call < effort.calls; call += 1) {
      floorTotal += timeCall(floor, floorTimes);
      subjectTotal += timeCall(subject, subjectTimes);
    }
    ratios.push(floorTotal / subjectTotal);
  }
  return {
    ratio: { median: quantile(ratios, 0.5), lower: quantile(ratios, 0.25), upper: quantile(ratios, 0.75) },
    floor: times(floorTimes),
    subject: times(subjectTimes),
  };
}

/** Describes a comparison: "quartiles 0.84 to 0.88; floor p50 80 µs, p99 95 µs; here p50 92 µs, p99 110 µs". */
export function describe({ ratio, floor, subject }: Comparison): string {
  return (
    `quartiles ${ratio.lower.toFixed(3)} to ${ratio.upper.toFixed(3)}; floor p50 ${micro(floor.p50)}, ` +
    `p99 ${micro(floor.p99)}; here p50 ${micro(subject.p50)}, p99 ${micro(subject.p99)}`
  );
}

export function micro(milliseconds: number): string {
  return `${(milliseconds * 1000).toFixed(1)} µs`;
}

/** @param q between 0 and 1 */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

function timeCall(action: () => unknown, into: number[]): number {
  const start = performance.now();
  action();
  const elapsed = performance.now() - start;
  into.push(elapsed);
  return elapsed;
}

function times(samples: readonly number[]): Times {
  return { p50: quantile(samples, 0.5), p99: quantile(samples, 0.99) };
}

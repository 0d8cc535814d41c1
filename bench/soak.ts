/**
 * `npm run bench -- --soak [minutes]`: whether the built hub's memory stays where it is under a steady load, ten minutes of it
 * unless told otherwise. 200 devices ask 50 times a second over MQTT, each time about a new token with a new proof, so that
 * verdicts, replay marks, answers and audit all keep turning over.
 *
 * Replay marks live for two minutes and verdicts for one, so that memory only levels off after a third of the time. What
 * counts is the middle of the last third against the middle of the one before it: a hub that leaks 400 bytes a question, which
 * is less than a question has, is 4 MB higher there.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isMosquittoInstalled } from '../test/fixtures/mosquitto.ts';
import { Fleet, withFleet } from './fleet.ts';
import { type Figure, quantile } from './harness.ts';

const DEVICES = 200;
const PER_SECOND = 50;
const SAMPLE_EVERY = 1_000;
/** Growth from the second third to the last one, as a part of what was held. */
const GOAL = 0.05;

export async function soakFigures(note: (text: string) => void, minutes: number): Promise<readonly Figure[]> {
  if (!isMosquittoInstalled()) {
    note('memory under load is left out: mosquitto is not installed');
    return [];
  }
  return withFleet(DEVICES, async ({ broker, credentials, hub }) => {
    const fleet = await Fleet.connect(broker, credentials);
    const samples: number[] = [];
    const sampling = setInterval(() => samples.push(hub.residentMegabytes()), SAMPLE_EVERY);
    try {
      const tally = await fleet.askSteadily({ perSecond: PER_SECOND, seconds: minutes * 60 });
      return [figureOf(samples, tally, minutes)];
    } finally {
      clearInterval(sampling);
      await fleet.close();
      await sleep(100);
    }
  });
}

function figureOf(
  samples: readonly number[],
  { asked, wrong }: { readonly asked: number; readonly wrong: number },
  minutes: number,
): Figure {
  const third = Math.floor(samples.length / 3);
  const middles = [0, 1, 2].map((part) => quantile(samples.slice(part * third, (part + 1) * third), 0.5));
  const [, before = Number.NaN, last = Number.NaN] = middles;
  return {
    name: 'soak-memory-growth',
    value: Math.max(0, last / before - 1),
    goal: GOAL,
    better: 'lower',
    remark: `of what the hub held, from one third to the next: ${middles.map((part) => part.toFixed(0)).join(', ')} MB; ${asked} questions in ${minutes} min, ${wrong} wrong answers`,
  };
}

/**
 * The hub is killed at random moments under mixed load: deliveries, proofs, devices added and removed. `CHAOS_KILLS=200 npm run chaos`
 * goes on for longer; `CHAOS_SEED` repeats a run.
 */
import { afterEach, expect, test } from 'vitest';
import { FakeTime } from '../fakes/fake-time.ts';
import { Load } from './load.ts';
import { ChaosSite } from './site.ts';

const kills = Number(process.env.CHAOS_KILLS ?? 8);
const seed = Number(process.env.CHAOS_SEED ?? 21);
/** Most acknowledged steps in one life of the hub, and the most milliseconds after the last of them. */
const LONGEST_LIFE = 20;
const HESITATION = 30;
/** One kill in four comes in the start, which takes about so long; milliseconds. */
const IN_START = 0.25;
const START = 500;
const CHECK_EVERY = 8;

let site: ChaosSite | undefined;
afterEach(() => site?.close());

test(
  'nothing that the hub acknowledged is lost or counted twice, whenever it is killed',
  async () => {
    const random = new FakeTime({ seed });
    const opened = await ChaosSite.open();
    site = opened;
    let load = new Load(opened);
    let acknowledged = 0;
    for (let kill = 1; kill <= kills; kill += 1) {
      await load.advance(1 + Math.floor(random.fraction() * LONGEST_LIFE));
      await new Promise((resolve) => setTimeout(resolve, random.fraction() * HESITATION));
      if (random.fraction() < IN_START) await opened.restartTwice(random.fraction() * START);
      else await opened.restart();
      if (kill % CHECK_EVERY !== 0 && kill !== kills) continue;
      await load.stop();
      acknowledged += load.acknowledged;
      await opened.check();
      if (kill < kills) load = new Load(opened);
    }
    process.stdout.write(
      `chaos, seed ${seed}: ${kills} kills, ${acknowledged} steps acknowledged, ${opened.summary()}\n`,
    );
    // A run in which nothing was acknowledged shows nothing.
    expect(acknowledged).toBeGreaterThan(kills * 2);
    expect(opened.acknowledged.deliveries.size).toBeGreaterThan(kills);
    expect(opened.acknowledged.added.size).toBeGreaterThan(0);
  },
  120_000 + kills * 15_000,
);

/**
 * Bytes of strangers against the running hub: by radio, on a line, over MQTT in both roles, over HTTP and the admin socket.
 * The kept corpus is sent first, then mutations, each target in turn. `FUZZ_MINUTES=60 npm run fuzz` goes on for an hour, with another
 * seed each time unless `FUZZ_SEED` names one; `FUZZ_TARGETS=http,l2cap` leaves the others out. What was found is in `test/fuzz/found`.
 */
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { keepFound, keptInputs } from './corpus.ts';
import { type HubUnderTest, openHubUnderTest } from './hub-under-test.ts';
import { Mutator } from './mutator.ts';
import type { FuzzTarget } from './target.ts';
import { adminTarget } from './targets/admin.ts';
import { httpTargets } from './targets/http.ts';
import { lineTargets } from './targets/line.ts';
import { embeddedBrokerTarget, hostileBrokerTarget } from './targets/mqtt.ts';
import { radioTargets } from './targets/radio.ts';

/** Without FUZZ_MINUTES each target has the kept corpus and one batch: seconds, not minutes, and the same inputs each time. */
const minutes = Number(process.env.FUZZ_MINUTES ?? 0);
const seed = Number(process.env.FUZZ_SEED ?? (minutes === 0 ? 1 : process.pid));
const chosen = process.env.FUZZ_TARGETS?.split(',');
const BOUNDED = 300_000;

let hub: HubUnderTest;
let targets: readonly FuzzTarget[];

beforeAll(async () => {
  hub = await openHubUnderTest();
  const brokers = [embeddedBrokerTarget(hub), await hostileBrokerTarget(expectAlive)];
  const all = [...httpTargets(hub), adminTarget(hub), ...lineTargets(hub), ...brokers, ...radioTargets(hub)];
  targets = all.filter(({ name }) => chosen?.includes(name) ?? true);
});

afterAll(async () => {
  for (const target of targets) await target.close();
  await hub.close();
});

function expectAlive(pid: number): void {
  if (!existsSync(`/proc/${pid}`)) throw new Error('the hub has ended');
}

/** One batch, and what has to hold after it. */
async function run(target: FuzzTarget, inputs: readonly Uint8Array[]): Promise<void> {
  try {
    const left = [...inputs];
    const sender = async () => {
      for (let input = left.shift(); input !== undefined; input = left.shift()) await target.send(input);
    };
    await Promise.all(Array.from({ length: target.parallel }, sender));
    expectAlive(hub.hub.pid);
    await hub.check();
    await target.honest();
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    const file = keepFound(target.name, `seed ${seed}: ${what}`, inputs);
    throw new Error(`${target.name}: ${what}; its inputs are in ${file}`, { cause: error });
  }
}

test(
  'the hub outlives what strangers send, and serves others after it',
  async () => {
    const mutator = new Mutator(seed);
    const sent = new Map<string, number>();
    const took = new Map<string, number>();
    const batch = async (target: FuzzTarget, inputs: readonly Uint8Array[]) => {
      const start = performance.now();
      await run(target, inputs);
      sent.set(target.name, (sent.get(target.name) ?? 0) + inputs.length);
      took.set(target.name, (took.get(target.name) ?? 0) + performance.now() - start);
    };
    for (const target of targets) await batch(target, [...keptInputs(target.name), ...target.seeds]);
    const end = performance.now() + minutes * 60_000;
    do {
      for (const target of targets) {
        const { seeds } = target;
        const count = minutes === 0 ? Math.ceil(target.batch / 3) : target.batch;
        const inputs = Array.from({ length: count }, () => mutator.mutate(mutator.pick(seeds), seeds));
        await batch(target, inputs);
      }
    } while (performance.now() < end);
    const seconds = (name: string) => Math.round((took.get(name) ?? 0) / 1_000);
    const counts = [...sent].map(([name, count]) => `${name} ${count} in ${seconds(name)} s`).join(', ');
    process.stdout.write(`fuzz, seed ${seed}: ${counts}\n`);
    expect([...sent.keys()]).toEqual(targets.map(({ name }) => name));
  },
  BOUNDED + minutes * 60_000 * 1.5,
);

import { expect, test } from 'vitest';
import { utf8 } from '../../src/core/bytes.ts';
import { Secret } from '../../src/core/secret.ts';
import { DeliveryQueue } from '../../src/devices/delivery-queue.ts';
import { profileFromJson } from '../../src/devices/profile.ts';
import { Registry } from '../../src/devices/registry.ts';
import { deliveryFeed } from '../../src/flows/delivery-feed.ts';
import type { Difficulty } from '../../src/ports/admin.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { FaultyStore } from '../fakes/faulty-store.ts';
import { QuietLog } from '../fakes/quiet-log.ts';

const accepted = { state: 'delivered', deviceCode: '2.01', receipt: true } as const;

async function setup() {
  const store = new FaultyStore();
  const log = new QuietLog();
  const registry = new Registry({ store, log });
  await registry.add({
    id: 'tube-1',
    audience: 'coap://tube-1',
    line: 'line-1',
    profile: profileFromJson({ scopes: ['read'] }),
    issuers: undefined,
    rootKey: new Secret(new Uint8Array(32)),
    trustVersion: 1,
    addedAt: 0,
  });
  const queue = new DeliveryQueue({ store, log, clock: new FakeTime() });
  let made = 0;
  const add = () => {
    made += 1;
    const cwt = utf8(`cwt ${made}`);
    return queue.add({
      id: made.toString(16).padStart(32, '0'),
      device: 'tube-1',
      audience: 'coap://tube-1',
      cwt: new Secret(cwt),
      tokenHash: cwt,
      cti: cwt,
      expiresAt: 2_000,
      scope: 'read',
      jwtBytes: 1,
      cwtBytes: 1,
      keysAge: 0,
      clock: 'sure',
      request: 'r',
    });
  };
  const difficulty: { now: Difficulty | undefined } = { now: undefined };
  return {
    add,
    difficulty,
    feed: deliveryFeed({ queue, registry, difficulty: () => difficulty.now }),
    queue,
    registry,
  };
}

test('each change says how many wait, and holds no token', async () => {
  const { add, feed, queue } = await setup();
  const heard: unknown[] = [];
  feed.watch(({ delivery, waiting }) => heard.push([delivery?.state, waiting]));
  const first = await add();
  await add();
  await queue.end(first.id, accepted);
  expect(heard).toEqual([
    ['queued', 1],
    ['queued', 2],
    ['delivered', 1],
  ]);
  expect(JSON.stringify(feed.now())).not.toContain('cwt 2');
});

test('what waits longest stands for its device, and where nothing waits what came last', async () => {
  const { add, feed, queue } = await setup();
  const [first, second, third] = [await add(), await add(), await add()];
  await queue.end(first.id, accepted);
  expect(feed.now().map(({ delivery }) => delivery?.delivery)).toEqual([second.id]);
  await queue.end(second.id, accepted);
  await queue.end(third.id, accepted);
  expect(feed.now().map(({ delivery }) => delivery?.delivery)).toEqual([third.id]);
});

test('of a device that was removed nothing is shown', async () => {
  const { add, feed, queue, registry } = await setup();
  const { id } = await add();
  await queue.end(id, accepted);
  const heard: unknown[] = [];
  feed.watch((summary) => heard.push(summary));
  await registry.remove('tube-1');
  await queue.removeDevice('tube-1');
  expect(heard).toEqual([{ device: 'tube-1', waiting: 0 }]);
});

test('a device that is full shows in what waits for it', async () => {
  const { add, difficulty, feed } = await setup();
  await add();
  difficulty.now = { code: 'device_full', failures: 2 };
  expect(feed.now()).toMatchObject([{ delivery: { state: 'queued', code: 'device_full' } }]);
  difficulty.now = { code: 'link_down', failures: 0 };
  expect(feed.now()[0]?.delivery).not.toHaveProperty('code');
});

import { fork, type ChildProcess as Process } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { ChildProcess, type ChildSettings } from '../../drivers/child-process.ts';
import { IGNORED_SIGNALS } from '../../drivers/child-prologue.ts';
import { monotonic, systemRandom, systemTimers } from '../../drivers/system-time.ts';
import { QuietLog } from '../fakes/quiet-log.ts';
import { isRunning } from '../fixtures/is-running.ts';

const FILE = fileURLToPath(new URL('../fixtures/children/scripted-child.ts', import.meta.url));

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

interface Rig {
  readonly child: ChildProcess;
  readonly heard: unknown[];
  readonly ends: string[];
  readonly log: QuietLog;
  /** Resolves when it says so for the nth time. */
  ready(times?: number): Promise<void>;
}

function start(settings: Partial<ChildSettings> = {}): Rig {
  const log = new QuietLog();
  const heard: unknown[] = [];
  const ends: string[] = [];
  const child = new ChildProcess({
    name: 'scripted',
    file: FILE,
    onStart: () => undefined,
    onMessage: (message) => heard.push(message),
    onEnd: (detail) => ends.push(detail),
    timers: systemTimers,
    clock: { monotonic },
    random: systemRandom,
    log,
    settings: { restartAfter: 10, restartCap: 20, ...settings },
  });
  cleanUp.push(() => child.close());
  child.start();
  const isReady = (times: number) => expect(heard.filter((message) => message === 'ready')).toHaveLength(times);
  return { child, heard, ends, log, ready: (times = 1) => vi.waitFor(() => isReady(times), { timeout: 15_000 }) };
}

test('hears and answers, and has nothing of the hub’s environment', async () => {
  process.env.LATCHKEY_TEST_SECRET = 'sesame';
  const { child, heard, ready } = start();
  await ready();
  delete process.env.LATCHKEY_TEST_SECRET;
  child.send(new Map([['a', Uint8Array.of(1)]]));
  await vi.waitFor(() => expect(heard).toHaveLength(2));
  expect(heard[1]).toEqual({ echo: new Map([['a', Uint8Array.of(1)]]), environment: [] });
});

describe('is started again', () => {
  test('where it throws, and the log says where but not what', async () => {
    const { child, ends, log, ready } = start();
    await ready();
    child.send('throw');
    await ready(2);
    expect(ends).toEqual(['exit status 1']);
    const [line] = log.lines.filter(({ fields }) => fields.event === 'child_down');
    expect(line).toMatchObject({ level: 'warn', fields: { child: 'scripted' } });
    expect(line?.fields.frames).toMatch(/^TypeError \| at .*scripted-child/);
    expect(JSON.stringify(log.lines)).not.toContain('sesame');
  });

  test('where it exits', async () => {
    const { child, ends, ready } = start();
    await ready();
    child.send('exit');
    await ready(2);
    expect(ends).toEqual(['exit status 3']);
  });

  test('where it is killed', async () => {
    const { child, ends, ready } = start();
    await ready();
    process.kill(child.pid ?? 0, 'SIGKILL');
    await ready(2);
    expect(ends).toEqual(['SIGKILL']);
  });

  test('where its event loop hangs', async () => {
    const { child, ends, ready } = start({ heartbeat: 200, missedHeartbeats: 10 });
    await ready();
    child.send('spin');
    await ready(2);
    expect(ends).toEqual(['it does not answer']);
    expect(child.counters()).toMatchObject({ starts: 2, crashes: 1, hangs: 1 });
  });

  test('where it leaves its channel', async () => {
    const { child, ends, ready } = start({ heartbeat: 200, missedHeartbeats: 10 });
    await ready();
    child.send('leave the channel');
    await ready(2);
    expect(ends).toHaveLength(1);
  });

  test('where it takes too much memory', async () => {
    const { child, ends, ready } = start({ heartbeat: 50, missedHeartbeats: 200, mostMemory: 209_715_200 });
    await ready();
    child.send('hoard');
    await ready(2);
    expect(ends[0]).toMatch(/^it took \d+ MiB of memory$/);
  });
});

test('the signals of a terminal and of systemd are the hub’s: it goes on', async () => {
  const { child, ends, heard, ready } = start();
  await ready();
  expect(IGNORED_SIGNALS).toEqual(expect.arrayContaining(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1']));
  for (const signal of IGNORED_SIGNALS) process.kill(child.pid ?? 0, signal);
  child.send('there?');
  await vi.waitFor(() => expect(heard).toContainEqual(expect.objectContaining({ echo: 'there?' })));
  expect(ends).toEqual([]);
});

describe('does not outlive', () => {
  test('its `close`', async () => {
    const { child, ends, ready } = start();
    await ready();
    const pid = child.pid ?? 0;
    await child.close();
    expect(isRunning(pid)).toBe(false);
    expect(ends).toEqual([]);
  });

  test('its `close`, where it hangs', async () => {
    const { child, ready } = start({ closeDeadline: 50 });
    await ready();
    const pid = child.pid ?? 0;
    child.send('spin');
    await child.close();
    expect(isRunning(pid)).toBe(false);
  });

  test.each(['live', 'spin'])('a hub that is killed: %s', async (what) => {
    const parent: Process = fork(fileURLToPath(new URL('../fixtures/children/parent.ts', import.meta.url)), [
      FILE,
      what,
    ]);
    cleanUp.push(async () => parent.kill('SIGKILL'));
    const [pid] = (await once(parent, 'message')) as [number];
    expect(isRunning(pid)).toBe(true);
    parent.kill('SIGKILL');
    await vi.waitFor(() => expect(isRunning(pid)).toBe(false), { timeout: 10_000 });
  });
});

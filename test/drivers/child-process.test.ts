import { fork, type ChildProcess as Process } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { ChildProcess, type ChildSettings } from '../../drivers/child-process.ts';
import { IGNORED_SIGNALS } from '../../drivers/child-prologue.ts';
import { monotonic, systemRandom, systemTimers } from '../../drivers/system-time.ts';
import { LIMITS } from '../../src/core/limits.ts';
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
  /** Resolves when it has said so that often. */
  ready(times?: number): Promise<void>;
}

function start(settings: Partial<ChildSettings> = {}, file = FILE): Rig {
  const log = new QuietLog();
  const heard: unknown[] = [];
  const ends: string[] = [];
  const child = new ChildProcess({
    name: 'scripted',
    code: 'embedded_broker_down',
    file,
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
  const isReady = (times: number) =>
    expect(heard.filter((message) => message === 'ready').length).toBeGreaterThanOrEqual(times);
  return { child, heard, ends, log, ready: (times = 1) => vi.waitFor(() => isReady(times), { timeout: 15_000 }) };
}

test('hears and answers, and has nothing of the hub’s environment', async () => {
  process.env.LATCHKEY_TEST_SECRET = 'sesame';
  const { child, heard, ready } = start();
  await ready();
  delete process.env.LATCHKEY_TEST_SECRET;
  child.send({ a: [1, 'half a pair: \ud83d'] });
  await vi.waitFor(() => expect(heard).toHaveLength(2));
  expect(heard[1]).toEqual({ echo: { a: [1, 'half a pair: \ufffd'] }, environment: [] });
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

  test('where it takes too much memory', async () => {
    const { child, ends, ready } = start({ heartbeat: 50, missedHeartbeats: 200, mostMemory: 209_715_200 });
    await ready();
    child.send('hoard');
    await ready(2);
    expect(ends[0]).toMatch(/^it took \d+ MiB of memory$/);
  });
});

/** A child in the hands of an attacker: this text as its program, which has the pipe to the hub as `hub`. */
function hostile(text: string, settings: Partial<ChildSettings> = {}): Rig {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-child-'));
  cleanUp.push(async () => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'program.mjs');
  writeFileSync(
    file,
    `import { Socket } from 'node:net';
     const hub = new Socket({ fd: 3, readable: true, writable: true });
     hub.on('error', () => undefined);
     const head = (length) => { const bytes = Buffer.alloc(4); bytes.writeUInt32LE(length); return bytes; };
     const say = (text) => hub.write(Buffer.concat([head(Buffer.byteLength(text)), Buffer.from(text)]));
     const ready = () => say('{"kind":"message","message":"ready"}');
     ${text}`,
  );
  return start({ restartAfter: 60_000, restartCap: 60_000, ...settings }, file);
}

describe('a child in the hands of an attacker is ended', () => {
  const READ_NOT = 'it sent what the hub does not read: ';

  test.each<[string, string, string | RegExp]>([
    [
      'where it announces a message of 4 GiB and sends it',
      `hub.write(Buffer.alloc(4, 0xff));
       const more = () => { while (hub.write(Buffer.alloc(65_536))); };
       hub.on('drain', more);
       more();`,
      `${READ_NOT}a message of 4294967295 bytes between the hub and it`,
    ],
    [
      'where it announces one byte more than a message may have',
      `hub.write(head(${LIMITS.childMessageBytes + 1}));`,
      `${READ_NOT}a message of 8193 bytes between the hub and it`,
    ],
    ['where a message is empty', 'hub.write(head(0));', `${READ_NOT}not JSON`],
    ['where a message is no JSON', `say('nonsense');`, `${READ_NOT}not JSON`],
    ['where a message is no object', `say('[]');`, `${READ_NOT}not an object`],
    ['where a message is nested deeply', `say('{"kind":' + '['.repeat(4_000));`, `${READ_NOT}nested too deeply`],
    ['where a message has a member twice', `say('{"kind":"crash","kind":"message"}');`, `${READ_NOT}a member twice`],
    [
      'where a message has __proto__',
      `say('{"kind":"message","message":{"__proto__":{"kind":"login"}}}');`,
      `${READ_NOT}a member __proto__`,
    ],
    [
      'where a message is of no known kind',
      `say('{"kind":"order"}');`,
      /^it sent what the hub does not read: a message/,
    ],
    [
      'where it sends small messages without end',
      `const more = () => { while (ready()); };
       hub.on('drain', more);
       more();`,
      'it sends too many messages',
    ],
  ])('%s', async (_, text, detail) => {
    const { ends, log } = hostile(`${text}\nsetInterval(ready, 50);`);
    await vi.waitFor(() => expect(ends).toHaveLength(1), { timeout: 15_000 });
    expect(ends[0]).toEqual(typeof detail === 'string' ? detail : expect.stringMatching(detail));
    const [line] = log.lines.filter(({ fields }) => fields.event === 'child_down');
    expect(line).toMatchObject({ level: 'warn', fields: { code: 'embedded_broker_down', detail: ends[0] } });
  });

  test('where it takes nothing of what the hub says, though it speaks', async () => {
    const { child, ends, ready } = hostile('hub.pause();\nready();\nsetInterval(ready, 50);');
    await ready();
    const order = 'x'.repeat(4_096);
    for (let sent = 0; sent < 2 * LIMITS.childWaitingBytes; sent += order.length) child.send(order);
    await vi.waitFor(() => expect(ends).toEqual(['it takes nothing of what the hub says']), { timeout: 5_000 });
  });

  test('where it leaves the pipe and lives on', async () => {
    const settings = { heartbeat: 200, missedHeartbeats: 5, startDeadline: 10_000 };
    const { ends } = hostile(
      'ready();\nsetTimeout(() => hub.destroy(), 50);\nsetInterval(() => undefined, 50);',
      settings,
    );
    await vi.waitFor(() => expect(ends).toEqual(['it does not answer']), { timeout: 15_000 });
  });

  test('and one that hands its pipe to another process keeps no other one from starting', async () => {
    const { ends } = hostile(
      `import { spawn } from 'node:child_process';
       const other = spawn('/bin/sleep', ['5'], { stdio: ['ignore', 'ignore', 'ignore', hub] });
       other.on('spawn', () => { ready(); setTimeout(() => process.exit(7), 50); });`,
    );
    await vi.waitFor(() => expect(ends).toEqual(['exit status 7']), { timeout: 4_000 });
  });
});

test('a message may come in pieces, and have as many bytes as the limit', async () => {
  const text = JSON.stringify({ kind: 'message', message: 'x'.repeat(LIMITS.childMessageBytes - 31) });
  expect(text).toHaveLength(LIMITS.childMessageBytes);
  const { ends, heard } = hostile(`
    const bytes = Buffer.concat([head(${LIMITS.childMessageBytes}), Buffer.from(${JSON.stringify(text)})]);
    const cuts = [1, 3, 5, 4_000, bytes.length];
    let at = 0;
    const next = () => {
      const cut = cuts.shift();
      if (cut === undefined) return;
      hub.write(bytes.subarray(at, cut));
      at = cut;
      setTimeout(next, 20);
    };
    next();`);
  await vi.waitFor(() => expect(heard).toHaveLength(1), { timeout: 15_000 });
  expect(heard[0]).toHaveLength(LIMITS.childMessageBytes - 31);
  expect(ends).toEqual([]);
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

/** The hub's side of the radio's process, with programs in its place that misbehave. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { RadioProcess } from '../../../../drivers/ble/process/radio-process.ts';
import { systemTimers } from '../../../../drivers/system-time.ts';
import type { LatchkeyError } from '../../../../src/core/errors.ts';
import { LIMITS } from '../../../../src/core/limits.ts';
import { QuietLog } from '../../../fakes/quiet-log.ts';

const folder = mkdtempSync(join(tmpdir(), 'latchkey-process-'));
const opened: RadioProcess[] = [];

afterEach(async () => {
  for (const each of opened.splice(0)) {
    each.kill();
    await each.exited;
  }
});

process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

let programs = 0;

/** Runs this text as the process. */
function run(text: string) {
  programs += 1;
  const program = join(folder, `program-${programs}.mjs`);
  writeFileSync(
    program,
    `import { Socket } from 'node:net';\nconst hub = new Socket({ fd: 3, readable: true, writable: true });\n${text}\n`,
  );
  return start(program);
}

function start(program: string) {
  const log = new QuietLog();
  const messages: string[] = [];
  const ended = new Promise<LatchkeyError>((resolve) => {
    const radio = new RadioProcess({
      program,
      timers: systemTimers,
      log,
      onMessage: ({ type }) => messages.push(type),
      onEnded: resolve,
    });
    opened.push(radio);
    radio.watch();
  });
  const own = opened.at(-1) as RadioProcess;
  return { ended, exited: () => own.exited, log, messages, radio: () => own };
}

const FRAME = `const say = (text) => {
  const head = Buffer.alloc(4);
  head.writeUInt32LE(Buffer.byteLength(text));
  hub.write(Buffer.concat([head, Buffer.from(text)]));
};`;

describe('a process', () => {
  it.each([
    ['ends', 'process.exit(3);', 'status 3'],
    ['fails', "throw new Error('broken');", 'status 1'],
    ['is killed', "process.kill(process.pid, 'SIGKILL');", 'SIGKILL'],
    ['loops for ever', 'for (;;);', 'it did not answer for 3000 ms'],
    ['is stopped', "process.kill(process.pid, 'SIGSTOP');", 'it did not answer for 3000 ms'],
    ['says what is no message', `${FRAME} say('nonsense');`, /cannot be read|not JSON/],
    [
      'says what no radio says',
      `${FRAME} say('{"type":"lost","code":"device_refused_token"}');`,
      /cannot be read: code/,
    ],
    ['announces more than a message may have', 'hub.write(Buffer.alloc(64, 0xff));', /a message of 4294967295 bytes/],
  ])('that %s is over, with the reason', async (_, text, reason) => {
    const { ended, exited } = run(text);
    const { code, detail } = await ended;
    expect(code).toBe('radio_process_failed');
    expect(detail).toMatch(reason);
    await exited();
  });

  it.each([
    ['that there is a connection, again and again', '{"type":"connected","link":1}'],
    ['of advertisements without end', '{"type":"heard","name":"x","address":"aa:bb:cc:dd:ee:ff","rssi":-1}'],
  ])('that tells %s takes neither memory nor all turns of the hub', async (_, message) => {
    const before = process.memoryUsage.rss();
    const { ended, exited, messages } = run(`
      const text = ${JSON.stringify(message)};
      const head = Buffer.alloc(4);
      head.writeUInt32LE(text.length);
      const many = Buffer.concat(Array(1_000).fill(Buffer.concat([head, Buffer.from(text)])));
      const more = () => { while (hub.write(many)); };
      hub.on('drain', more);
      more();
      setTimeout(() => process.exit(3), 3_000);`);
    let atOnce = 0;
    let isOver = false;
    const turn = () => {
      atOnce = Math.max(atOnce, messages.length);
      messages.length = 0;
      if (!isOver) setImmediate(turn);
    };
    turn();
    expect((await ended).detail).toBe('status 3');
    isOver = true;
    await exited();
    expect(atOnce).toBeGreaterThan(0);
    expect(atOnce).toBeLessThanOrEqual(2 * LIMITS.radioMessagesAtOnce);
    expect(process.memoryUsage.rss() - before).toBeLessThan(100 * 1_048_576);
  });

  it('that takes nothing of what the hub says, though it speaks, is over', async () => {
    const { ended, radio } = run(`${FRAME} hub.pause(); setInterval(() => say('{"type":"pong"}'), 50);`);
    const addresses = Array(8_000).fill('aa:bb:cc:dd:ee:ff');
    for (let sent = 0; sent < 2 * LIMITS.childWaitingBytes; sent += 160_000) radio().send({ type: 'keep', addresses });
    expect((await ended).detail).toBe('it takes nothing of what the hub says');
  });

  it('that cannot be started is over', async () => {
    const { ended } = start(join(folder, 'nothing.mjs'));
    expect((await ended).code).toBe('radio_process_failed');
  });

  it('that gathers without end is over before it has much memory', async () => {
    // It answers all the while. Past twice its limit it would end by itself, with another status.
    const { ended, log, messages } = run(`
      ${FRAME}
      hub.on('data', () => say('{"type":"pong"}'));
      const all = [];
      const gather = () => {
        for (let count = 0; count < 10_000; count += 1) all.push({ one: all.length, text: String(all.length) });
        if (process.memoryUsage().heapUsed > ${2 * LIMITS.radioHeapMegabytes * 1_048_576}) process.exit(9);
        setTimeout(gather, 5);
      };
      gather();
    `);
    expect((await ended).detail).toBe('SIGABRT');
    expect(messages).toContain('pong');
    const texts = () => log.lines.map(({ fields }) => String(fields.text));
    await vi.waitFor(() => expect(texts()).toContainEqual(expect.stringContaining('heap out of memory')));
  });

  it('is heard as it answers, and what it writes is in the log', async () => {
    const { ended, exited, log, messages } = run(
      `${FRAME} hub.on('data', () => say('{"type":"pong"}'));
       console.log('one'); console.warn('two');
       setTimeout(() => { throw new Error('three'); }, 2_000);`,
    );
    await ended;
    await exited();
    expect(messages.length).toBeGreaterThan(2);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const texts = log.lines.map(({ fields }) => fields.text);
    expect(texts).toEqual(expect.arrayContaining(['one', 'two', 'Error: three']));
  });
});

/** Nothing that others do decides how much is written: every line has a length, and every kind of line a rate. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { LatchkeyError } from '../../src/core/errors.ts';
import { createLog } from '../../src/observe/log.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function collected() {
  const written: string[] = [];
  const log = createLog({ level: 'debug', destination: { write: (line) => void written.push(line) } });
  const lines = () => written.map((line) => JSON.parse(line) as Record<string, unknown>);
  const take = () => {
    const taken = lines();
    written.length = 0;
    return taken;
  };
  return { log, written, lines, take };
}

describe('a line that comes again and again', () => {
  test('is written a few times, and then summed up', () => {
    const { log, take } = collected();
    for (let count = 0; count < 6_612; count += 1)
      log.info({ event: 'line_request', code: 'not_found', line: 'ward-3' }, 'a request of the device was refused');
    expect(take()).toHaveLength(16);
    vi.advanceTimersByTime(2_000);
    expect(take()).toMatchObject([
      { level: 'info', event: 'repeated', of: 'line_request', code: 'not_found', line: 'ward-3', count: 6_596 },
    ]);
  });

  test('for hours is written ever more seldom, and not one is lost from count', () => {
    const { log, written, take } = collected();
    const seconds = 3_600;
    for (let second = 0; second < seconds; second += 1) {
      for (let count = 0; count < 20; count += 1) log.info({ event: 'time_told', device: 'tube-1' }, 'x');
      vi.advanceTimersByTime(1_000);
    }
    log.flush();
    expect(written.length).toBeLessThan(1_300);
    expect(written.join('').length).toBeLessThan(seconds * 100);
    const all = take();
    const told = all.filter(({ event }) => event === 'time_told').length;
    const counted = all.filter(({ event }) => event === 'repeated').reduce((sum, { count }) => sum + Number(count), 0);
    expect(told + counted).toBe(seconds * 20);
  });

  test('is written one by one again once it has become seldom', () => {
    const { log, take } = collected();
    for (let count = 0; count < 1_000; count += 1) log.info({ event: 'line_request' }, 'x');
    vi.advanceTimersByTime(300_000);
    take();
    for (let count = 0; count < 5; count += 1) log.info({ event: 'line_request' }, 'x');
    expect(take()).toHaveLength(5);
  });

  test.each([
    ['of another device', (log: ReturnType<typeof createLog>) => log.info({ event: 'flood', device: 'tube-2' }, 'x')],
    ['of another line', (log: ReturnType<typeof createLog>) => log.child({ line: 'b' }).info({ event: 'flood' }, 'x')],
    ['with another code', (log: ReturnType<typeof createLog>) => log.info({ event: 'flood', code: 'link_down' }, 'x')],
    ['of another event', (log: ReturnType<typeof createLog>) => log.info({ event: 'other', device: 'tube-1' }, 'x')],
    ['that is an error', (log: ReturnType<typeof createLog>) => log.error({ event: 'flood', device: 'tube-1' }, 'x')],
  ])('does not silence one %s', (_name, write) => {
    const { log, take } = collected();
    for (let count = 0; count < 100; count += 1) log.info({ event: 'flood', device: 'tube-1' }, 'x');
    for (let count = 0; count < 100; count += 1) log.child({ line: 'a' }).info({ event: 'flood' }, 'x');
    take();
    write(log);
    expect(take()).toHaveLength(1);
  });

  test('about ever new subjects is bounded all the same, and its kind is summed up', () => {
    const { log, take } = collected();
    for (let count = 0; count < 20_000; count += 1) log.info({ event: 'refused', device: `d-${count}` }, 'x');
    expect(take()).toHaveLength(128);
    vi.advanceTimersByTime(2_000);
    expect(take()).toMatchObject([{ event: 'repeated', of: 'refused', count: 20_000 - 128 }]);
  });

  test.each([
    ['an address', (count: number) => ({ address: `aa:bb:${count}` })],
    ['a key', (count: number) => ({ key: `kid-${count}` })],
  ])('about ever new subjects that a peer chooses, such as %s, silences no line of the hub’s own', (_, chosen) => {
    const { log, take } = collected();
    const flood = (level: 'info' | 'warn') => {
      for (let count = 0; count < 20_000; count += 1) log[level]({ event: 'refused', ...chosen(count) }, 'x');
      return take().length;
    };
    // Each window of the flood is exceeded, so that each next one is longer.
    for (let second = 0; second < 200; second += 1) {
      for (let count = 0; count < 200; count += 1) log.info({ event: 'refused', ...chosen(count) }, 'x');
      vi.advanceTimersByTime(1_000);
    }
    take();
    expect(flood('info')).toBeLessThanOrEqual(64);
    expect(flood('warn')).toBeLessThanOrEqual(64);
    for (const own of [{ device: 'tube-1' }, { line: 'ward-3' }, { issuer: 'https://as' }, { adapter: 'hci0' }, {}])
      for (const level of ['info', 'warn'] as const) {
        log[level]({ event: 'refused', ...own }, 'x');
        log[level]({ event: 'other', ...own }, 'x');
      }
    expect(take()).toHaveLength(20);
  });

  test('about ever new subjects that a peer chooses takes no place from which a noisy device is counted', () => {
    const { log, take } = collected();
    for (let count = 0; count < 5_000; count += 1) log.info({ event: 'refused', address: `aa:bb:${count}` }, 'x');
    take();
    for (let count = 0; count < 1_000; count += 1) log.info({ event: 'refused', device: 'noisy-1' }, 'x');
    expect(take()).toHaveLength(16);
    log.info({ event: 'refused', device: 'tube-1' }, 'x');
    expect(take()).toHaveLength(1);
  });

  test('leaves no timer behind once it is calm', () => {
    const { log } = collected();
    for (let count = 0; count < 100; count += 1) log.info({ event: 'x' }, 'x');
    vi.advanceTimersByTime(300_000);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('is summed up at the end', () => {
    const { log, take } = collected();
    for (let count = 0; count < 20; count += 1) log.warn({ event: 'x' }, 'x');
    take();
    log.flush();
    expect(take()).toMatchObject([{ level: 'warn', event: 'repeated', of: 'x', count: 16 }]);
  });
});

test('a store that fails 550 times a second is told a few times, and then once for each back-off', () => {
  const { log, take } = collected();
  const minutes = 3;
  const error = new LatchkeyError('file_unwritable', 'EIO');
  for (let tenth = 0; tenth < minutes * 600; tenth += 1) {
    for (let count = 0; count < 55; count += 1) log.error({ event: 'audit_failing', error }, 'the store fails');
    vi.advanceTimersByTime(100);
  }
  const lines = take();
  expect(lines.filter(({ event }) => event === 'audit_failing').length).toBeLessThan(4 + 16);
  expect(lines.length).toBeLessThan(40);
});

describe('every line has a length', () => {
  const LONG = `${'word and '.repeat(4_000)}end`;

  test.each<[string, object]>([
    ['a long text', { detail: LONG }],
    ['a long name of a field', { [LONG]: 1 }],
    ['many long texts', Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`f${index}`, LONG]))],
    ['a list of long texts', { list: new Array(256).fill(LONG) }],
    ['lists in lists', { a: new Array(256).fill(new Array(256).fill('x')) }],
    ['an error with a long detail', { error: new LatchkeyError('device_unknown', LONG) }],
    ['a foreign error with a long message and causes', { error: new Error(LONG, { cause: new Error(LONG) }) }],
    ['a text of control characters', { detail: '\u0007'.repeat(30_000) }],
  ])('with %s', (_name, fields) => {
    const { log, written } = collected();
    log.info(fields as never, LONG);
    log.child(fields as never).info({}, 'x');
    for (const line of written) expect(line.length).toBeLessThan(8_192);
    expect(written).toHaveLength(2);
  });

  test('and says how long the text was', () => {
    const { log, lines } = collected();
    log.info({ detail: LONG }, 'x');
    expect(lines()[0]?.detail).toMatch(/^word and .*… \(36003 characters\)$/);
  });

  test('with a token across the cut shows no part of it', () => {
    const { log, written } = collected();
    const opaque = 'Zq7-'.repeat(60);
    for (let before = 780; before < 1_030; before += 10)
      log.info({ event: `e${before}`, detail: `${'. '.repeat(before / 2)}${opaque}` }, 'x');
    expect(written.join('')).not.toContain('Zq7-');
  });
});

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Answered, RequestLog } from '../../../drivers/http/request-log.ts';
import { LatchkeyError } from '../../../src/core/errors.ts';
import { QuietLog } from '../../fakes/quiet-log.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function setup() {
  const log = new QuietLog();
  const requests = new RequestLog(log);
  const answer = (changes: Partial<Answered> = {}) =>
    requests.answered({ method: 'GET', path: '/jwks', status: 200, ms: 1, error: undefined, ...changes }, log);
  const refuse = (changes: Partial<Answered> = {}) =>
    answer({ path: '', status: 404, error: new LatchkeyError('not_found'), ...changes });
  return { answer, log, refuse, requests };
}

describe('the log of requests', () => {
  test('has one line for each', () => {
    const { answer, log, refuse } = setup();
    answer();
    refuse();
    answer({ status: 503, error: new LatchkeyError('keys_too_old', 'as_timeout') });
    expect(log.lines.map(({ level, fields }) => ({ level, ...fields }))).toMatchObject([
      { level: 'info', event: 'http', method: 'GET', path: '/jwks', status: 200, ms: 1 },
      { level: 'info', event: 'refused', status: 404, code: 'not_found' },
      { level: 'warn', event: 'refused', status: 503, code: 'keys_too_old', detail: 'as_timeout' },
    ]);
  });

  test('sums up what is alike within a second', () => {
    const { log, refuse } = setup();
    for (let count = 0; count < 1_000; count += 1) refuse();
    expect(log.lines).toHaveLength(4);
    vi.advanceTimersByTime(1_000);
    expect(log.lines.slice(4).map(({ fields }) => fields)).toEqual([
      { event: 'http_repeated', method: 'GET', path: '', status: 404, code: 'not_found', count: 996 },
    ]);
    refuse();
    expect(log.lines.at(-1)?.fields.event).toBe('refused');
  });

  test('is bounded also where nothing is alike', () => {
    const { answer, log, requests } = setup();
    for (let count = 0; count < 1_000; count += 1) answer({ path: `/${count}` });
    expect(log.lines).toHaveLength(16);
    requests.close();
    expect(log.lines).toHaveLength(16 + 48 + 1);
    expect(log.lines.at(-1)?.fields).toEqual({ event: 'http_repeated', count: 936 });
  });

  test('sets no timer that nobody needs', () => {
    const { requests } = setup();
    expect(vi.getTimerCount()).toBe(0);
    requests.close();
    expect(vi.getTimerCount()).toBe(0);
  });
});

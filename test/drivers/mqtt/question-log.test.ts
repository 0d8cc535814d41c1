import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type AnsweredQuestion, QuestionLog } from '../../../drivers/mqtt/question-log.ts';
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
  const questions = new QuestionLog(log, { isRegistered: (id) => id === 'ekg-1' });
  const answer = (changes: Partial<AnsweredQuestion> = {}) =>
    questions.answered({ device: 'ekg-1', qos: 1, ms: 2, error: undefined, ...changes }, log.child({ request: 'r1' }));
  const refuse = (code: 'as_timeout' | 'request_invalid') => answer({ error: new LatchkeyError(code, 'why') });
  const lines = () => log.lines.map(({ level, fields }) => ({ level, ...fields }));
  return { answer, lines, questions, refuse };
}

describe('the log of questions', () => {
  test('has one line for each, with its device', () => {
    const { answer, lines, questions, refuse } = setup();
    answer();
    refuse('request_invalid');
    refuse('as_timeout');
    questions.ignored('no response topic', 'ekg-1');
    expect(lines()).toMatchObject([
      { level: 'info', event: 'mqtt', device: 'ekg-1', request: 'r1', qos: 1, ms: 2 },
      { level: 'info', event: 'refused', device: 'ekg-1', code: 'request_invalid', detail: 'why' },
      { level: 'warn', event: 'refused', device: 'ekg-1', code: 'as_timeout', detail: 'why' },
      { level: 'warn', event: 'refused', device: 'ekg-1', code: 'response_topic_refused', detail: 'no response topic' },
    ]);
  });

  test('names no device that is not registered', () => {
    const { answer, lines, questions } = setup();
    answer({ device: 'canary', error: new LatchkeyError('device_unknown') });
    questions.ignored('no response topic', 'canary');
    expect(lines()).toMatchObject([{ device: '?' }, { device: '?' }]);
  });

  test('sums up what ends alike within a second', () => {
    const { lines, refuse } = setup();
    for (let count = 0; count < 1_000; count += 1) refuse('request_invalid');
    expect(lines()).toHaveLength(4);
    vi.advanceTimersByTime(1_000);
    expect(lines()[4]).toMatchObject({ event: 'mqtt_repeated', code: 'request_invalid', qos: 1, count: 996 });
    refuse('request_invalid');
    expect(lines()).toHaveLength(6);
  });

  test('tells a failure all the same while there is a flood of another kind', () => {
    const { answer, lines, refuse } = setup();
    for (let count = 0; count < 1_000; count += 1) answer();
    refuse('as_timeout');
    expect(lines().at(-1)).toMatchObject({ code: 'as_timeout' });
  });

  test('sums up when it ends', () => {
    const { answer, lines, questions } = setup();
    for (let count = 0; count < 5; count += 1) answer();
    questions.close();
    expect(lines().at(-1)).toMatchObject({ event: 'mqtt_repeated', count: 1 });
  });
});

import { describe, expect, test } from 'vitest';
import { AnswerMemory } from '../../../drivers/mqtt/answer-memory.ts';
import { FakeTime } from '../../fakes/fake-time.ts';

const answer = (bytes: number) => ({ payload: new Uint8Array(bytes), contentType: 'application/json' });

describe('the memory for answers', () => {
  test('gives an answer back until its lifetime is over', async () => {
    const time = new FakeTime();
    const memory = new AnswerMemory(time, { lifetime: 1_000, bytes: 10_000 });
    const kept = answer(10);
    memory.set('a', kept);
    await time.advance(999);
    expect(memory.get('a')).toBe(kept);
    await time.advance(1);
    expect(memory.get('a')).toBeUndefined();
    expect(memory.size).toBe(0);
  });

  test('forgets the oldest where it would take too much', () => {
    const memory = new AnswerMemory(new FakeTime(), { lifetime: 1_000, bytes: 3_000 });
    for (const key of ['a', 'b', 'c', 'd']) memory.set(key, answer(744));
    expect(['a', 'b', 'c', 'd'].map((key) => memory.get(key) !== undefined)).toEqual([false, true, true, true]);
  });

  test('never holds more than its bytes, whatever comes', () => {
    const memory = new AnswerMemory(new FakeTime(), { lifetime: 1_000, bytes: 3_000 });
    memory.set('a', answer(100));
    memory.set('b', answer(5_000));
    expect(memory.size).toBe(0);
  });

  test('counts an answer once that takes the place of another', () => {
    const memory = new AnswerMemory(new FakeTime(), { lifetime: 1_000, bytes: 3_000 });
    for (let time = 0; time < 100; time += 1) memory.set('a', answer(1_000));
    memory.set('b', answer(1_000));
    expect(memory.size).toBe(2);
  });
});

import { describe, expect, test } from 'vitest';
import type { ErrorCode } from '../../src/core/error-catalogue.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import { firstToProve } from '../../src/flows/among-rivals.ts';
import { ScriptedLink } from '../fakes/scripted-link.ts';
import { asyncCodeOf } from '../fixtures/async-code-of.ts';

/** What came of each that was asked; the last one goes on. */
function asking(codes: readonly (ErrorCode | 'proven')[], changes: { rivals?: number; mayGoOn?: () => boolean } = {}) {
  const link = new ScriptedLink(() => 'silence', true);
  const failures: unknown[] = [];
  let asked = 0;
  const answer = firstToProve({
    link,
    rivals: () => changes.rivals ?? codes.length - 1,
    mayGoOn: changes.mayGoOn ?? (() => true),
    ask: async () => {
      const code = codes[Math.min(asked, codes.length - 1)] ?? 'internal';
      asked += 1;
      if (code !== 'proven') throw new LatchkeyError(code);
      return code;
    },
    onFailure: (error) => void failures.push(error),
  });
  return { answer, link, failures, asked: () => asked };
}

describe('who is asked', () => {
  test('is the next one where one failed without proof', async () => {
    const { answer, failures, link } = asking(['coap_message_invalid', 'device_reset', 'proven']);
    expect(await answer).toBe('proven');
    expect(link.proofs).toEqual([false, false]);
    expect(failures).toHaveLength(2);
  });

  test('is nobody else where there is no time', async () => {
    const { answer, asked } = asking(['device_no_answer', 'proven'], { mayGoOn: () => false });
    expect(await asyncCodeOf(answer)).toBe('device_no_answer');
    expect(asked()).toBe(1);
  });

  test('is nobody else where there is no link', async () => {
    const { answer, asked, link } = asking(['device_no_answer', 'proven']);
    link.isUp = () => false;
    expect(await asyncCodeOf(answer)).toBe('device_no_answer');
    expect(asked()).toBe(1);
  });

  test('is nobody else where the hub itself failed', async () => {
    const { answer, asked, failures, link } = asking(['internal', 'proven']);
    expect(await asyncCodeOf(answer)).toBe('internal');
    expect(asked()).toBe(1);
    expect(failures).toHaveLength(1);
    expect(link.proofs).toEqual([]);
  });
});

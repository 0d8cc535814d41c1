import { expect, test } from 'vitest';
import { LatchkeyError } from '../../src/core/errors.ts';
import { OpenParts } from '../../src/hub/open-parts.ts';
import { QuietLog } from '../fakes/quiet-log.ts';

function parts(...outcomes: readonly (Error | undefined)[]) {
  const log = new QuietLog();
  const opened = new OpenParts(log);
  const closed: number[] = [];
  outcomes.forEach((outcome, index) => {
    opened.add(async () => {
      closed.push(index);
      if (outcome !== undefined) throw outcome;
    });
  });
  return { opened, closed, log };
}

test('the last part that was opened is closed first', async () => {
  const { opened, closed } = parts(undefined, undefined, undefined);
  await opened.close();
  expect(closed).toEqual([2, 1, 0]);
});

test('every part is closed though one fails, and the first error is thrown at the end', async () => {
  const first = new LatchkeyError('file_unwritable', 'the replay window');
  const { opened, closed, log } = parts(undefined, new LatchkeyError('store_corrupt'), undefined, first);
  await expect(opened.close()).rejects.toBe(first);
  expect(closed).toEqual([3, 2, 1, 0]);
  expect(log.events()).toEqual(['close_failed']);
});

test('a second close has nothing to do', async () => {
  const { opened, closed } = parts(undefined);
  await opened.close();
  await opened.close();
  expect(closed).toEqual([0]);
});

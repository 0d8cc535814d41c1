import { expect, test } from 'vitest';
import { type Answered, logAnswer } from '../../../drivers/http/request-log.ts';
import { LatchkeyError } from '../../../src/core/errors.ts';
import { createLog } from '../../../src/observe/log.ts';
import { QuietLog } from '../../fakes/quiet-log.ts';

const answered = (changes: Partial<Answered> = {}): Answered => ({
  method: 'GET',
  path: '/jwks',
  status: 200,
  ms: 1,
  error: undefined,
  ...changes,
});

test('each answer has a line of its own', () => {
  const log = new QuietLog();
  logAnswer(answered(), log);
  logAnswer(answered({ path: '', status: 404, error: new LatchkeyError('not_found') }), log);
  logAnswer(answered({ status: 503, error: new LatchkeyError('keys_too_old', 'as_timeout') }), log);
  expect(log.lines.map(({ level, fields }) => ({ level, ...fields }))).toMatchObject([
    { level: 'info', event: 'http', method: 'GET', path: '/jwks', status: 200, ms: 1 },
    { level: 'info', event: 'refused', status: 404, code: 'not_found' },
    { level: 'warn', event: 'refused', status: 503, code: 'keys_too_old', detail: 'as_timeout' },
  ]);
});

test('answers that are alike, whatever their request is called, are summed up by the log', () => {
  const lines: string[] = [];
  const log = createLog({ level: 'info', destination: { write: (line) => void lines.push(line) } });
  const error = new LatchkeyError('not_found', 'x'.repeat(30_000));
  for (let count = 0; count < 1_000; count += 1)
    logAnswer(answered({ path: '', status: 404, error }), log.child({ request: `r${count}` }));
  logAnswer(answered(), log);
  log.flush();
  expect(lines).toHaveLength(16 + 1 + 1);
  expect(lines.every((line) => line.length < 2_000)).toBe(true);
  expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ of: 'refused', path: '', code: 'not_found', count: 984 });
});

import { LatchkeyError } from '../core/errors.ts';
import type { Terminal } from './command.ts';

/** Option of every command that asks before it does what cannot be undone. */
export const YES = ['--yes', 'do not ask'] as const;

/**
 * Asks before something that cannot be undone. With `--yes` nothing is asked.
 * @throws {LatchkeyError} `request_cancelled` for any answer but yes; `usage` where no answer can be had
 */
export async function confirm(
  question: string,
  {
    json = false,
    terminal,
    yes = false,
  }: { readonly json?: boolean; readonly yes?: boolean; readonly terminal: Terminal },
): Promise<void> {
  if (yes) return;
  if (json) throw new LatchkeyError('usage', `--json asks nothing: say --yes. The question is: ${question}`);
  const answer = await terminal.ask(`${question} [y/N]`);
  if (answer === undefined) throw new LatchkeyError('usage', 'standard input ended before the answer: say --yes');
  if (!/^y(es)?$/i.test(answer))
    throw new LatchkeyError('request_cancelled', 'the answer was not yes; nothing was changed');
}

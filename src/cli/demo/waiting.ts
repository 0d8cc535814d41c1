import { LatchkeyError } from '../../core/errors.ts';

const PAUSE = 20;

/** Resolves once `isSo` says so. @throws {LatchkeyError} `demo_failed` after `deadline` milliseconds */
export async function until(isSo: () => boolean | Promise<boolean>, claim: string, deadline = 5_000): Promise<void> {
  const end = performance.now() + deadline;
  while (!(await isSo())) {
    if (performance.now() > end) throw new LatchkeyError('demo_failed', `not within ${deadline} ms: ${claim}`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
}

/** An operator says that the time floor is wrong. Every token is judged by it, so this is on record. */
import { hex } from '../core/bytes.ts';
import type { Random } from '../core/clock.ts';
import type { ClockResetView } from '../ports/admin.ts';
import type { Audit } from '../ports/audit.ts';

const REQUEST_ID_BYTES = 8;

/** @throws errors of the store, after which the floor is as before */
export async function resetClock(
  { audit, clock }: { readonly audit: Audit; readonly clock: { reset(): Promise<ClockResetView> } },
  random: Random,
): Promise<ClockResetView> {
  const outcome = await clock.reset();
  const request = hex(random.bytes(REQUEST_ID_BYTES));
  audit.record({ kind: 'clock', verdict: 'reset', device: undefined, request });
  return outcome;
}

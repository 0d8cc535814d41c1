/** An operator says that the time floor is wrong. Every token is judged by it, so this is on record. */
import { hex } from '../core/bytes.ts';
import type { Random } from '../core/clock.ts';
import type { TokenBindings } from '../pop/token-bindings.ts';
import type { ClockResetView } from '../ports/admin.ts';
import type { Audit } from '../ports/audit.ts';

const REQUEST_ID_BYTES = 8;

/** @throws errors of the store, after which the floor is as before */
export async function resetClock(
  {
    audit,
    bindings,
    clock,
  }: {
    readonly audit: Audit;
    readonly bindings: Pick<TokenBindings, 'drawLine'>;
    readonly clock: { reset(): Promise<ClockResetView> };
  },
  random: Random,
): Promise<ClockResetView> {
  const outcome = await clock.reset();
  // By the time of before, bindings of tokens may have been forgotten that are alive by the time of now.
  bindings.drawLine();
  const request = hex(random.bytes(REQUEST_ID_BYTES));
  audit.record({ kind: 'clock', verdict: 'reset', device: undefined, request });
  return outcome;
}

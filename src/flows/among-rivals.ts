/**
 * On an open medium several may answer to one name, and a name is nobody's word. Whoever fails without having shown that it
 * knows the setup secret is set aside, and the next one is asked.
 */
import type { ErrorCode } from '../core/error-catalogue.ts';
import { isCoded, type LatchkeyError } from '../core/errors.ts';
import type { DeviceLink } from '../ports/device-link.ts';

/** What anybody can bring about who answers in the place of a device, or does not answer. */
const ANYBODYS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'setup_code_refused',
  'setup_code_dead',
  'device_not_pairable',
  'device_refused_profile',
  'device_answer_invalid',
  'device_no_answer',
  // Whoever was asked hung up.
  'link_down',
  'device_answer_lost',
  'device_reset',
  'coap_message_invalid',
  'coap_option_refused',
  'coap_block_invalid',
]);

export interface RivalsOptions<T> {
  readonly link: DeviceLink;
  /** Others that answer to the same name now. */
  readonly rivals: () => number;
  /** Whether there is time for another one. */
  readonly mayGoOn: () => boolean;
  /** Resolves once whoever answered has shown that it knows the secret. */
  readonly ask: () => Promise<T>;
  /** Told of each failure, the last one too. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * @throws {LatchkeyError} of a single candidate what it said. Where several failed, `setup_code_refused` if one of them said
 *   so, since a device that has another code says that; else what the first of them said
 */
export async function firstToProve<T>({ ask, link, mayGoOn, onFailure, rivals }: RivalsOptions<T>): Promise<T> {
  let reason: LatchkeyError | undefined;
  for (let asked = 1; ; asked += 1) {
    try {
      return await ask();
    } catch (error) {
      onFailure(error);
      if (!isCoded(error) || !ANYBODYS.has(error.code)) throw reason ?? error;
      if (reason === undefined || error.code === 'setup_code_refused') reason = error;
      const others = rivals();
      // A single one that a person only took for another device must not be set aside.
      if (others > 0) link.proven?.(false);
      if (asked > others || !mayGoOn() || !link.isUp()) throw reason;
    }
  }
}

/**
 * AS Request Creation Hints (RFC 9200 §5.3): what a device answers a client that has no good token with, content format
 * 19. Nobody vouches for them: they only say how to ask, and what is asked for is judged when it comes.
 */
import { LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import { type CborKey, type CborValue, decodeCbor, encodeCbor, isCborMap } from './cbor.ts';
import { CREATION_HINT } from './iana.ts';

export interface CreationHints {
  /** Address of the authorization server. */
  readonly as?: string | undefined;
  readonly audience?: string | undefined;
  /** The nonce of a device without a clock, for the `cnonce` parameter of the token request (RFC 9200 §5.8.4.4). */
  readonly cnonce?: Uint8Array | undefined;
}

export function makeCreationHints({ as, audience, cnonce }: CreationHints): Uint8Array {
  const members: readonly (readonly [CborKey, CborValue | undefined])[] = [
    [CREATION_HINT.AS, as],
    [CREATION_HINT.audience, audience],
    [CREATION_HINT.cnonce, cnonce],
  ];
  return encodeCbor(new Map(members.filter((member): member is [CborKey, CborValue] => member[1] !== undefined)));
}

/**
 * Members that are not known are passed over.
 * @throws {LatchkeyError} `cbor_*`, `device_answer_invalid` for members of another type, or a nonce past its limit
 */
export function readCreationHints(bytes: Uint8Array): CreationHints {
  const hints = decodeCbor(bytes);
  if (!isCborMap(hints)) throw invalid('no map');
  const [as, audience, cnonce] = [
    hints.get(CREATION_HINT.AS),
    hints.get(CREATION_HINT.audience),
    hints.get(CREATION_HINT.cnonce),
  ];
  if (as !== undefined && typeof as !== 'string') throw invalid('AS');
  if (audience !== undefined && typeof audience !== 'string') throw invalid('audience');
  if (cnonce !== undefined && !(cnonce instanceof Uint8Array)) throw invalid('cnonce');
  if (cnonce !== undefined && (cnonce.length === 0 || cnonce.length > LIMITS.clientNonceBytes)) throw invalid('cnonce');
  return { as, audience, cnonce };
}

function invalid(member: string): LatchkeyError {
  return new LatchkeyError('device_answer_invalid', `creation hints: ${member}`);
}

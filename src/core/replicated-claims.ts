import { LatchkeyError } from './errors.ts';
import type { JsonObject } from './json.ts';
import type { TokenFacts } from './verified-token.ts';

/**
 * RFC 7519 §5.3: claims that the header of a JWE replicates must be those of the token. The encryption has no signature of
 * its own, so this is what ties the one to the other. The audience is that which the issuer wrote, not that of the device.
 * @throws {LatchkeyError} `jwe_foreign`
 */
export function demandReplicated(
  { iss, sub, aud }: JsonObject,
  { issuer, subject, statedAudience: audience }: Pick<TokenFacts, 'issuer' | 'subject' | 'statedAudience'>,
): void {
  if (iss !== undefined && iss !== issuer) throw new LatchkeyError('jwe_foreign', 'iss');
  if (sub !== undefined && sub !== subject) throw new LatchkeyError('jwe_foreign', 'sub');
  const named = Array.isArray(aud) ? aud : [aud];
  const isSame = named.length === audience.length && named.every((name, index) => name === audience[index]);
  if (aud !== undefined && !isSame) throw new LatchkeyError('jwe_foreign', 'aud');
}

/** Whether a delivery, as the hub tells of it, is the one that a client may sign requests for. */
import { readExiTokenId } from '../codec/exi-token-id.ts';
import { payloadOf, splitCompact } from '../codec/jws.ts';
import { parseStrictJsonObject } from '../codec/strict-json.ts';
import { tokenForm } from '../codec/token-form.ts';
import { equal, sha256 } from '../core/bytes.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';
import type { AccessToken } from './access-token.ts';
import type { Delivery } from './hub-answer.ts';

/** Least bytes of a `cti` that is cut from the token's hash (docs/protocol.md, "Device profiles"). */
const LEAST_TOKEN_ID = 4;

/** What the caller, not the hub, says of the device. */
export interface NamedAudience {
  /** The device's own audience. */
  readonly audience?: string | undefined;
  /** `aud` of the token, where it stands for a whole site and not for this device. */
  readonly tokenAudience?: string | undefined;
}

/**
 * The audience to sign for: the one that the caller named, else the token's own. What the hub says must be the same. The
 * token hash that goes with it cannot be computed here, since the hub makes the CWT. But the `cti` comes from the token
 * that the client has. That of an encrypted token comes from the JWT inside, which the client cannot read: there the audience has to do.
 * @param named by the caller, now or when the token was delivered
 * @throws {LatchkeyError} `client_audience_unknown`; `client_delivery_foreign`
 */
export function audienceToSign(delivery: Delivery, token: AccessToken, named: NamedAudience): string {
  const own = audiencesOf(token.value.expose());
  const [only, ...others] = own ?? [];
  const audience = named.audience ?? (others.length === 0 ? only : undefined);
  if (typeof audience !== 'string') throw new LatchkeyError('client_audience_unknown');
  // A careless caller could name what the hub says: the token is a second source.
  if (own !== undefined && !own.includes(named.tokenAudience ?? audience))
    throw foreign('the token is for another audience');
  if (delivery.audience !== audience) throw foreign('the hub names another audience');
  if (!isOfToken(delivery, token)) throw foreign('the hub names another token');
  return audience;
}

function isOfToken({ cti, device }: Delivery, token: AccessToken): boolean {
  const text = token.value.expose();
  if (tokenForm(text) === 'encrypted') return true;
  const digest = sha256(text);
  if (cti.length >= LEAST_TOKEN_ID && equal(cti, digest.subarray(0, cti.length))) return true;
  // Of a token for a device without a clock: the device, the date, and 32 bits of the same hash.
  const sequence = readExiTokenId(cti, device);
  return sequence !== undefined && Number(sequence & 0xffff_ffffn) === Buffer.from(digest).readUInt32BE(0);
}

/** `aud` of a JWT, unverified; undefined where the token has none that can be read. */
function audiencesOf(token: string): readonly JsonValue[] | undefined {
  let claims: JsonObject;
  try {
    claims = parseStrictJsonObject(payloadOf(splitCompact(token)), { code: 'jwt_malformed' });
  } catch (error) {
    if (!isCoded(error)) throw error;
    // Not a JWT, or none that this library reads: what it is for is for the caller to name.
    return undefined;
  }
  const { aud } = claims;
  return aud === undefined ? undefined : Array.isArray(aud) ? aud : [aud];
}

function foreign(detail: string): LatchkeyError {
  return new LatchkeyError('client_delivery_foreign', detail);
}

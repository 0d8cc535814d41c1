/** What the AS says of a JWT of an unknown form, held against what it signed. Pure. */
import { isDeepStrictEqual } from 'node:util';
import { LatchkeyError } from '../core/errors.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';
import { meetsDemand, ownMember, readMemberDemand } from '../core/member-demand.ts';
import { demandAccessTokenKind } from '../trust/access-token-kind.ts';
import type { SharedAudience } from '../trust/addressee.ts';
import type { SignedClaims } from '../trust/signed-claims.ts';
import type { ActiveAnswer } from './answer-for-device.ts';

/**
 * The answer with what the token has where the answer says nothing, and no more than both have where both say something: audience,
 * scope, `authorization_details`, end. A key that one of them names has to be proven, and they may not name two.
 * @throws {LatchkeyError} `jwt_type_refused`, `jwt_claim_required`; `jwt_audience_mismatch`, `jwt_claim_invalid`, `confirmation_invalid`
 *   where answer and token contradict each other
 */
export function boundedBy(
  signed: SignedClaims,
  answer: ActiveAnswer,
  shared: SharedAudience | undefined,
): ActiveAnswer {
  const { members } = answer;
  demandAccessTokenKind(members);
  for (const text of signed.demands) {
    const demand = readMemberDemand(text);
    if (demand === undefined || !meetsDemand(members, demand)) throw new LatchkeyError('jwt_claim_required', text);
  }
  if (signed.clientId !== undefined && (answer.clientId ?? signed.clientId) !== signed.clientId)
    throw new LatchkeyError('jwt_claim_invalid', 'client_id: token and answer name two');
  const audience = inBoth(answer.audience.length === 0 ? undefined : answer.audience, signed.audience);
  if (audience?.length === 0)
    throw new LatchkeyError('jwt_audience_mismatch', 'token and answer have no audience in common');
  const scope = inBoth(members.scope === undefined ? undefined : answer.scope, signed.scope);
  const expiresAt = earlier(answer.expiresAt, signed.expiresAt);
  const confirmation = confirmationOf(signed.confirmation, answer.confirmation);
  const subject = answer.subject ?? signed.subject;
  const clientId = answer.clientId ?? signed.clientId;
  const filled = {
    aud: audience?.length === 1 ? audience[0] : audience,
    scope: scope?.join(' '),
    exp: expiresAt,
    cnf: confirmation,
    sub: subject,
    client_id: clientId,
    ...detailsOf(signed, members, shared),
  };
  return {
    ...answer,
    audience: audience ?? [],
    scope: scope ?? [],
    expiresAt,
    confirmation,
    subject,
    clientId,
    members: { ...members, ...(definedOf(filled) as JsonObject) },
  };
}

function inBoth(
  said: readonly string[] | undefined,
  own: readonly string[] | undefined,
): readonly string[] | undefined {
  return said === undefined || own === undefined ? (said ?? own) : said.filter((each) => own.includes(each));
}

function earlier(said: number | undefined, own: number | undefined): number | undefined {
  return said === undefined || own === undefined ? (said ?? own) : Math.min(said, own);
}

/** All that either names. A second method beside the first is for the judge of proofs to accept or not. */
function confirmationOf(own: JsonObject | undefined, said: JsonObject | undefined): JsonObject | undefined {
  if (own === undefined || said === undefined) return said ?? own;
  for (const [name, value] of Object.entries(said)) {
    const signed = ownMember(own, name);
    if (signed !== undefined && !isDeepStrictEqual(signed, value))
      throw new LatchkeyError('confirmation_invalid', `cnf.${name}: token and answer name two keys`);
  }
  return { ...own, ...said };
}

/** What names the device, or says what is authorized, beside audience and scope. */
function detailsOf(
  { claims }: SignedClaims,
  members: JsonObject,
  shared: SharedAudience | undefined,
): Readonly<Record<string, JsonValue | undefined>> {
  const { naming } = shared ?? {};
  const own = claims.authorization_details;
  const said = members.authorization_details;
  const named =
    naming?.by === 'claim' && ownMember(members, naming.claim) === undefined
      ? { [naming.claim]: ownMember(claims, naming.claim) }
      : {};
  if (said === undefined)
    return naming?.by === 'authorization_details' ? { ...named, authorization_details: own } : named;
  if (own === undefined) return named;
  if (!Array.isArray(own) || !Array.isArray(said))
    throw new LatchkeyError('jwt_claim_invalid', 'authorization_details');
  const signed = own as readonly JsonValue[];
  const kept = (said as readonly JsonValue[]).filter((each) => signed.some((one) => isDeepStrictEqual(one, each)));
  return { ...named, authorization_details: kept };
}

function definedOf(members: Readonly<Record<string, JsonValue | undefined>>) {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

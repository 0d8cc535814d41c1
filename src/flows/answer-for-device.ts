/** An introspection answer about a token with an audience that stands for many devices, as one for the device that it names. */
import type { IntrospectedToken } from '../core/introspected-token.ts';
import type { JsonObject } from '../core/json.ts';
import type { VerifiedToken } from '../core/verified-token.ts';
import {
  type AskedDevice,
  addressedTo,
  detailsScopeOf,
  inPlaceOf,
  type SharedAudience,
  scopesOf,
} from '../trust/addressee.ts';

export type ActiveAnswer = Extract<IntrospectedToken, { readonly active: true }>;

/**
 * With the device's own audience, and the scope that is for it, in all of the answer.
 * @param verified the same token as its own signature has it: then it has named the device already, and the answer can only narrow
 *   its scope
 * @throws {LatchkeyError} as `addressedTo`
 */
export function answerFor(
  device: AskedDevice,
  answer: ActiveAnswer,
  shared: SharedAudience,
  verified: VerifiedToken | undefined,
): ActiveAnswer {
  // An AS need not say `aud` again (RFC 7662 §2.2): the token has it.
  const isShared = [answer, { audience: verified?.statedAudience ?? [] }].some(({ audience }) =>
    audience.includes(shared.audience),
  );
  if (!isShared) return answer;
  const { audience, scope } =
    verified === undefined
      ? addressedTo(answer, answer.members, shared, device)
      : {
          audience: inPlaceOf(shared.audience, device.audience, answer.audience),
          scope: narrowed(device, answer, shared, verified),
        };
  return { ...answer, audience, scope, members: membersFor(answer.members, audience, scope) };
}

function narrowed(
  device: AskedDevice,
  answer: ActiveAnswer,
  { naming }: SharedAudience,
  verified: VerifiedToken,
): readonly string[] {
  const { members, scope } = answer;
  if (naming.by === 'authorization_details') return narrowedDetails(device, answer, naming.type, verified);
  if (members.scope === undefined) return verified.scope;
  const said = naming.by === 'scope' ? scopesOf(device.id, scope, naming.pattern) : scope;
  return verified.scope.filter((name) => said.includes(name));
}

/**
 * What the AS says again can only take something back: its details, and its scope where that speaks of actions. A scope such as
 * `openid`, in token and answer, says nothing of them.
 */
function narrowedDetails(
  device: AskedDevice,
  { members, scope }: ActiveAnswer,
  type: string,
  verified: VerifiedToken,
): readonly string[] {
  const details = members.authorization_details;
  const left = details === undefined ? undefined : detailsScopeOf(device, details, type);
  const speaksOfActions = [...scope, ...verified.statedScope].some((name) => verified.scope.includes(name));
  return verified.scope.filter(
    (name) =>
      (left === undefined || left.includes(name)) &&
      (members.scope === undefined || !speaksOfActions || scope.includes(name)),
  );
}

/** `authorization_details` of other devices, or of other types, mean nothing here; those of this one are its scope. */
function membersFor(members: JsonObject, audience: readonly string[], scope: readonly string[]): JsonObject {
  const { authorization_details: _details, aud: _aud, ...others } = members;
  const [only] = audience;
  // Where the AS does not say it again, that of the JWT is filled in.
  const aud = audience.length === 0 ? {} : { aud: audience.length === 1 && only !== undefined ? only : audience };
  // An empty text, where no scope is left: what is missing would be filled in from the JWT.
  return { ...others, ...aud, scope: scope.join(' ') };
}

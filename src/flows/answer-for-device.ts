/** An introspection answer about a token with an audience that stands for many devices, as one for the device that it names. */
import type { IntrospectedToken } from '../core/introspected-token.ts';
import type { JsonObject } from '../core/json.ts';
import type { VerifiedToken } from '../core/verified-token.ts';
import { type AskedDevice, addressedTo, inPlaceOf, type SharedAudience, scopesOf } from '../trust/addressee.ts';

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
  if (!answer.audience.includes(shared.audience)) return answer;
  const { audience, scope } =
    verified === undefined
      ? addressedTo(answer, answer.members, shared, device)
      : {
          audience: inPlaceOf(shared.audience, device.audience, answer.audience),
          scope: narrowed(device.id, answer, shared, verified),
        };
  return { ...answer, audience, scope, members: membersFor(answer.members, audience, scope) };
}

function narrowed(
  device: string,
  { members, scope }: ActiveAnswer,
  { naming }: SharedAudience,
  verified: VerifiedToken,
): readonly string[] {
  if (members.scope === undefined || naming.by === 'authorization_details') return verified.scope;
  const said = naming.by === 'scope' ? scopesOf(device, scope, naming.pattern) : scope;
  return verified.scope.filter((name) => said.includes(name));
}

/** `authorization_details` of other devices, or of other types, mean nothing here; those of this one are its scope. */
function membersFor(members: JsonObject, audience: readonly string[], scope: readonly string[]): JsonObject {
  const { authorization_details: _details, ...others } = members;
  const [only] = audience;
  const aud = audience.length === 1 && only !== undefined ? only : audience;
  // An empty text, where no scope is left: what is missing would be filled in from the JWT.
  return { ...others, aud, scope: scope.join(' ') };
}

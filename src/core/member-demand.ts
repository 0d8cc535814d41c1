/** What a setting demands of the members of a JSON object: of a token's claims, or of its header. */
import type { JsonObject, JsonValue } from './json.ts';

/** `name`, `name|other`: one of these is there. `name=value`, `name=value|other`: it is there with one of these texts. */
export interface MemberDemand {
  readonly names: readonly string[];
  /** Undefined where any value will do. */
  readonly values: readonly string[] | undefined;
}

/** Undefined where the text is no demand: a name or a value is empty, or several names have a value. */
export function readMemberDemand(text: string): MemberDemand | undefined {
  const end = text.indexOf('=');
  const names = (end === -1 ? text : text.slice(0, end)).split('|');
  const values = end === -1 ? undefined : text.slice(end + 1).split('|');
  if (names.includes('') || values?.includes('') === true) return undefined;
  return values !== undefined && names.length > 1 ? undefined : { names, values };
}

export function meetsDemand(members: JsonObject, { names, values }: MemberDemand): boolean {
  return names.some((name) => {
    const value = ownMember(members, name);
    if (value === undefined) return false;
    return values === undefined || (typeof value === 'string' && values.includes(value));
  });
}

/**
 * A member by a name that an operator chose, which may be that of a member that every object has: these are functions, and
 * `__proto__`, and JSON has neither (codec/strict-json.ts). `Object.hasOwn` takes ten times as long, for each token.
 */
export function ownMember(members: JsonObject, name: string): JsonValue | undefined {
  const value = members[name];
  return typeof value === 'function' || name === '__proto__' ? undefined : value;
}

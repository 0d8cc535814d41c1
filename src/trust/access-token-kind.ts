/** What tokens, and answers about them, say of their kind: names that servers use beside `typ` of the header. */
import { LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';

/**
 * Members that say what a token is, and what they say of an access token, lower case. `typ`: Keycloak (`ID`, `Refresh`, `Logout`).
 * `token_use`: Cognito (`id`), Hydra (`refresh_token`). `tokenName`: ForgeRock (`id_token`). `token_type`: RFC 7662 §2.2 has `Bearer`;
 * servers that write JWT refresh tokens have `refresh_token`.
 */
const KINDS = ['typ', 'token_use', 'tokenName', 'token_type'] as const;
const OF_ACCESS_TOKENS: ReadonlySet<string> = new Set([
  'bearer',
  'dpop',
  'pop',
  'access',
  'access_token',
  'at+jwt',
  'jwt',
  'urn:ietf:params:oauth:token-type:access_token',
  'urn:ietf:params:oauth:token-type:jwt',
]);

/** Claims of ID tokens and of logout tokens that no access token has (OpenID Connect Core §3.3.2.11, FAPI 1.0 part 2 §5.1.1, RFC 8417). */
const OF_OTHERS = ['at_hash', 'c_hash', 's_hash', 'events'] as const;

/**
 * @param members claims of a token, or members of an introspection answer
 * @throws {LatchkeyError} `jwt_type_refused`
 */
export function demandAccessTokenKind(members: JsonObject): void {
  for (const name of OF_OTHERS)
    if (members[name] !== undefined) throw new LatchkeyError('jwt_type_refused', `no access token: it has ${name}`);
  for (const name of KINDS) {
    const kind = members[name];
    if (kind === undefined || (typeof kind === 'string' && OF_ACCESS_TOKENS.has(kind.toLowerCase()))) continue;
    throw new LatchkeyError('jwt_type_refused', `no access token, as ${name} says`);
  }
}

/** What servers call tokens that a device must not accept, whatever else they call an access token. */
const OTHER_KIND = /^(?:refresh(?:_token|token)?|offline|id|id_token|idtoken|logout)$/i;

/**
 * The same for an answer about an opaque token, which an AS may give for a refresh token too, and for a JWT whose `typ` does not say
 * what it is: what is said is no access token. Other words may mean one.
 * @throws {LatchkeyError} `jwt_type_refused`
 */
export function refuseOtherKinds(members: JsonObject): void {
  for (const name of KINDS) {
    const kind = members[name];
    if (typeof kind === 'string' && OTHER_KIND.test(kind))
      throw new LatchkeyError('jwt_type_refused', `no access token, as ${name} says`);
  }
}

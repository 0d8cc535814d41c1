/** What an introspection answer says (RFC 7662 §2.2), whether it came as JSON or inside a signed answer. Pure. */
import { claimReaders } from '../../codec/claim-values.ts';
import { fromBase64url } from '../../core/bytes.ts';
import { LatchkeyError } from '../../core/errors.ts';
import type { IntrospectedFacts } from '../../core/introspected-token.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../core/json.ts';
import { Secret } from '../../core/secret.ts';
import type { TokenTimes } from '../../core/token-times.ts';

/** An answer that was read, and not yet held against the present. */
export type IntrospectionAnswer =
  | { readonly active: false }
  | (IntrospectedFacts & TokenTimes & { readonly active: true });

const { text, date, audience, scope, object } = claimReaders('introspection_answer_invalid');

/**
 * Reads the members of an answer, each of the type that RFC 7662 §2.2 gives it. Of an inactive token nothing is read.
 * @throws {LatchkeyError} `introspection_answer_invalid`; `introspection_answer_untrusted`: it is of another issuer
 */
export function readAnswer(members: JsonObject, issuer: string): IntrospectionAnswer {
  const { active, iss, exp, nbf, iat, aud, sub, client_id: clientId, scope: scopes } = members;
  if (typeof active !== 'boolean') throw invalid('active');
  if (!active) return { active };
  const named = text(iss, 'iss');
  // A server that relays for others would have their tokens pass for its own.
  if (named !== undefined && named !== issuer) throw new LatchkeyError('introspection_answer_untrusted', 'iss');
  for (const name of ['username', 'token_type', 'jti'] as const) text(members[name], name);
  const { confirmation, confirmationKey } = readConfirmation(object(members.cnf, 'cnf'));
  // Hydra writes an empty list where the client asked for no audience. It means the same as no `aud`.
  const { aud: _empty, ...others } = members;
  const namesNone = Array.isArray(aud) && aud.length === 0;
  const kept = namesNone ? others : members;
  return {
    active,
    members: confirmation === undefined ? kept : { ...kept, cnf: confirmation },
    expiresAt: date(exp, 'exp'),
    notBefore: date(nbf, 'nbf'),
    issuedAt: date(iat, 'iat'),
    audience: namesNone ? [] : (audience(aud, 'aud') ?? []),
    scope: scope(scopes, 'scope'),
    subject: text(sub, 'sub'),
    clientId: text(clientId, 'client_id'),
    confirmation,
    confirmationKey,
  };
}

type Confirmation = Pick<IntrospectedFacts, 'confirmation' | 'confirmationKey'>;

/** Methods by which a proof can be checked. Others may be secrets, such as `osc` (RFC 9203 §3.2): they are left out. */
const METHODS = ['jwk', 'jkt', 'x5t#S256', 'kid'] as const;
/** Bytes of a symmetric key: A128GCM has the least of all that are used, HMAC-SHA-512 the most. */
const KEY_BYTES = { least: 16, most: 64 } as const;
/** Members of a private key (RFC 7518 §6.2.2, §6.3.2). */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth'] as const;

/** Members of a public key (RFC 7517 §4, RFC 7518 §6.2.1 and §6.3.1, RFC 8037 §2), and the types that have no others. */
const PUBLIC_MEMBERS: ReadonlySet<string> = new Set(
  'kty use key_ops alg kid x5u x5c x5t x5t#S256 crv x y n e'.split(' '),
);
const PUBLIC_TYPES: ReadonlySet<JsonValue | undefined> = new Set(['EC', 'OKP', 'RSA']);

/**
 * Whether a `cnf` as the AS wrote it can be shown to anybody: it has nothing but public keys, hashes and names of keys.
 * A member that is not known may be a secret, such as `osc`.
 */
export function isPublicConfirmation(cnf: JsonValue | undefined): boolean {
  if (cnf === undefined) return true;
  if (!isJsonObject(cnf)) return false;
  return Object.entries(cnf).every(([name, value]) =>
    name === 'jwk' ? isPublicKey(value) : METHODS.some((method) => method === name) && typeof value === 'string',
  );
}

function isPublicKey(jwk: JsonValue): boolean {
  return (
    isJsonObject(jwk) && PUBLIC_TYPES.has(jwk.kty) && Object.keys(jwk).every((member) => PUBLIC_MEMBERS.has(member))
  );
}

function readConfirmation(cnf: JsonObject | undefined): Confirmation {
  if (cnf === undefined) return { confirmation: undefined, confirmationKey: undefined };
  const confirmation = Object.fromEntries(
    METHODS.flatMap((name) => (cnf[name] === undefined ? [] : [[name, cnf[name]] as const])),
  );
  for (const name of ['jkt', 'x5t#S256', 'kid'] as const) text(confirmation[name], `cnf.${name}`);
  const jwk = object(confirmation.jwk, 'cnf.jwk');
  if (jwk === undefined) return { confirmation, confirmationKey: undefined };
  if (PRIVATE_MEMBERS.some((name) => jwk[name] !== undefined)) throw invalid('cnf.jwk is a private key');
  const { k, ...open } = jwk;
  if (jwk.kty !== 'oct') {
    if (k !== undefined) throw invalid('cnf.jwk');
    return { confirmation, confirmationKey: undefined };
  }
  demandKeyBytes(k);
  return { confirmation: { ...confirmation, jwk: open }, confirmationKey: new Secret(jwk) };
}

function demandKeyBytes(k: JsonObject[string] | undefined): void {
  if (typeof k !== 'string') throw invalid('cnf.jwk.k');
  let length: number;
  try {
    length = fromBase64url(k).length;
  } catch {
    throw invalid('cnf.jwk.k');
  }
  if (length < KEY_BYTES.least || length > KEY_BYTES.most) throw invalid('cnf.jwk.k');
}

function invalid(name: string): LatchkeyError {
  return new LatchkeyError('introspection_answer_invalid', name);
}

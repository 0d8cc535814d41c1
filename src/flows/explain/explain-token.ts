/** Why a token is accepted or refused for one device, step by step, and what would have it accepted. */
import { parseStrictJsonObject } from '../../codec/strict-json.ts';
import { tokenForm } from '../../codec/token-form.ts';
import { fromBase64url } from '../../core/bytes.ts';
import type { ErrorCode } from '../../core/error-catalogue.ts';
import { isCoded, type LatchkeyError } from '../../core/errors.ts';
import type { JsonObject } from '../../core/json.ts';
import { algorithmsNamed, JWT_ALGORITHMS } from '../../core/jwt-algorithms.ts';
import { meetsDemand, readMemberDemand } from '../../core/member-demand.ts';
import { shown } from '../../core/shown.ts';
import type { BindMode } from '../../core/verified-token.ts';
import { dialectOfToken, whyNoAccessToken } from '../../trust/recognise-dialect.ts';
import { reasonForAudience } from './reason-for-audience.ts';
import { recipeFor } from './recipes.ts';
import { closestPolicy, type Remedy, type RemedySearch, remedyFor } from './remedy.ts';
import { type Trial, type TriedDevice, tryToken } from './try-token.ts';

/** In the order in which the hub goes through them. */
const STEPS = [
  'form',
  'issuer',
  'header',
  'signature',
  'kind',
  'claims',
  'audience',
  'times',
  'scope',
  'confirmation',
  'size',
] as const;
type StepName = (typeof STEPS)[number];

interface Step {
  readonly step: StepName;
  readonly result: 'good' | 'refused' | 'not reached';
  /** What the token has there, and what is expected. */
  readonly says: string;
}

export interface Explanation {
  readonly accepted: boolean;
  readonly code: ErrorCode | undefined;
  readonly title: string | undefined;
  readonly steps: readonly Step[];
  /** Settings of the issuer that would have it accepted. */
  readonly remedy: Remedy | undefined;
  /** Why no setting of the issuer helps, and what does; undefined where there is a remedy, or nothing to mend. */
  readonly reason: string | undefined;
}

const STEP_OF: Partial<Record<ErrorCode, StepName>> = {
  jwt_malformed: 'form',
  jwt_too_large: 'form',
  jwe_foreign: 'issuer',
  jwt_critical_unknown: 'header',
  jwt_issuer_unknown: 'issuer',
  jwt_header_refused: 'header',
  jwt_algorithm_refused: 'header',
  jwt_type_refused: 'header',
  jwt_signature_invalid: 'signature',
  key_unknown: 'signature',
  jwt_claim_required: 'kind',
  jwt_claim_missing: 'claims',
  jwt_claim_invalid: 'claims',
  claim_not_translatable: 'claims',
  jwt_audience_mismatch: 'audience',
  audience_ambiguous: 'audience',
  device_unnamed: 'audience',
  device_ambiguous: 'audience',
  jwt_expired: 'times',
  jwt_not_yet_valid: 'times',
  jwt_issued_in_future: 'times',
  lifetime_empty: 'times',
  clock_unsure: 'times',
  cnonce_missing: 'times',
  scope_empty: 'scope',
  confirmation_missing: 'confirmation',
  confirmation_invalid: 'confirmation',
  confirmation_unsupported: 'confirmation',
  token_too_large_for_device: 'size',
};

/** A token that is read as a JWT. */
export function explainToken(jwt: string, search: Omit<RemedySearch, 'header' | 'claims'>): Explanation {
  const read = readParts(jwt);
  if (read === undefined) return unreadable(jwt, search.device);
  const whole: RemedySearch = { ...search, ...read };
  const trial = tryToken(jwt, search.policy, search);
  const steps = stepsOf(trial, whole);
  const { error } = trial;
  if (error === undefined) {
    return { accepted: true, code: undefined, title: undefined, steps, remedy: undefined, reason: undefined };
  }
  const remedy = remedyFor(jwt, whole);
  const reason = remedy === undefined ? reasonFor(farthest(jwt, error, whole), whole) : undefined;
  return { accepted: false, code: error.code, title: error.entry.title, steps, remedy, reason };
}

/** Header and claims as they stand there; undefined where the text is no JWT that is signed and readable. */
export function readParts(jwt: string): { readonly header: JsonObject; readonly claims: JsonObject } | undefined {
  const parts = jwt.split('.');
  if (parts.length !== 3) return undefined;
  try {
    const [header, claims] = parts.slice(0, 2).map((part) => parseStrictJsonObject(fromBase64url(part)));
    return header === undefined || claims === undefined ? undefined : { header, claims };
  } catch (error) {
    if (isCoded(error)) return undefined;
    throw error;
  }
}

/** The steps of a token that was refused at one of them, for what was said up to there. */
export function stoppedAt(refused: StepName, said: Partial<Readonly<Record<StepName, string>>>): readonly Step[] {
  const end = STEPS.indexOf(refused);
  return STEPS.map((step, index) => ({
    step,
    result: index < end ? 'good' : index === end ? 'refused' : 'not reached',
    says: said[step] ?? '',
  }));
}

/**
 * What a text is that is no readable JWT.
 * @param undecrypted why an encrypted one could not be decrypted
 */
export function unreadable(
  text: string,
  { takesTokens }: Pick<TriedDevice, 'takesTokens'>,
  undecrypted?: LatchkeyError,
): Explanation {
  const form = formOf(text, undecrypted);
  return {
    accepted: false,
    code: form.code,
    title: form.title,
    steps: STEPS.map((step) => ({
      step,
      result: step === 'form' ? 'refused' : 'not reached',
      says: step === 'form' ? form.title : '',
    })),
    remedy: undefined,
    reason: takesTokens ? form.offline : form.connected,
  };
}

interface Form {
  readonly code: ErrorCode;
  readonly title: string;
  readonly offline: string;
  readonly connected: string;
}

function formOf(text: string, undecrypted: LatchkeyError | undefined): Form {
  const parts = text.split('.');
  if (tokenForm(text) === 'encrypted') return encryptedForm(undecrypted);
  if (parts.length === 3 && parts.every((part) => /^[A-Za-z0-9_-]+$/.test(part))) {
    const fix = 'A part of it is not base64url, or not JSON, or has a member twice. Check that it is the whole token.';
    return {
      code: 'jwt_malformed',
      title: 'The token has the form of a JWT, and cannot be read',
      offline: fix,
      connected: fix,
    };
  }
  return {
    code: 'token_opaque',
    title: 'The token is opaque: it is no JWT',
    offline: 'An offline device cannot ask about it. Have the server write JWTs for this API.',
    connected: ASKED,
  };
}

function encryptedForm(undecrypted: LatchkeyError | undefined): Form {
  const title = 'The token is encrypted as a whole (JWE)';
  if (undecrypted === undefined || undecrypted.code === 'token_encrypted') {
    const fix =
      'It is for another key than those of the hub. Give the server the key at `/jwks?issuer=` of the hub, or turn encryption off for this API, so that it writes a signed JWT.';
    return { code: 'token_encrypted', title, offline: fix, connected: ASKED };
  }
  const { code, entry } = undecrypted;
  if (entry.status === 401)
    return { code, title: `${title}: ${entry.title}`, offline: entry.fix, connected: entry.fix };
  const missing =
    code === 'store_locked'
      ? 'This command decrypts it with the keys in the state folder, and a hub that runs has them in use. Stop the hub for this, or check the JWT inside.'
      : `This command decrypts it with the keys in the state folder, and cannot read them: ${entry.title} (${code}).`;
  return { code: 'token_encrypted', title, offline: missing, connected: missing };
}

const ASKED =
  'The hub asks the server about such a token (introspection), and this command does not. Set client_id of the issuer; `latchkey audit list` has what the server answered.';

function stepsOf({ bytes, error, token }: Trial, search: RemedySearch): readonly Step[] {
  const refused = error === undefined ? STEPS.length : STEPS.indexOf(stepOf(error));
  return STEPS.map((step, index) => ({
    step,
    result: index < refused ? 'good' : index === refused ? 'refused' : 'not reached',
    says:
      index <= refused
        ? said(step, search, { bytes, error: index === refused ? error : undefined, scope: token?.scope })
        : '',
  }));
}

function stepOf(error: LatchkeyError): StepName {
  if (error.code === 'jwt_type_refused' && error.detail?.startsWith('an ID token') === true) return 'kind';
  if (error.code === 'jwt_claim_missing' && error.detail === 'iss') return 'issuer';
  return STEP_OF[error.code] ?? 'confirmation';
}

function said(
  step: StepName,
  { claims, decrypted, device, header, policy }: RemedySearch,
  {
    bytes,
    error,
    scope,
  }: {
    readonly bytes: number | undefined;
    readonly error: LatchkeyError | undefined;
    readonly scope: readonly string[] | undefined;
  },
): string {
  // It says itself what there is and what is expected.
  if (error?.detail?.includes(', expected ') === true) return `${error.entry.title}: ${error.detail}`;
  const fault =
    error === undefined ? '' : `: ${error.entry.title}${error.detail === undefined ? '' : ` (${error.detail})`}`;
  return `${facts(step, { claims, decrypted, device, header, policy }, bytes, scope)}${fault}`;
}

function facts(
  step: StepName,
  {
    claims,
    decrypted,
    device,
    header,
    policy,
  }: Pick<RemedySearch, 'claims' | 'decrypted' | 'device' | 'header' | 'policy'>,
  bytes: number | undefined,
  scope: readonly string[] | undefined,
): string {
  switch (step) {
    case 'form':
      return decrypted !== undefined ? 'a signed JWT, encrypted for this hub' : 'a signed JWT';
    case 'issuer':
      return `iss is ${shown(claims.iss)}, configured with dialect "${policy.dialect}"`;
    case 'header':
      return `typ is ${shown(header.typ)}, expected ${policy.tokenTypes.join(' or ')}; alg is ${shown(header.alg)}, expected ${policy.algorithms.join(' or ')}`;
    case 'signature':
      return `kid is ${shown(header.kid)}`;
    case 'kind':
      return policy.requiredClaims.length === 0
        ? 'no claim is demanded'
        : `demanded: ${policy.requiredClaims.join(', ')}`;
    case 'claims':
      return `${Object.keys(claims).length} claims`;
    case 'audience': {
      const name = policy.audienceClaims.find((one) => claims[one] !== undefined) ?? 'aud';
      const shared = policy.sharedAudience === undefined ? '' : ` or the shared "${policy.sharedAudience.audience}"`;
      return `${name} is ${shown(claims[name])}, expected "${device.audience}"${shared}`;
    }
    case 'times':
      return `iat is ${dated(claims.iat)}, nbf is ${dated(claims.nbf)}, exp is ${dated(claims.exp)}`;
    case 'scope':
      return device.takesTokens
        ? `scope is ${shown(scope as string[] | undefined)}, the device has ${device.profile.scopes.join(' ')}`
        : `scope is ${shown(scope as string[] | undefined)}`;
    case 'confirmation':
      return claims.cnf === undefined
        ? withoutKey(device.profile.bind === 'issuer' ? policy.bind : device.profile.bind, policy)
        : `cnf has ${Object.keys(claims.cnf ?? {})
            .map((name) => shown(name))
            .join(' and ')}`;
    case 'size':
      return bytes === undefined
        ? 'no limit'
        : `about ${bytes} bytes as a CWT, the device takes ${device.profile.maxTokenBytes}`;
  }
}

/** What a running hub alone can tell is said as a condition. */
function withoutKey(bind: BindMode, { leeway }: RemedySearch['policy']): string {
  const condition =
    bind === 'first-presenter'
      ? `; if no other key presented it, and it was issued more than ${leeway} s after the start of the hub (else token_bound_elsewhere, token_binding_unknown)`
      : '';
  return `cnf is missing, bind is "${bind}"${condition}`;
}

function dated(value: unknown): string {
  if (value === undefined) return 'missing';
  const date = typeof value === 'number' ? new Date(value * 1_000) : undefined;
  return date === undefined || Number.isNaN(date.getTime()) ? 'no date' : date.toISOString();
}

/** The refusal at the later step: with the settings as they are, or with those of the server that seems to have written the token. */
function farthest(jwt: string, refusal: LatchkeyError, search: RemedySearch): LatchkeyError {
  const { error = refusal } = tryToken(jwt, closestPolicy(search), search);
  return STEPS.indexOf(stepOf(error)) > STEPS.indexOf(stepOf(refusal)) ? error : refusal;
}

/** What helps where no setting of the issuer does. */
function reasonFor(error: LatchkeyError, { claims, device, header, policy }: RemedySearch): string {
  const kind = whyNoAccessToken(header, claims);
  if (kind !== undefined)
    return `This is no access token: ${kind}. Send the access token. ID tokens are refused under every dialect.`;
  switch (error.code) {
    case 'jwt_algorithm_refused':
      return algorithmsNamed(typeof header.alg === 'string' ? header.alg : '').length === 0
        ? `No issuer may use ${shown(header.alg)}: have the server sign with one of ${JWT_ALGORITHMS.join(', ')}.`
        : error.entry.fix;
    case 'jwt_audience_mismatch':
    case 'device_unnamed':
    case 'jwt_claim_missing':
      return error.code === 'jwt_claim_missing' && error.detail !== 'aud'
        ? `The token has no ${shown(error.detail)}: have the server write that claim.`
        : reasonForAudience(error.code, { claims, device, header, policy });
    case 'jwt_header_refused':
      return header.zip === undefined
        ? error.entry.fix
        : `The payload is compressed (zip is ${shown(header.zip)}): switch compression off at the server.`;
    case 'confirmation_unsupported':
      return 'The token is bound to a certificate, which an offline device never sees: have the server bind it by DPoP.';
    case 'scope_empty':
      return `None of its scopes is one of the device: ask the server for ${wanted(device)}${recipeFor(header, claims, policy.dialect)}.`;
    case 'jwt_claim_required':
    case 'jwt_type_refused':
      if (lacksScope(policy, claims)) {
        return `It has no scope. ID tokens have none either, so the hub takes it for one: ask the server for ${wanted(device)}${recipeFor(header, claims, policy.dialect)}, and send the access token.`;
      }
      return `It has no mark of an access token of this server${known(header, claims, policy)}. If it is an ID token or a refresh token, send the access token.`;
    case 'confirmation_missing':
      return `The token is bound to no key, and ${policy.bind === 'first-presenter' ? `the device has bind = "${device.profile.bind}"` : error.entry.fix}`;
    default:
      return error.entry.fix;
  }
}

function wanted({ profile }: TriedDevice): string {
  return profile.scopes.map((one) => `"${one}"`).join(' or ');
}

/** Where the scope is what tells an access token, one that was asked for without any has no mark. */
function lacksScope({ requiredClaims, scopeClaims }: RemedySearch['policy'], claims: JsonObject): boolean {
  const missing = requiredClaims.flatMap((text) => {
    const demand = readMemberDemand(text);
    return demand === undefined || meetsDemand(claims, demand) ? [] : [demand];
  });
  return missing.length > 0 && missing.every(({ names }) => names.every((name) => scopeClaims.includes(name)));
}

function known(header: JsonObject, claims: JsonObject, { dialect: configured }: RemedySearch['policy']): string {
  const dialect = dialectOfToken(header, claims, configured);
  return dialect === undefined ? '' : ` (dialect "${dialect}")`;
}

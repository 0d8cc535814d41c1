/** The settings of an issuer under which a token would be accepted: looked for by trying. */
import { DIALECT_NAMES, type DialectName } from '../../core/dialect-names.ts';
import { IGNORABLE_HEADERS } from '../../core/ignorable-headers.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../core/json.ts';
import { algorithmsNamed, JWT_ALGORITHMS, type JwtAlgorithm } from '../../core/jwt-algorithms.ts';
import { ownMember } from '../../core/member-demand.ts';
import { namedScope, readScopePattern } from '../../core/scope-pattern.ts';
import type { BindMode } from '../../core/verified-token.ts';
import type { IssuerPolicy } from '../../trust/issuer-policy.ts';
import { dialectOfToken, whyNoAccessToken } from '../../trust/recognise-dialect.ts';
import { type Surroundings, tryToken } from './try-token.ts';

/** Settings of an issuer by their names in the configuration, in camel case; undefined takes one out. */
interface IssuerChanges {
  readonly dialect?: DialectName;
  readonly bind?: BindMode;
  readonly algorithms?: JwtAlgorithm[];
  readonly tokenTypes?: string[] | undefined;
  readonly scopeClaims?: string[] | undefined;
  readonly audienceClaims?: string[] | undefined;
  readonly clientClaims?: undefined;
  readonly requiredClaims?: undefined;
  readonly confirmationKid?: undefined;
  readonly ignoredHeaders?: string[] | undefined;
  readonly requireRfc9068?: boolean;
  readonly exiWithoutExp?: boolean;
  readonly sharedAudience?: string;
  readonly deviceBy?: 'scope' | 'authorization_details';
  readonly scopePattern?: string;
  readonly authorizationDetailsType?: string;
}

interface Change {
  /** As TOML, for `[[issuers]]`. */
  readonly lines: readonly string[];
  readonly changes: IssuerChanges;
  /** What it costs, where it costs anything. */
  readonly price?: string;
}

export interface Remedy {
  /** Settings to write, as TOML; all of them together. */
  readonly settings: readonly string[];
  readonly prices: readonly string[];
}

export interface RemedySearch extends Surroundings {
  readonly header: JsonObject;
  readonly claims: JsonObject;
  readonly policy: IssuerPolicy;
  /** The policy of the issuer with other settings. */
  readonly rebuild: (changes: IssuerChanges) => IssuerPolicy;
}

export const FIRST_PRESENTER_PRICE =
  'bind = "first-presenter": an attacker who steals a token before its client has presented it can present it first, and then owns it.';

/** More changes than these are no remedy any more: the server is another one than configured. */
const MOST_CHANGES = 3;

/** The fewest settings that let the token through, a dialect before others; undefined where there are none. */
export function remedyFor(jwt: string, search: RemedySearch): Remedy | undefined {
  if (whyNoAccessToken(search.header, search.claims) !== undefined) return undefined;
  const [dialects, singles] = [dialectChanges(search), singleChanges(search)];
  const combinations = [
    ...dialects.flatMap((dialect) => subsets(singles, MOST_CHANGES - 1).map((more) => [dialect, ...more])),
    ...subsets(singles, MOST_CHANGES),
  ].filter((one) => one.length > 0);
  const found = combinations
    .toSorted((one, other) => one.length - other.length)
    .find((one) => accepts(jwt, search, one));
  return found === undefined
    ? undefined
    : {
        settings: found.flatMap(({ lines }) => lines),
        prices: found.flatMap(({ price }) => price ?? []),
      };
}

function accepts(jwt: string, search: RemedySearch, combination: readonly Change[]): boolean {
  const changes: IssuerChanges = Object.assign({}, ...combination.map((one) => one.changes));
  return tryToken(jwt, search.rebuild(changes), search).error === undefined;
}

function subsets(all: readonly Change[], most: number): readonly (readonly Change[])[] {
  let made: (readonly Change[])[] = [[]];
  for (const change of all) made = [...made, ...made.filter((one) => one.length < most).map((one) => [...one, change])];
  return made;
}

/** A dialect is a set of defaults: what the operator set beside the wrong one goes with it. */
function dialectChanges({ claims, header, policy }: RemedySearch): readonly Change[] {
  const recognised = dialectOfToken(header, claims);
  const names = recognised === undefined ? DIALECT_NAMES : [recognised];
  return names
    .filter((dialect) => dialect !== policy.dialect)
    .map((dialect) => ({
      lines: [`dialect = "${dialect}"`],
      changes: {
        dialect,
        tokenTypes: undefined,
        scopeClaims: undefined,
        audienceClaims: undefined,
        clientClaims: undefined,
        requiredClaims: undefined,
        confirmationKid: undefined,
        ignoredHeaders: undefined,
      },
    }));
}

function singleChanges(search: RemedySearch): readonly Change[] {
  return [
    ...bindChange(search),
    ...algorithmChange(search),
    ...headerChanges(search),
    ...sharedAudienceChange(search),
    ...typeChange(search),
    ...audienceChanges(search),
    ...scopeChanges(search),
    ...lenienceChanges(search),
  ];
}

function bindChange({ claims, policy }: RemedySearch): readonly Change[] {
  if (policy.bind === 'first-presenter' || claims.cnf !== undefined) return [];
  return [
    {
      lines: ['bind = "first-presenter"'],
      changes: { bind: 'first-presenter' },
      price: FIRST_PRESENTER_PRICE,
    },
  ];
}

function algorithmChange({ header, policy }: RemedySearch): readonly Change[] {
  const more = typeof header.alg === 'string' ? algorithmsNamed(header.alg) : [];
  if (more.length === 0 || more.some((one) => policy.algorithms.includes(one))) return [];
  const algorithms = JWT_ALGORITHMS.filter((one) => policy.algorithms.includes(one) || more.includes(one));
  return [{ lines: [`algorithms = ${JSON.stringify(algorithms)}`], changes: { algorithms } }];
}

function headerChanges({ header, policy }: RemedySearch): readonly Change[] {
  const demands = IGNORABLE_HEADERS.flatMap((name) => {
    const value = header[name];
    if (value === undefined) return [];
    return name === 'x5c' ? [name] : value === 'NONE' || value === 'none' ? [`${name}=${value}`] : [];
  }).filter((demand) => !policy.ignoredHeaders.includes(demand));
  if (demands.length === 0) return [];
  const ignoredHeaders = [...policy.ignoredHeaders, ...demands];
  return [{ lines: [`ignored_headers = ${JSON.stringify(ignoredHeaders)}`], changes: { ignoredHeaders } }];
}

/** Of a server that no dialect is known of, and for a token with the marks of an access token alone. */
function typeChange({ claims, header, policy }: RemedySearch): readonly Change[] {
  const isMarked = claims.client_id !== undefined && (claims.scope ?? claims.scp) !== undefined;
  if (!isMarked || dialectOfToken(header, claims) !== undefined) return [];
  const type = header.typ === undefined ? 'none' : header.typ;
  if (typeof type !== 'string' || policy.tokenTypes.includes(type)) return [];
  const tokenTypes = [...policy.tokenTypes, type];
  return [
    {
      lines: [`token_types = ${JSON.stringify(tokenTypes)}`],
      changes: { tokenTypes },
      price:
        'token_types: an ID token of the server may pass for an access token; demand what only access tokens have with required_claims.',
    },
  ];
}

function audienceChanges({ claims, device, policy }: RemedySearch): readonly Change[] {
  return ['aud', 'client_id', 'azp', 'appid', 'resource']
    .filter((name) => textsOf(ownMember(claims, name)).includes(device.audience))
    .filter((name) => !policy.audienceClaims.includes(name))
    .map((name) => ({ lines: [`audience_claims = ["${name}"]`], changes: { audienceClaims: [name] } }));
}

function scopeChanges({ claims, policy }: RemedySearch): readonly Change[] {
  return ['scope', 'scp', 'roles', 'permissions', 'authorities']
    .filter((name) => ownMember(claims, name) !== undefined && policy.scopeClaims[0] !== name)
    .map((name) => ({ lines: [`scope_claims = ["${name}"]`], changes: { scopeClaims: [name] } }));
}

function lenienceChanges({ claims, device, policy }: RemedySearch): readonly Change[] {
  return [
    ...(policy.requireRfc9068 ? [{ lines: ['require_rfc9068 = false'], changes: { requireRfc9068: false } }] : []),
    ...(device.profile.clock === 'none' && claims.exi !== undefined && claims.exp === undefined && !policy.exiWithoutExp
      ? [{ lines: ['exi_without_exp = true'], changes: { exiWithoutExp: true } }]
      : []),
  ];
}

/** Only where the token names this very device beside an audience of another name. */
function sharedAudienceChange({ claims, device, policy }: RemedySearch): readonly Change[] {
  if (policy.sharedAudience !== undefined) return [];
  // A device that is named by one client: a token of another client is for something else.
  if (claims.aud === undefined && !URL.canParse(device.audience)) return [];
  const named = policy.audienceClaims.includes('aud') && claims.aud !== undefined ? claims.aud : claims.client_id;
  const audience = textsOf(named).find((one) => one !== device.audience);
  if (audience === undefined || textsOf(named).includes(device.audience)) return [];
  const shared = [`shared_audience = ${JSON.stringify(audience)}`];
  const details = Array.isArray(claims.authorization_details)
    ? (claims.authorization_details as readonly JsonValue[])
    : [];
  const detail = details.filter(isJsonObject).find(({ identifier, locations }) => {
    return identifier === device.id || textsOf(locations).includes(device.audience);
  });
  if (typeof detail?.type === 'string') {
    const changes = {
      sharedAudience: audience,
      deviceBy: 'authorization_details',
      authorizationDetailsType: detail.type,
    } as const;
    return [
      {
        lines: [
          ...shared,
          'device_by = "authorization_details"',
          `authorization_details_type = ${JSON.stringify(detail.type)}`,
        ],
        changes,
      },
    ];
  }
  const pattern = patternIn(scopesOf(claims), device.id);
  if (pattern === undefined) return [];
  const changes = { sharedAudience: audience, deviceBy: 'scope', scopePattern: pattern } as const;
  return [{ lines: [...shared, 'device_by = "scope"', `scope_pattern = "${pattern}"`], changes }];
}

function patternIn(scopes: readonly string[], device: string): string | undefined {
  for (const separator of ['/', ':']) {
    for (const text of [`{device}${separator}{scope}`, `{scope}${separator}{device}`]) {
      const pattern = readScopePattern(text);
      if (pattern !== undefined && scopes.some((scope) => namedScope(scope, pattern)?.device === device)) return text;
    }
  }
  return undefined;
}

function scopesOf(claims: JsonObject): readonly string[] {
  return [claims.scope, claims.scp, claims.roles].flatMap((value) => textsOf(value).flatMap((text) => text.split(' ')));
}

function textsOf(value: JsonValue | undefined): readonly string[] {
  if (typeof value === 'string') return [value];
  return Array.isArray(value) ? (value as readonly JsonValue[]).filter((one) => typeof one === 'string') : [];
}

/** The policy under which a token without remedy comes farthest: that of the server which seems to have written it. */
export function closestPolicy(search: RemedySearch): IssuerPolicy {
  const [dialect] = dialectOfToken(search.header, search.claims) === undefined ? [] : dialectChanges(search);
  const [bind] = bindChange(search);
  return search.rebuild({ ...dialect?.changes, ...bind?.changes });
}

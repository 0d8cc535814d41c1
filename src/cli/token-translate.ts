import { randomBytes } from 'node:crypto';
import { Option } from 'commander';
import type { DecryptionKeys } from '../codec/jwe-key.ts';
import { parseStrictJsonObject } from '../codec/strict-json.ts';
import { tokenForm } from '../codec/token-form.ts';
import { fromUtf8, hex } from '../core/bytes.ts';
import type { TimeBounds } from '../core/clock.ts';
import { DIALECT_NAMES, type DialectName } from '../core/dialect-names.ts';
import type { ErrorCode } from '../core/error-catalogue.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { LIMITS } from '../core/limits.ts';
import { BIND_MODES, type BindMode } from '../core/verified-token.ts';
import { claimsToJson } from '../token/claims-json.ts';
import { openConfirmationKey } from '../token/confirmation-key.ts';
import { type TranslatedToken, translate } from '../token/translate.ts';
import { DIALECTS } from '../trust/dialects.ts';
import { type DecryptedJwt, decryptJwt, type TokenDecryption } from '../trust/encrypted-jwt.ts';
import { issuerPolicy } from '../trust/issuer-policy.ts';
import { KeyRing } from '../trust/key-ring.ts';
import { verifyJwtWithKeys } from '../trust/verify-jwt.ts';
import { addExample, type CliCommand, type Terminal } from './command.ts';
import { inspectJwt } from './inspect-jwt.ts';
import { EXIT } from './output.ts';
import { readTranslationProfile, type TranslationProfile } from './translation-profile.ts';

/** A profile is a few lines and some keys. */
const MAX_PROFILE_BYTES = 65_536;

/** Errors that say something of the command line or the files, not of the token. */
const NOT_THE_TOKEN: ReadonlySet<ErrorCode> = new Set([
  'usage',
  'file_unreadable',
  'request_too_large',
  'jwks_invalid',
  'profile_invalid',
  'internal',
] as const);

interface Options {
  readonly jwks: string;
  readonly issuer: string;
  readonly audience: string;
  readonly profile: string;
  readonly now?: string;
  readonly dialect?: DialectName;
  readonly bind?: BindMode;
  readonly tokenType?: readonly string[];
  readonly json?: true;
}

export const command: CliCommand = {
  errorsAsJson: true,
  exitStatus: (error) => (NOT_THE_TOKEN.has(error.code) ? EXIT.failure : EXIT.refused),
  configure(command, terminal) {
    command
      .description(
        'Verify a JWT with keys from a file and make the CWT for a device, as the hub would. Needs no hub and no network. ' +
          'Prints the CWT in hexadecimal; a refused token ends with status 3 and {"error":{"code":"…"}} on standard error.',
      )
      .argument('<file>', 'JWT, compact; - reads standard input')
      .requiredOption('--jwks <file>', "the issuer's JWK Set")
      .requiredOption('--issuer <url>', 'the `iss` that is trusted')
      .requiredOption('--audience <text>', 'the `aud` that names the device')
      .requiredOption(
        '--profile <file>',
        'device profile with keys, JSON (docs/protocol.md, "Profile of token translate")',
      )
      .option('--now <unix>', 'the present as seconds since 1970, instead of the clock')
      .option(
        '--dialect <name>',
        `which server wrote it, as \`dialect\` of an issuer: ${DIALECT_NAMES.join(', ')}`,
        dialectName,
      )
      .option(
        '--token-type <typ>',
        'value of the header `typ` to take, "none" for no typ, repeatable (default: those of the dialect)',
        collect,
      )
      .addOption(
        new Option(
          '--bind <mode>',
          "what becomes of a token without `cnf`, as `bind` of an issuer; the presenter's key is the profile's proofKey",
        ).choices(BIND_MODES),
      )
      .option('--json', 'print one JSON object with the CWT and its claims')
      .action((file: string, options: Options) => run(file, options, terminal));
    addExample(
      command,
      '$ latchkey token translate --jwks jwks.json --issuer https://as.example --audience https://tube-1.example \\',
      '    --profile tube-1.json token.jwt',
      '  where tube-1.json is {"wrap":"mac0","key":{"kty":"oct","k":"…"},"scopes":["read"],"claims":"slim"}',
    );
  },
};

async function run(file: string, options: Options, terminal: Terminal): Promise<void> {
  const time = present(options.now);
  const profile = readTranslationProfile(await terminal.read(options.profile, MAX_PROFILE_BYTES));
  const jwks = parseStrictJsonObject(await terminal.read(options.jwks, LIMITS.jwksBytes), { code: 'jwks_invalid' });
  const presented = await readJwt(file, terminal);
  const hubKeys = keysOf(profile, options);
  const isEncrypted = profile.hubKeys.length > 0 && tokenForm(presented) === 'encrypted';
  const decryption: TokenDecryption = { issuers: [options.issuer], keys: hubKeys, inTurn: (decrypt) => decrypt() };
  const decrypted = isEncrypted ? await decryptJwt(presented, decryption) : undefined;
  const jwt = decrypted?.jwt ?? presented;
  const translated = await explained(jwt, options, () =>
    translateOffline(jwt, { options, profile, jwks, time, decrypted, hubKeys }),
  );
  const cwt = translated.cwt.expose();
  if (options.json !== true) {
    terminal.print(hex(cwt));
    return;
  }
  const claims = claimsToJson(translated.claims.expose());
  terminal.print(JSON.stringify({ cwt: hex(cwt), bytes: cwt.length, wrap: profile.device.wrap, claims }));
}

function keysOf({ hubKeys }: TranslationProfile, { issuer }: Options): DecryptionKeys {
  return {
    decryptionKeys: () => hubKeys,
    issuerOfKey: (keyId) => (hubKeys.some((key) => key.keyId === keyId) ? issuer : undefined),
  };
}

async function translateOffline(
  jwt: string,
  {
    options,
    profile,
    jwks,
    time,
    decrypted,
    hubKeys,
  }: {
    readonly options: Options;
    readonly profile: TranslationProfile;
    readonly jwks: JsonObject;
    readonly time: TimeBounds;
    readonly decrypted: DecryptedJwt | undefined;
    readonly hubKeys: DecryptionKeys;
  },
): Promise<TranslatedToken> {
  const policy = issuerPolicy({
    issuer: options.issuer,
    source: { kind: 'file', jwks },
    dialect: options.dialect,
    tokenTypes: options.tokenType ?? profile.tokenTypes,
  });
  const token = verifyJwtWithKeys(jwt, {
    policy,
    keys: new KeyRing(jwks, policy.algorithms),
    keysAge: 0,
    audience: options.audience,
    time,
    whenUnsure: 'deny',
    withoutClock: profile.device.clock === 'none',
    decrypted,
  });
  return translate(token, {
    profile: profile.device,
    device: profile.deviceId,
    audience: options.audience,
    keys: profile.keys,
    proofKey: profile.proofKey,
    bindsToPresenter: token.confirmation === undefined && bindOf(options, profile) === 'first-presenter',
    confirmationKey: await openConfirmationKey(token, hubKeys),
    random: { bytes: (length) => randomBytes(length) },
    time,
  });
}

/** What the device says comes before what its issuer says, as at the hub. */
function bindOf({ bind = 'token' }: Options, { device }: TranslationProfile): BindMode {
  return device.bind === 'issuer' ? bind : device.bind;
}

/**
 * Says beside a refusal what the token has and what was asked for. The hub does not: its log would repeat whatever a
 * sender likes. Here it is the caller's own token.
 */
async function explained<T>(jwt: string, options: Options, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (!isCoded(error)) throw error;
    const explanation = EXPLANATIONS[error.code]?.(jwt, options, error.detail);
    throw explanation === undefined ? error : new LatchkeyError(error.code, explanation, { cause: error });
  }
}

type Explanation = (jwt: string, options: Options, detail: string | undefined) => string;

const EXPLANATIONS: Partial<Record<ErrorCode, Explanation>> = {
  jwt_issuer_unknown: (jwt, { issuer }) => `iss is ${found(claim(jwt, 'iss'))}, --issuer is "${issuer}"`,
  jwt_audience_mismatch: (jwt, options) => `${audienceOf(jwt, options)}, --audience is "${options.audience}"`,
  audience_ambiguous: (jwt) => `aud is ${found(claim(jwt, 'aud'))}`,
  jwt_type_refused: (jwt, _, detail) =>
    `${detail ?? `typ is ${found(member(inspectJwt(jwt).header, 'typ'))}`}; --dialect and --token-type say what to take`,
  jwt_claim_required: (jwt, { dialect = 'rfc9068' }, detail) =>
    `${detail}, as --dialect ${dialect} demands it; the claims are ${Object.keys(inspectJwt(jwt).claims ?? {}).join(' ')}`,
  token_encrypted: () => 'put the private key of the hub into the profile as hubKey',
  proof_missing: () =>
    'put the public key of the client into the profile as proofKey: there is no proof on a command line',
  proof_key_mismatch: () => 'proofKey of the profile is not the key that cnf.jkt names',
};

/** The claim that the audience was looked for in, and what it is. */
function audienceOf(jwt: string, { dialect = 'rfc9068' }: Options): string {
  const name = DIALECTS[dialect].audienceClaims.find((one) => claim(jwt, one) !== undefined) ?? 'aud';
  return `${name} is ${found(claim(jwt, name))}`;
}

const MOST_REPEATED = 200;

function found(value: JsonValue | undefined): string {
  const text = value === undefined ? 'missing' : JSON.stringify(value);
  return text.length > MOST_REPEATED ? `${text.slice(0, MOST_REPEATED)}…` : text;
}

function claim(jwt: string, name: string): JsonValue | undefined {
  return member(inspectJwt(jwt).claims, name);
}

function member(object: JsonValue | undefined, name: string): JsonValue | undefined {
  return isJsonObject(object) ? object[name] : undefined;
}

/** A token that a shell wrote ends with a line end; nothing else is taken off. */
async function readJwt(file: string, terminal: Terminal): Promise<string> {
  try {
    return fromUtf8(await terminal.read(file, LIMITS.jwtBytes + 2)).replace(/\r?\n$/, '');
  } catch (error) {
    if (isCoded(error, 'request_too_large')) throw new LatchkeyError('jwt_too_large', error.detail);
    if (isCoded(error, 'utf8_invalid')) throw new LatchkeyError('jwt_malformed', 'not text');
    throw error;
  }
}

function dialectName(name: string): DialectName {
  const known = DIALECT_NAMES.find((one) => one === name);
  if (known === undefined) throw new LatchkeyError('usage', `--dialect takes ${DIALECT_NAMES.join(', ')}`);
  return known;
}

/** An option that may be given several times. */
function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

function present(now: string | undefined): TimeBounds {
  if (now === undefined) {
    const seconds = Date.now() / 1000;
    return { earliest: Math.floor(seconds), latest: Math.ceil(seconds) };
  }
  if (!/^\d{1,12}(\.\d{1,9})?$/.test(now)) throw new LatchkeyError('usage', '--now takes seconds since 1970');
  return { earliest: Number(now), latest: Number(now) };
}

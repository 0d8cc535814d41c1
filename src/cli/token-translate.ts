import { randomBytes } from 'node:crypto';
import { parseStrictJsonObject } from '../codec/strict-json.ts';
import { fromUtf8, hex } from '../core/bytes.ts';
import type { TimeBounds } from '../core/clock.ts';
import type { ErrorCode } from '../core/error-catalogue.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import { claimsToJson } from '../token/claims-json.ts';
import { translate } from '../token/translate.ts';
import { issuerPolicy } from '../trust/issuer-policy.ts';
import { KeyRing } from '../trust/key-ring.ts';
import { verifyJwtWithKeys } from '../trust/verify-jwt.ts';
import { addExample, type CliCommand, type Terminal } from './command.ts';
import { EXIT } from './output.ts';
import { readTranslationProfile } from './translation-profile.ts';

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
      .option('--token-type <typ>', 'value of the header `typ` to take, repeatable (default: at+jwt)', collect)
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
  const policy = issuerPolicy({
    issuer: options.issuer,
    source: { kind: 'file', jwks },
    ...tokenTypes(options.tokenType ?? profile.tokenTypes),
  });
  const token = verifyJwtWithKeys(await readJwt(file, terminal), {
    policy,
    keys: new KeyRing(jwks, policy.algorithms),
    keysAge: 0,
    audience: options.audience,
    time,
    whenUnsure: 'deny',
  });
  const translated = translate(token, {
    profile: profile.device,
    audience: options.audience,
    keys: profile.keys,
    proofKey: profile.proofKey,
    hubKeys: profile.hubKeys,
    random: { bytes: (length) => randomBytes(length) },
  });
  const cwt = translated.cwt.expose();
  if (options.json !== true) {
    terminal.print(hex(cwt));
    return;
  }
  const claims = claimsToJson(translated.claims.expose());
  terminal.print(JSON.stringify({ cwt: hex(cwt), bytes: cwt.length, wrap: profile.device.wrap, claims }));
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

function tokenTypes(types: readonly string[] | undefined): { tokenTypes?: readonly string[] } {
  return types === undefined ? {} : { tokenTypes: types };
}

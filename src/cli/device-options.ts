/** The options that say what a device takes: of `devices add` and of `pair`. */
import type { Command } from 'commander';
import { DEVICE_BIND_MODES, SCOPE_FORMS, WRAPS } from '../core/device-profile.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { permissionRows, readPermission } from '../core/permission.ts';
import type { NewDevice } from '../ports/admin.ts';

export interface DeviceOptions {
  readonly profile?: string;
  readonly allow: readonly string[];
  readonly wrap?: string;
  readonly algorithm?: string;
  readonly encryption?: string;
  readonly claims?: string;
  readonly scopeForm?: string;
  readonly issuer: readonly string[];
  readonly anyIssuer?: boolean;
  readonly maxTokenBytes?: string;
  readonly ctiBytes?: string;
  readonly cwtTag?: boolean;
  readonly bind?: string;
  readonly receipt: boolean;
  readonly clock: boolean;
}

export function addDeviceOptions(command: Command): Command {
  return command
    .option(
      '--profile <name>',
      'a profile of the configuration, which says what the other options leave out; see `latchkey devices profiles`',
    )
    .option('--allow <permission>', 'what a scope permits: "scope=METHOD[,METHOD] path"; repeat for more', collect, [])
    .option('--wrap <wrap>', `${WRAPS.join(', ')} (default: mac0)`)
    .option('--algorithm <name>', 'of the signature or MAC: ES256, EdDSA, "HMAC 256/64", "HMAC 256/256"')
    .option('--encryption <name>', 'of what is encrypted: AES-CCM-16-64-128, A128GCM (default: AES-CCM-16-64-128)')
    .option('--claims <set>', 'slim or full (default: slim)')
    .option('--scope-form <form>', `${SCOPE_FORMS.join(', ')} (default: text)`)
    .option(
      '--issuer <issuer>',
      'take tokens of this issuer; repeat for more (default: the only one that is configured)',
      collect,
      [],
    )
    .option('--any-issuer', 'take tokens of every issuer: each of them can then open this device')
    .option('--max-token-bytes <n>', 'largest token that the device takes (default: 1024)')
    .option('--cti-bytes <n>', 'length of the identifier of a token, 4 to 16 (default: 16)')
    .option('--cwt-tag', 'put CBOR tag 61 before tokens')
    .option(
      '--bind <mode>',
      `what becomes of tokens without \`cnf\`: ${DEVICE_BIND_MODES.join(', ')} (default: issuer)`,
    )
    .option('--no-receipt', 'the device answers without a receipt: the hub cannot tell that it was this device')
    .option('--no-clock', 'the device has no clock: its tokens need `exi`, and a `cnonce` that it gave (RFC 9200)');
}

/** Undefined for the only one that is configured. */
export function issuersOf({ anyIssuer, issuer }: DeviceOptions): NewDevice['issuers'] | undefined {
  if (anyIssuer === true) return 'any';
  return issuer.length === 0 ? undefined : issuer;
}

/** Names of options for what the registry calls by the names of its members. */
const OPTIONS: Readonly<Record<string, string>> = {
  id: '<id>',
  audience: '--audience',
  line: '--line',
  ble: '--ble',
  certificate: '--certificate',
  issuer: '--issuer',
  'profile.wrap': '--wrap',
  'profile.authentication': '--algorithm',
  'profile.encryption': '--encryption',
  'profile.claims': '--claims',
  'profile.scopes': '--allow',
  'profile.permissions': '--allow',
  'profile.scopeForm': '--scope-form',
  'profile.maxTokenBytes': '--max-token-bytes',
  'profile.ctiBytes': '--cti-bytes',
  'profile.bearer': '--bearer',
  'profile.checksProofs': '--checks-proofs',
  'profile.bind': '--bind',
};

/** The error in the words of the command line. @param names of options that this command calls otherwise */
export function inOptions(error: unknown, names: Readonly<Record<string, string>> = {}): unknown {
  if (!isCoded(error, 'device_invalid') || error.detail === undefined) return error;
  const [member = '', ...words] = error.detail.split(':');
  const option = names[member] ?? OPTIONS[member];
  return option === undefined ? error : new LatchkeyError('device_invalid', [option, ...words].join(':'));
}

/** @throws {LatchkeyError} `usage` */
export function profileOf(options: DeviceOptions): JsonObject {
  const permissions = permissionsOf(options.allow);
  return {
    ...(options.allow.length === 0 ? {} : { permissions, scopes: Object.keys(permissions) }),
    ...member('wrap', options.wrap),
    ...member('authentication', options.algorithm),
    ...member('encryption', options.encryption),
    ...member('claims', options.claims),
    ...member('scopeForm', options.scopeForm),
    ...member('maxTokenBytes', wholeNumber('--max-token-bytes', options.maxTokenBytes)),
    ...member('ctiBytes', wholeNumber('--cti-bytes', options.ctiBytes)),
    ...member('cwtTag', options.cwtTag),
    ...member('bind', options.bind),
    ...(options.receipt ? {} : { receipt: 'none' }),
    ...(options.clock ? {} : { clock: 'none' }),
  };
}

/** `scope=METHOD,METHOD path` as the rows of DeviceProfile.permissions. */
function permissionsOf(allowed: readonly string[]): Readonly<Record<string, readonly (readonly [string, number])[]>> {
  return permissionRows(
    allowed.map((text) => {
      const permission = readPermission(text);
      if ('fault' in permission) throw new LatchkeyError('usage', `--allow "${text}": ${permission.fault}`);
      return permission;
    }),
  );
}

function wholeNumber(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[0-9]{1,6}$/.test(text)) throw new LatchkeyError('usage', `${option} "${text}" is not a whole number`);
  return Number(text);
}

export function member(name: string, value: string | number | boolean | undefined): JsonObject {
  return value === undefined ? {} : { [name]: value };
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

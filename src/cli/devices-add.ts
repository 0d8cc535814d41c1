import { closeSync, fsyncSync, openSync, unlinkSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { SCOPE_FORMS, WRAPS } from '../core/device-profile.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import type { Admin, DeviceView, NewDevice } from '../ports/admin.ts';
import { addExample, type CliCommand, type Terminal } from './command.ts';
import { type AdminChoice, withAdmin } from './devices-admin.ts';
import { methodBit } from './methods.ts';

interface Options extends AdminChoice {
  readonly audience: string;
  readonly line: string;
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
  readonly bearer?: boolean;
  readonly receipt: boolean;
  readonly trust: string;
  readonly json?: boolean;
}

export const command: CliCommand = {
  configure(command, terminal) {
    command
      .description(
        'Register a device and write the file of what it is to trust. The file holds its secret keys and cannot be had a second time: hand it to the device, then delete it.',
      )
      .argument('<id>', 'name of the device: a-z, 0-9, and . _ -')
      .requiredOption('--audience <aud>', 'the `aud` of tokens for this device')
      .requiredOption('--line <name>', 'the line it is on, by its name under [[lines]]')
      .requiredOption(
        '--allow <permission>',
        'what a scope permits: "scope=METHOD[,METHOD] path"; repeat for more',
        collect,
        [],
      )
      .requiredOption('--trust <file>', 'where to write what the device is to trust (must not exist yet)')
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
      .option('--bearer', 'deliver tokens without `cnf` too: whoever steals one can use it')
      .option('--no-receipt', 'the device answers without a receipt: nobody can tell that it was this device')
      .option('--socket <path>', 'admin socket of the hub (default: that of the configuration)')
      .option('-c, --config <file>', 'configuration of the hub')
      .option('--json', 'print the device as JSON')
      .action((id: string, options: Options) => add(id, options, terminal));
    example(command);
  },
};

function example(command: Command): void {
  addExample(
    command,
    '$ latchkey devices add tube-1 --audience coap://tube-1 --line ward-3 \\',
    '    --allow "read=FETCH temperature" --allow "write=PUT led" --trust tube-1-trust.json',
  );
}

async function add(id: string, options: Options, terminal: Terminal): Promise<void> {
  const asked: NewDevice = {
    id,
    audience: options.audience,
    line: options.line,
    profile: profileOf(options),
    ...(options.anyIssuer === true
      ? { issuers: 'any' as const }
      : options.issuer.length === 0
        ? {}
        : { issuers: options.issuer }),
  };
  // Opened first: a trust file that cannot be written must not leave a device that nobody can provision.
  const file = create(options.trust);
  let device: DeviceView;
  try {
    device = await withAdmin({ choice: options, terminal, create: true }, (admin) =>
      register(admin, asked, { path: options.trust, file }),
    );
  } catch (error) {
    unlinkSync(options.trust);
    throw inOptions(error);
  } finally {
    closeSync(file);
  }
  if (options.json === true) terminal.print(JSON.stringify(device));
  else
    terminal.print(
      `Registered ${id}. What it is to trust is in ${options.trust}: it holds secret keys, hand it over and delete it.`,
    );
}

/** The device, with its trust file on the disk; neither where one of them cannot be. */
async function register(
  admin: Admin,
  asked: NewDevice,
  { path, file }: { readonly path: string; readonly file: number },
): Promise<DeviceView> {
  const { device, trust } = await admin.addDevice(asked);
  try {
    writeFileSync(file, trust);
    fsyncSync(file);
  } catch (error) {
    await admin.removeDevice(device.id);
    throw unwritable(path, error);
  }
  return device;
}

function create(path: string): number {
  try {
    return openSync(path, 'wx', 0o600);
  } catch (error) {
    throw unwritable(path, error);
  }
}

function unwritable(path: string, cause: unknown): LatchkeyError {
  const { code = 'failed' } = cause as NodeJS.ErrnoException;
  const detail =
    code === 'EEXIST' ? `${path} exists already; --trust takes the name of a new file` : `${path} (${code})`;
  return new LatchkeyError('file_unwritable', detail, { cause });
}

/** Names of options for what the registry calls by the names of its members. */
const OPTIONS: Readonly<Record<string, string>> = {
  id: '<id>',
  audience: '--audience',
  line: '--line',
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
};

function inOptions(error: unknown): unknown {
  if (!isCoded(error, 'device_invalid') || error.detail === undefined) return error;
  const [member = '', ...words] = error.detail.split(':');
  const option = OPTIONS[member];
  return option === undefined ? error : new LatchkeyError('device_invalid', [option, ...words].join(':'));
}

function profileOf(options: Options): JsonObject {
  const permissions = permissionsOf(options.allow);
  return {
    permissions,
    scopes: Object.keys(permissions),
    ...member('wrap', options.wrap),
    ...member('authentication', options.algorithm),
    ...member('encryption', options.encryption),
    ...member('claims', options.claims),
    ...member('scopeForm', options.scopeForm),
    ...member('maxTokenBytes', wholeNumber('--max-token-bytes', options.maxTokenBytes)),
    ...member('ctiBytes', wholeNumber('--cti-bytes', options.ctiBytes)),
    ...member('cwtTag', options.cwtTag),
    ...member('bearer', options.bearer),
    receipt: options.receipt ? 'mac0' : 'none',
  };
}

/** `scope=METHOD,METHOD path` as the rows of DeviceProfile.permissions. */
function permissionsOf(allowed: readonly string[]): Readonly<Record<string, readonly (readonly [string, number])[]>> {
  const permissions = new Map<string, readonly (readonly [string, number])[]>();
  for (const text of allowed) {
    const match = /^([^\s=]+)=([A-Za-z,]+) +\/?(\S+)$/.exec(text.trim());
    const [, scope, methods, path] = match ?? [];
    if (scope === undefined || methods === undefined || path === undefined) {
      throw new LatchkeyError('usage', `--allow "${text}" is not "scope=METHOD[,METHOD] path"`);
    }
    const set = methods.split(',').reduce((bits, name) => bits | methodBit(name), 0);
    permissions.set(scope, [...(permissions.get(scope) ?? []), [path, set]]);
  }
  return Object.fromEntries(permissions);
}

function wholeNumber(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[0-9]{1,6}$/.test(text)) throw new LatchkeyError('usage', `${option} "${text}" is not a whole number`);
  return Number(text);
}

function member(name: string, value: string | number | boolean | undefined): JsonObject {
  return value === undefined ? {} : { [name]: value };
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

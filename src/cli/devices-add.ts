import type { Command } from 'commander';
import { fromUtf8 } from '../core/bytes.ts';
import { SCOPE_FORMS, WRAPS } from '../core/device-profile.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import type { Admin, DeviceView, NewDevice } from '../ports/admin.ts';
import { addExample, type CliCommand, type Terminal } from './command.ts';
import { type AdminChoice, withAdmin } from './devices-admin.ts';
import { methodBit } from './methods.ts';
import { intoNewFile, type NewFile } from './secret-file.ts';

/** A PEM certificate with a large key and many names; base64 makes a third more of it. */
const MAX_CERTIFICATE_BYTES = 16_384;

interface Options extends AdminChoice {
  readonly audience: string;
  readonly line?: string;
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
  readonly trust?: string;
  readonly certificate?: string;
  readonly json?: boolean;
}

export const command: CliCommand = {
  configure(command, terminal) {
    command
      .description(
        'Register a device and write the file of what it is to trust. The file holds its secret keys and cannot be had a second time: hand it to the device, then delete it. Without --line, --allow and --trust it is a connected device, which takes no tokens and asks the hub about those that it is shown: see `latchkey devices credentials`.',
      )
      .argument('<id>', 'name of the device: a-z, 0-9, and . _ -')
      .requiredOption('--audience <aud>', 'the `aud` of tokens for this device')
      .option('--line <name>', 'the line it is on, by its name under [[lines]]')
      .option(
        '--allow <permission>',
        'what a scope permits: "scope=METHOD[,METHOD] path"; repeat for more',
        collect,
        [],
      )
      .option(
        '--certificate <file>',
        'certificate that it shows in TLS, PEM or DER in base64; the key stays with the device',
      )
      .option('--trust <file>', 'where to write what the device is to trust (must not exist yet)')
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
      .option('--bearer', 'take tokens without `cnf` too: whoever steals one can use it')
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
    '$ latchkey devices add ekg-1 --audience https://ekg-1.ward.example',
  );
}

async function add(id: string, options: Options, terminal: Terminal): Promise<void> {
  const { line, trust } = options;
  const asked = await request(id, options, terminal);
  if (line === undefined) {
    const { device } = await withDevices(options, terminal, (admin) => admin.addDevice(asked));
    const next = `latchkey devices credentials ${id} --out ${id}.json${choiceText(options)}`;
    print(device, `Registered ${id}, a connected device. \`${next}\` writes what it needs.`);
    return;
  }
  if (trust === undefined) throw new LatchkeyError('usage', 'a device on a line needs --trust');
  // Opened first: a trust file that cannot be written must not leave a device that nobody can provision.
  const device = await intoNewFile(trust, (file) =>
    withDevices(options, terminal, (admin) => register(admin, asked, file)),
  );
  print(
    device,
    `Registered ${id}. What it is to trust is in ${trust}: it holds secret keys, hand it over and delete it.`,
  );

  function print(device: DeviceView, sentence: string): void {
    terminal.print(options.json === true ? JSON.stringify(device) : sentence);
  }
}

/** The same hub for the next command. */
function choiceText({ config, socket }: AdminChoice): string {
  return [
    ...(socket === undefined ? [] : [` --socket ${socket}`]),
    ...(config === undefined ? [] : [` -c ${config}`]),
  ].join('');
}

async function request(id: string, options: Options, terminal: Terminal): Promise<NewDevice> {
  const { audience, anyIssuer, certificate, issuer, line } = options;
  if (line === undefined && (options.trust !== undefined || options.allow.length > 0)) {
    throw new LatchkeyError('usage', '--allow and --trust are for devices that take tokens: they need --line');
  }
  const issuers = anyIssuer === true ? 'any' : issuer.length === 0 ? undefined : issuer;
  const text =
    certificate === undefined ? undefined : fromUtf8(await terminal.read(certificate, MAX_CERTIFICATE_BYTES));
  return {
    id,
    audience,
    ...(line === undefined ? { profile: member('bearer', options.bearer) } : { line, profile: profileOf(options) }),
    ...(issuers === undefined ? {} : { issuers }),
    ...(text === undefined ? {} : { certificate: text }),
  };
}

async function withDevices<T>(choice: Options, terminal: Terminal, action: (admin: Admin) => Promise<T>): Promise<T> {
  try {
    return await withAdmin({ choice, terminal, create: true }, action);
  } catch (error) {
    throw inOptions(error);
  }
}

/** The device, with its trust file on the disk; neither where one of them cannot be. */
async function register(admin: Admin, asked: NewDevice, file: NewFile): Promise<DeviceView> {
  const { device, trust } = await admin.addDevice(asked);
  try {
    file.write(trust);
    file.flush();
  } catch (error) {
    await admin.removeDevice(device.id);
    throw error;
  }
  return device;
}

/** Names of options for what the registry calls by the names of its members. */
const OPTIONS: Readonly<Record<string, string>> = {
  id: '<id>',
  audience: '--audience',
  line: '--line',
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

import type { Command } from 'commander';
import { fromUtf8 } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { Admin, DeviceView, NewDevice } from '../ports/admin.ts';
import { addAdminOptions } from './admin-options.ts';
import { addExample, type CliCommand, type Terminal } from './command.ts';
import { addDeviceOptions, type DeviceOptions, inOptions, issuersOf, member, profileOf } from './device-options.ts';
import { type AdminChoice, withAdmin } from './devices-admin.ts';
import { intoNewFile, type NewFile } from './secret-file.ts';

/** A PEM certificate with a large key and many names; base64 makes a third more of it. */
const MAX_CERTIFICATE_BYTES = 16_384;

interface Options extends AdminChoice, DeviceOptions {
  readonly audience?: string;
  readonly line?: string;
  readonly ble?: string | true;
  readonly trust?: string;
  readonly bearer?: boolean;
  readonly checksProofs?: boolean;
  readonly certificate?: string;
  readonly json?: boolean;
}

export const command: CliCommand = {
  configure(command, terminal) {
    command
      .description(
        'Register a device and write the file of what it is to trust. The file holds its secret keys and cannot be had a second time: hand it to the device, then delete it. Without --line or --ble, --allow and --trust it is a connected device, which takes no tokens and asks the hub about those that it is shown: see `latchkey devices credentials`.',
      )
      .argument('<id>', 'name of the device: a-z, 0-9, and . _ -')
      .option('--audience <aud>', 'the `aud` of tokens for this device (default: that of its profile)')
      .option('--line <name>', 'the line it is on, by its name under [[lines]]')
      .option('--ble [name]', 'reach it by radio; the name that it advertises, if that is not its id')
      .option(
        '--certificate <file>',
        'certificate that it shows in TLS, PEM or DER in base64; the key stays with the device',
      )
      .option(
        '--bearer',
        'take tokens without `cnf` and without a proof: an attacker who steals one can use it. For connected devices alone',
      )
      .option(
        '--checks-proofs',
        'the device verifies DPoP proofs itself (RFC 9449): it asks with the token alone, and hears the key. The hub then notices no copied proof. For connected devices alone',
      )
      .option('--trust <file>', 'where to write what the device is to trust (must not exist yet)');
    addAdminOptions(addDeviceOptions(command), 'print the device as JSON').action((id: string, options: Options) =>
      add(id, options, terminal),
    );
    example(command);
  },
};

function example(command: Command): void {
  addExample(
    command,
    '$ latchkey devices add tube-1 --audience coap://tube-1 --line ward-3 \\',
    '    --allow "read=FETCH temperature" --allow "write=PUT led" --trust tube-1-trust.json',
    '$ latchkey devices add tube-3 --profile tube --line ward-3 --trust tube-3-trust.json',
    '$ latchkey devices add tube-2 --audience coap://tube-2 --ble --allow "read=FETCH temperature" --trust tube-2-trust.json',
    '$ latchkey devices add ekg-1 --audience https://ekg-1.ward.example',
  );
}

async function add(id: string, options: Options, terminal: Terminal): Promise<void> {
  const { ble, line, trust } = options;
  const asked = await request(id, options, terminal);
  if (line === undefined && ble === undefined) {
    const { device } = await withDevices(options, terminal, (admin) => admin.addDevice(asked));
    const next = `latchkey devices credentials ${id} --out ${id}.json${choiceText(options)}`;
    print(device, `Registered ${id}, a connected device. \`${next}\` writes what it needs.`);
    return;
  }
  if (trust === undefined) throw new LatchkeyError('usage', 'a device that takes tokens needs --trust');
  // Opened first: a trust file that cannot be written must not leave a device that cannot be provisioned.
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
  const { audience, ble, certificate, line, profile: profileName } = options;
  const takesTokens = line !== undefined || ble !== undefined;
  if (audience === undefined && profileName === undefined)
    throw new LatchkeyError('usage', '--audience is needed, or --profile with a profile that says it');
  if (!takesTokens && profileName !== undefined)
    throw new LatchkeyError('usage', '--profile is for devices that take tokens: they need --line or --ble');
  if (!takesTokens && (options.trust !== undefined || options.allow.length > 0)) {
    throw new LatchkeyError('usage', '--allow and --trust are for devices that take tokens: they need --line or --ble');
  }
  if (takesTokens && options.bearer === true) {
    throw new LatchkeyError(
      'usage',
      '--bearer is for connected devices: for an AS that binds no key use --bind first-presenter',
    );
  }
  if (takesTokens && options.checksProofs === true)
    throw new LatchkeyError(
      'usage',
      '--checks-proofs is for connected devices: an offline device checks its own requests',
    );
  const issuers = issuersOf(options);
  const text =
    certificate === undefined ? undefined : fromUtf8(await terminal.read(certificate, MAX_CERTIFICATE_BYTES));
  return {
    id,
    ...(audience === undefined ? {} : { audience }),
    ...(profileName === undefined ? {} : { profileName }),
    ...(line === undefined ? {} : { line }),
    ...(ble === undefined ? {} : { ble: ble === true ? {} : { name: ble } }),
    profile: takesTokens
      ? profileOf(options)
      : {
          ...member('bearer', options.bearer),
          ...member('checksProofs', options.checksProofs),
          ...member('bind', options.bind),
        },
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

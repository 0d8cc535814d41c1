import { methodNames } from '../core/permission.ts';
import type { DeviceView } from '../ports/admin.ts';
import { addAdminOptions } from './admin-options.ts';
import { addExample, type CliCommand } from './command.ts';
import { type AdminChoice, withDevice } from './devices-admin.ts';
import { instantText } from './instant.ts';

export const command: CliCommand = {
  configure(command, terminal) {
    addAdminOptions(
      command
        .description('Show one device: its link, its profile, what its scopes permit. Never its keys.')
        .argument('<id>', 'name of the device'),
      'print it as JSON',
    ).action(async (id: string, options: AdminChoice & { readonly json?: boolean }) => {
      const device = await withDevice(id, { choice: options, terminal }, (admin) => admin.showDevice(id));
      if (options.json === true) terminal.print(JSON.stringify(device));
      else for (const line of lines(device)) terminal.print(line);
    });
    addExample(command, '$ latchkey devices show tube-1');
  },
};

/** As wide as the longest name of a member of a profile. */
const NAME_WIDTH = 14;

function row(name: string, value: unknown): string {
  return `  ${name.padEnd(NAME_WIDTH)} ${String(value)}`;
}

function linkLine({ ble, line }: DeviceView): string {
  if (ble !== undefined) return row('ble', ble.name);
  return row('line', line ?? 'none: a connected device, which asks the hub itself');
}

function lines(device: DeviceView): readonly string[] {
  return [
    `${device.id}  (${device.audience})`,
    ...(device.name === undefined ? [] : [row('name', device.name)]),
    ...(device.unfinished === true ? [row('pairing', 'unfinished: it did not say yet that it is paired')] : []),
    ...(device.profile_name === undefined ? [] : [row('profile', profileText(device))]),
    ...(device.paired === true && device.unfinished !== true ? [row('pairing', 'paired by its setup code')] : []),
    linkLine(device),
    ...(device.certificate === undefined ? [] : [row('x5t#S256', device.certificate)]),
    row('issuers', device.issuers === 'any' ? 'every configured one' : device.issuers.join(', ')),
    ...(device.line === undefined && device.ble === undefined ? connectedLines(device) : tokenLines(device)),
  ];
}

function profileText({ profile_differs: differs, profile_name: name }: DeviceView): string {
  return differs === true ? `${name}, but with other settings than [[profiles]] has now` : String(name);
}

/** It takes no tokens, so it has neither scopes nor a form of token, and trusts nothing that has a version. */
function connectedLines({ added_at, profile }: DeviceView): readonly string[] {
  const { bearer, bind, checksProofs } = profile;
  return [
    row('bearer', bearer),
    ...(checksProofs === undefined ? [] : [row('checksProofs', checksProofs)]),
    ...(bind === undefined ? [] : [row('bind', bind)]),
    row('added', instantText(added_at)),
  ];
}

function tokenLines(device: DeviceView): readonly string[] {
  // Offline devices take no bearer tokens, and are asked for no proofs.
  const { bearer: _bearer, checksProofs: _checksProofs, permissions, scopes, ...profile } = device.profile;
  const rows = Object.entries((permissions ?? {}) as unknown as Record<string, readonly (readonly [string, number])[]>);
  return [
    row('scopes', (scopes as readonly string[]).join(' ')),
    ...rows.flatMap(([scope, allowed]) => allowed.map(([path, set]) => `    ${scope} = ${methodNames(set)} ${path}`)),
    ...Object.entries(profile).map(([name, value]) => row(name, value)),
    row('trust', `version ${device.trust_version}, since ${instantText(device.added_at)}`),
    row('waiting', device.waiting),
  ];
}

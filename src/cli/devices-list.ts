import type { DeviceView } from '../ports/admin.ts';
import { addAdminOptions } from './admin-options.ts';
import { columns } from './columns.ts';
import { addExample, type CliCommand } from './command.ts';
import { type AdminChoice, withAdmin } from './devices-admin.ts';

export const command: CliCommand = {
  configure(command, terminal) {
    addAdminOptions(command.description('List the registered devices.'), 'print them as JSON').action(
      async (options: AdminChoice & { readonly json?: boolean }) => {
        const devices = await withAdmin({ choice: options, terminal }, (admin) => admin.listDevices());
        if (options.json === true) terminal.print(JSON.stringify(devices));
        else for (const line of table(devices)) terminal.print(line);
      },
    );
    addExample(command, '$ latchkey devices list');
  },
};

function table(devices: readonly DeviceView[]): readonly string[] {
  if (devices.length === 0) return ['No device is registered. See `latchkey devices add --help`.'];
  const named = devices.some(({ name }) => name !== undefined);
  const rows = [
    ['ID', 'LINK', 'WRAP', 'WAITING', 'AUDIENCE', ...(named ? ['NAME'] : [])],
    ...devices.map((device) => [
      device.id,
      linkOf(device),
      device.line === undefined && device.ble === undefined ? '-' : String(device.profile.wrap),
      String(device.waiting),
      device.audience,
      ...(named ? [device.name ?? ''] : []),
    ]),
  ];
  return columns(rows);
}

function linkOf({ ble, line, unfinished }: DeviceView): string {
  const link = line ?? (ble === undefined ? 'connected' : `ble ${ble.name}`);
  return unfinished === true ? `${link} (pairing unfinished)` : link;
}

import type { DeviceView } from '../ports/admin.ts';
import { addAdminOptions } from './admin-options.ts';
import { addExample, type CliCommand } from './command.ts';
import { type AdminChoice, withAdmin } from './devices-admin.ts';
import { printPages } from './paged-list.ts';

export const command: CliCommand = {
  configure(command, terminal) {
    addAdminOptions(command.description('List the registered devices.'), 'print them as JSON').action(
      async (options: AdminChoice & { readonly json?: boolean }) => {
        await withAdmin({ choice: options, terminal }, (admin) =>
          printPages(terminal, (after) => admin.listDevices({ after }), { json: options.json, ...TABLE }),
        );
      },
    );
    addExample(command, '$ latchkey devices list');
  },
};

const TABLE = {
  title: (first: readonly DeviceView[]) => {
    const named = first.some(({ name }) => name !== undefined);
    return ['ID', 'LINK', 'WRAP', 'WAITING', 'AUDIENCE', ...(named ? ['NAME'] : [])];
  },
  none: 'No device is registered. See `latchkey devices add --help`.',
  row: (device: DeviceView) => [
    device.id,
    linkOf(device),
    device.line === undefined && device.ble === undefined ? '-' : String(device.profile.wrap),
    String(device.waiting),
    device.audience,
    device.name ?? '',
  ],
};

function linkOf({ ble, line, unfinished }: DeviceView): string {
  const link = line ?? (ble === undefined ? 'connected' : `ble ${ble.name}`);
  return unfinished === true ? `${link} (pairing unfinished)` : link;
}

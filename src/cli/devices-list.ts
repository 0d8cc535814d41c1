import type { DeviceView } from '../ports/admin.ts';
import { columns } from './columns.ts';
import { addExample, type CliCommand } from './command.ts';
import { type AdminChoice, withAdmin } from './devices-admin.ts';

export const command: CliCommand = {
  configure(command, terminal) {
    command
      .description('List the registered devices.')
      .option('--socket <path>', 'admin socket of the hub (default: that of the configuration)')
      .option('-c, --config <file>', 'configuration of the hub')
      .option('--json', 'print them as JSON')
      .action(async (options: AdminChoice & { readonly json?: boolean }) => {
        const devices = await withAdmin({ choice: options, terminal }, (admin) => admin.listDevices());
        if (options.json === true) terminal.print(JSON.stringify(devices));
        else for (const line of table(devices)) terminal.print(line);
      });
    addExample(command, '$ latchkey devices list');
  },
};

function table(devices: readonly DeviceView[]): readonly string[] {
  if (devices.length === 0) return ['No device is registered. See `latchkey devices add --help`.'];
  const rows = [
    ['ID', 'LINE', 'WRAP', 'WAITING', 'AUDIENCE'],
    ...devices.map((device) => [
      device.id,
      device.line ?? 'connected',
      device.line === undefined ? '-' : String(device.profile.wrap),
      String(device.waiting),
      device.audience,
    ]),
  ];
  return columns(rows);
}

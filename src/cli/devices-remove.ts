import { addAdminOptions } from './admin-options.ts';
import { addExample, type CliCommand } from './command.ts';
import { type AdminChoice, withDevice } from './devices-admin.ts';

export const command: CliCommand = {
  configure(command, terminal) {
    addAdminOptions(
      command
        .description(
          'Forget a device, its keys and the tokens that wait for it. Tokens that it holds stay good until they expire, and a device that was paired keeps trusting this hub: see `latchkey devices unpair`.',
        )
        .argument('<id>', 'name of the device'),
      'print nothing but errors',
    ).action(async (id: string, options: AdminChoice & { readonly json?: boolean }) => {
      await withDevice(id, { choice: options, terminal }, (admin) => admin.removeDevice(id));
      if (options.json !== true) terminal.print(`Removed ${id}.`);
    });
    addExample(command, '$ latchkey devices remove tube-1');
  },
};

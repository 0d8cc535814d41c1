import { addAdminOptions } from './admin-options.ts';
import { addExample, type CliCommand } from './command.ts';
import { type AdminChoice, withDevice } from './devices-admin.ts';

export const command: CliCommand = {
  configure(command, terminal) {
    addAdminOptions(
      command
        .description(
          'Have a paired device show which one it is, by its light or whatever it has. A hub must be running.',
        )
        .argument('<id>', 'id of the device'),
      'print nothing but errors',
    ).action(async (id: string, options: AdminChoice & { readonly json?: boolean }) => {
      await withDevice(id, { choice: options, terminal }, (admin) => admin.identifyDevice(id));
      if (options.json !== true) terminal.print(`${id} shows itself now.`);
    });
    addExample(command, '$ latchkey devices identify tube-1');
  },
};

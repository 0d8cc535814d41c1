import { addAdminOptions } from './admin-options.ts';
import { addExample, type CliCommand } from './command.ts';
import { type AdminChoice, withDevice } from './devices-admin.ts';

export const command: CliCommand = {
  configure(command, terminal) {
    addAdminOptions(
      command
        .description(
          'Give a device another name for people. Its id stays: clients address it by that, and the device knows itself by it.',
        )
        .argument('<id>', 'id of the device')
        .argument('<name>', 'up to 63 characters'),
      'print the device as JSON',
    ).action(async (id: string, name: string, options: AdminChoice & { readonly json?: boolean }) => {
      const device = await withDevice(id, { choice: options, terminal }, (admin) => admin.renameDevice(id, name));
      terminal.print(options.json === true ? JSON.stringify(device) : `${id} is called ${name}.`);
    });
    addExample(command, '$ latchkey devices rename tube-1 "Fridge, second floor"');
  },
};

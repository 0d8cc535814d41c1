import { addAdminOptions } from './admin-options.ts';
import { addExample, type CliCommand } from './command.ts';
import { confirm, YES } from './confirm.ts';
import { type AdminChoice, withDelivery } from './devices-admin.ts';

interface Options extends AdminChoice {
  readonly yes?: boolean;
  readonly json?: boolean;
}

export const command: CliCommand = {
  configure(command, terminal) {
    addAdminOptions(
      command
        .description(
          'Take a token that waits out of the queue, for good. Its client hears of it, and the audit has it. Where an attempt is under way, the device may have the token all the same: then it stays good there until it expires.',
        )
        .argument('<id>', 'id of the delivery, as `latchkey deliveries list` has it')
        .option(...YES),
      'print the delivery as JSON',
    ).action(async (id: string, options: Options) => {
      await confirm(`Cancel delivery ${id}?`, { ...options, terminal });
      const delivery = await withDelivery(id, { choice: options, terminal }, (admin) => admin.cancelDelivery(id));
      terminal.print(
        options.json === true ? JSON.stringify(delivery) : `Cancelled ${id}, a token for ${delivery.device}.`,
      );
    });
    addExample(command, '$ latchkey deliveries cancel 0f4c2f9a6c1e4b7f8d3a5e6b7c8d9e0f');
  },
};

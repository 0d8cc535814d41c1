import type { Unpaired } from '../ports/admin.ts';
import { addAdminOptions } from './admin-options.ts';
import { addExample, type CliCommand } from './command.ts';
import { type AdminChoice, withDevice } from './devices-admin.ts';

interface Options extends AdminChoice {
  readonly force?: boolean;
  readonly json?: boolean;
}

export const command: CliCommand = {
  configure(command, terminal) {
    addAdminOptions(
      command
        .description(
          'Have a device give up what it trusts, and forget it. To be paired again it needs a reset by hand: its setup code stays dead until then.',
        )
        .argument('<id>', 'id of the device')
        .option('--force', 'forget it even if it does not answer: then it trusts this hub until it is reset'),
      'print the outcome as JSON',
    ).action(async (id: string, options: Options) => {
      const force = options.force === true;
      const outcome = await withDevice(id, { choice: options, terminal }, (admin) => admin.unpairDevice(id, { force }));
      terminal.print(options.json === true ? JSON.stringify({ device: id, ...outcome }) : sentence(id, outcome));
    });
    addExample(command, '$ latchkey devices unpair tube-1');
  },
};

function sentence(id: string, { code }: Unpaired): string {
  if (code === undefined) return `Unpaired ${id}. Reset it by hand before it is paired again.`;
  return `Forgot ${id}, which did not say that it is unpaired [${code}]: it trusts this hub until it is reset by hand.`;
}

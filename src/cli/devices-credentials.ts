import { addAdminOptions } from './admin-options.ts';
import { addExample, type CliCommand } from './command.ts';
import { type AdminChoice, withDevice } from './devices-admin.ts';
import { eachLine } from './output.ts';
import { intoNewFile } from './secret-file.ts';

interface Options extends AdminChoice {
  readonly out: string;
}

export const command: CliCommand = {
  configure(command, terminal) {
    addAdminOptions(
      command
        .description(
          'Write what a connected device needs to ask the hub about tokens: its password for HTTP, and its keys for CoAP and MQTT. The file holds secrets: hand it to the device, then delete it. It can be written again at any time.',
        )
        .argument('<id>', 'name of the device')
        .requiredOption('--out <file>', 'where to write it (must not exist yet), or - for standard output'),
    ).action(async (id: string, options: Options) => {
      const credentials = () => withDevice(id, { choice: options, terminal }, (admin) => admin.deviceCredentials(id));
      if (options.out === '-') {
        eachLine((await credentials()).trimEnd(), terminal.print);
        return;
      }
      await intoNewFile(options.out, async (file) => file.write(await credentials()));
      terminal.print(`What ${id} needs is in ${options.out}: it holds secrets, hand it over and delete it.`);
    });
    addExample(command, '$ latchkey devices credentials ekg-1 --out ekg-1.json');
  },
};

import { repairStateFolder } from '../hub/state-care.ts';
import { addExample, type CliCommand } from './command.ts';
import { printReport, withStateAtRest } from './state-at-rest.ts';

interface Options {
  readonly config?: string;
  readonly json?: boolean;
}

export const command: CliCommand = {
  configure(command, terminal) {
    command
      .description(
        'Mend a damaged state folder from whatever of its files can be read. The files are copied first, within the state folder; the copy holds keys, so delete it once the hub works. Needs the hub to be stopped.',
      )
      .option('-c, --config <file>', 'configuration of the hub')
      .option('--json', 'print what was saved as JSON')
      .action((options: Options) =>
        withStateAtRest(options.config, terminal, async (config, log) => {
          const now = new Date()
            .toISOString()
            .replaceAll(/[-:]|\.\d+Z/g, '')
            .replace('T', '-');
          const isJson = options.json === true;
          const report = await repairStateFolder(config, log, now, (copy) => {
            if (!isJson) terminal.print(`The files as they were: ${copy}`);
          });
          if (isJson) terminal.print(JSON.stringify(report));
          else printReport(terminal, report);
        }),
      );
    addExample(command, '$ sudo -u latchkey latchkey state repair');
  },
};

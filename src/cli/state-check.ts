import { LatchkeyError } from '../core/errors.ts';
import { checkStateFolder } from '../hub/state-care.ts';
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
        'Look whether the state folder is whole, and count what is in it. Needs the hub to be stopped. The exit status is 1 where something is wrong.',
      )
      .option('-c, --config <file>', 'configuration of the hub')
      .option('--json', 'print what was found as JSON')
      .action((options: Options) =>
        withStateAtRest(options.config, terminal, async (config, log) => {
          const report = await checkStateFolder(config, log);
          if (options.json === true) terminal.print(JSON.stringify(report));
          else printReport(terminal, report);
          if (report.faults.length > 0) throw new LatchkeyError('store_corrupt', config.stateDir);
        }),
      );
    addExample(command, '$ latchkey state check');
  },
};

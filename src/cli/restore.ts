import { restoreStateFolder } from '../hub/state-care.ts';
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
        'Make the state folder from a backup. It must hold no state yet: move the old one away. What happened after the backup is unknown to the hub from then on: see docs/operations.md, "Backup".',
      )
      .argument('<file>', 'what `latchkey backup` wrote')
      .option('-c, --config <file>', 'configuration of the hub')
      .option('--json', 'print what was restored as JSON')
      .action((file: string, options: Options) =>
        withStateAtRest(options.config, terminal, async (config, log) => {
          const report = await restoreStateFolder(config, log, file);
          if (options.json === true) terminal.print(JSON.stringify(report));
          else printReport(terminal, report);
        }),
      );
    addExample(command, '$ sudo -u latchkey latchkey restore latchkey-backup.jsonl');
  },
};

/** The options of every command that asks the hub, or works on its state folder. */
import type { Command } from 'commander';

/** @param json what `--json` prints; left out for a command that has no such option */
export function addAdminOptions(command: Command, json?: string): Command {
  command
    .option('--socket <path>', 'admin socket of the hub (default: that of the configuration)')
    .option('-c, --config <file>', 'configuration of the hub');
  return json === undefined ? command : command.option('--json', json);
}

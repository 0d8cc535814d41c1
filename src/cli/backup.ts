import { LatchkeyError } from '../core/errors.ts';
import { addAdminOptions } from './admin-options.ts';
import { addExample, type CliCommand } from './command.ts';
import { type AdminChoice, withAdmin } from './devices-admin.ts';
import { intoNewFile } from './secret-file.ts';

/** The last line of a backup: without it the answer of the hub broke off. */
const END = /"sha256":"[\w-]{43}"\}\n$/;
const END_LENGTH = 128;

export const command: CliCommand = {
  configure(command, terminal) {
    addAdminOptions(
      command
        .description(
          'Write the whole state into one file, with the hub running or not. It holds all keys in clear: who has the file has the devices.',
        )
        .argument('<file>', 'where to write it; must not exist yet'),
    ).action(async (file: string, options: AdminChoice) => {
      const bytes = await intoNewFile(file, (made) =>
        withAdmin({ choice: options, terminal }, async (admin) => {
          let written = 0;
          let end = '';
          for await (const text of admin.backup()) {
            made.write(text);
            written += Buffer.byteLength(text);
            end = (end + text).slice(-END_LENGTH);
          }
          if (!END.test(end)) throw new LatchkeyError('backup_invalid', 'the hub did not send its end');
          return written;
        }),
      );
      terminal.print(`Wrote ${bytes} bytes to ${file}. It holds keys: keep it as you keep the keys of the devices.`);
    });
    addExample(command, '$ latchkey backup latchkey-backup.jsonl');
  },
};

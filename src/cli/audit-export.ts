import type { Admin } from '../ports/admin.ts';
import { addAdminOptions } from './admin-options.ts';
import { exportLines } from './audit-file.ts';
import { addExample, type CliCommand } from './command.ts';
import { type AdminChoice, withAdmin } from './devices-admin.ts';
import { intoNewFile } from './secret-file.ts';

interface Options extends AdminChoice {
  readonly evidence?: boolean;
}

export const command: CliCommand = {
  configure(command, terminal) {
    addAdminOptions(
      command
        .description(
          'Write all records out as JSON lines, with what it takes to verify them anywhere. The head is printed at the end: it stands for every record, so keep it, or the export, where an attacker who can write the state folder cannot.',
        )
        .argument('[file]', 'where to write it (must not exist yet), or - for standard output', '-')
        .option('--evidence', 'add the signed answers of authorization servers; they hold what those say of people'),
    ).action(async (file: string, options: Options) => {
      const writeAll = (write: (line: string) => void) =>
        withAdmin({ choice: options, terminal }, (admin) => writeExport(admin, options, write));
      const head =
        file === '-'
          ? await writeAll((line) => terminal.print(line))
          : await intoNewFile(file, (made) => writeAll((line) => made.write(`${line}\n`)));
      terminal.note(`Head: ${head}`);
    });
    addExample(command, '$ latchkey audit export audit.jsonl', '$ latchkey audit verify --file audit.jsonl');
  },
};

async function writeExport(
  admin: Admin,
  { evidence = false }: Options,
  write: (line: string) => void,
): Promise<string> {
  let head = '';
  for await (const line of exportLines(admin, { evidence })) {
    write(JSON.stringify(line));
    if (typeof line.head === 'string') head = line.head;
  }
  return head;
}

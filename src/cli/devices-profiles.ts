import type { ProfileView } from '../ports/admin.ts';
import { addAdminOptions } from './admin-options.ts';
import { columns } from './columns.ts';
import { addExample, type CliCommand } from './command.ts';
import { type AdminChoice, withAdmin } from './devices-admin.ts';

export const command: CliCommand = {
  configure(command, terminal) {
    addAdminOptions(
      command.description(
        'List the profiles of the configuration, and how many devices were registered with each. A device keeps a copy: DIFFERING counts those whose copy differs from what the configuration says now.',
      ),
      'print them as JSON',
    ).action(async (options: AdminChoice & { readonly json?: boolean }) => {
      const profiles = await withAdmin({ choice: options, terminal }, (admin) => admin.profiles());
      if (options.json === true) terminal.print(JSON.stringify(profiles));
      else if (profiles.length === 0) terminal.print('The configuration has no [[profiles]].');
      else for (const line of columns([TITLE, ...profiles.map(row)])) terminal.print(line);
    });
    addExample(command, '$ latchkey devices profiles');
  },
};

const TITLE = ['PROFILE', 'WRAP', 'DEVICES', 'DIFFERING', 'AUDIENCE', 'SCOPES'];

function row({ audience, devices, differing, name, profile }: ProfileView): readonly string[] {
  const { scopes, wrap } = profile;
  return [
    name,
    String(wrap),
    String(devices),
    String(differing),
    audience,
    Array.isArray(scopes) ? scopes.join(' ') : '',
  ];
}

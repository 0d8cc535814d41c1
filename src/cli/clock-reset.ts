import { addAdminOptions } from './admin-options.ts';
import { addExample, type CliCommand } from './command.ts';
import { type AdminChoice, withAdmin } from './devices-admin.ts';

interface Options extends AdminChoice {
  readonly json?: boolean;
}

export const command: CliCommand = {
  configure(command, terminal) {
    addAdminOptions(
      command.description(
        'Have the hub forget the time floor, the time that it holds for surely past. For a hub that was confirmed a wrong time, and refuses every token as expired although its clock is right now. Set the clock first: an expired token may count again if the clock is behind. The audit records the reset.',
      ),
      'print the floor before and after as JSON',
    ).action(async (options: Options) => {
      const view = await withAdmin({ choice: options, terminal }, (admin) => admin.resetClock());
      if (options.json === true) return terminal.print(JSON.stringify(view));
      const { after, before, clock } = view;
      terminal.print(`The time floor was ${instantText(before)}. It is ${instantText(after)} now.`);
      if (clock === undefined) return;
      terminal.print(`The clock reads ${instantText(clock)}, before this version was built. Set the clock.`);
    });
    addExample(command, '$ latchkey clock reset');
  },
};

function instantText(seconds: number): string {
  return new Date(seconds * 1_000).toISOString();
}

import { printable } from '../core/printable.ts';
import type { DeviceView } from '../ports/admin.ts';
import { addAdminOptions } from './admin-options.ts';
import { addExample, type CliCommand } from './command.ts';
import { confirm, YES } from './confirm.ts';
import { type AdminChoice, withDevice } from './devices-admin.ts';

interface Options extends AdminChoice {
  readonly yes?: boolean;
  readonly json?: boolean;
}

export const command: CliCommand = {
  configure(command, terminal) {
    addAdminOptions(
      command
        .description(
          'Forget a device, its keys and the tokens that wait for it. Tokens that it holds stay good until they expire. A device that was paired keeps trusting this hub: it asks before it forgets one, and `latchkey devices unpair` has the device give that up first.',
        )
        .argument('<id>', 'name of the device')
        .option(...YES),
      'print nothing but errors',
    ).action(async (id: string, options: Options) => {
      const left = await withDevice(id, { choice: options, terminal }, async (admin) => {
        const onDevice = leftOn(await admin.showDevice(id));
        if (onDevice !== undefined) {
          const question = `${onDevice} \`latchkey devices unpair ${printable(id)}\` has it give that up first. Forget it all the same?`;
          await confirm(question, { ...options, terminal });
        }
        await admin.removeDevice(id);
        return onDevice;
      });
      if (options.json === true) return;
      terminal.print(left === undefined ? `Removed ${id}.` : `Removed ${id}. ${left}`);
    });
    addExample(command, '$ latchkey devices remove tube-1');
  },
};

/** What a removal leaves on the device, where an unpairing would not. */
function leftOn({ ble, id, line, paired }: DeviceView): string | undefined {
  // A connected device trusts nothing, and one with a trust file knows no unpairing.
  if (paired === false || (line === undefined && ble === undefined)) return undefined;
  const was = paired === true ? 'was paired' : 'may have been paired';
  return `${printable(id)} ${was}: it still has the keys of this hub, and takes no setup code until it is reset by hand.`;
}

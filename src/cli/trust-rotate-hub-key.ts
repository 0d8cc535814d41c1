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
        'Give the hub a new signing key. Devices whose tokens it signs (wrap sign1 or sign1+encrypt0) get to know it by a bundle under the key that they trust, when they are next reached; until then their tokens are signed with the old one. The old one is deleted when no device needs it any more. All other devices (wrap mac0, which is the default, encrypt0 or mac0+encrypt0) trust no signing key of the hub and are not touched: their own keys are replaced by provisioning them again.',
      ),
      'print the new key ids and the devices that wait as JSON',
    ).action(async (options: Options) => {
      const rotated = await withAdmin({ choice: options, terminal }, (admin) => admin.rotateHubKey());
      if (options.json === true) {
        terminal.print(JSON.stringify(rotated));
        return;
      }
      const names = Object.entries(rotated.keys).map(([algorithm, keyId]) => `${keyId} (${algorithm})`);
      terminal.print(`The hub signs with ${names.join(' and ')} from now on.`);
      terminal.print(
        rotated.waiting.length === 0
          ? 'No device trusts an older key: there is nothing to wait for.'
          : `${rotated.waiting.length} ${rotated.waiting.length === 1 ? 'device trusts' : 'devices trust'} an older key until reached: see \`latchkey trust status\`.`,
      );
    });
    addExample(command, '$ latchkey trust rotate-hub-key');
  },
};

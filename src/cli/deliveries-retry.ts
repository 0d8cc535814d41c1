import { CATALOGUE } from '../core/error-catalogue.ts';
import { isErrorCode } from '../core/errors.ts';
import type { RetriedDelivery } from '../ports/admin.ts';
import { addAdminOptions } from './admin-options.ts';
import { addExample, type CliCommand } from './command.ts';
import { type AdminChoice, withDelivery } from './devices-admin.ts';

export const command: CliCommand = {
  configure(command, terminal) {
    addAdminOptions(
      command
        .description(
          'Try the device of a token that waits at once, whatever pause the hub is in. A device gets its tokens in the order of their arrival. Needs a hub that runs.',
        )
        .argument('<id>', 'id of the delivery, as `latchkey deliveries list` has it'),
      'print the delivery as JSON',
    ).action(async (id: string, options: AdminChoice & { readonly json?: boolean }) => {
      const delivery = await withDelivery(id, { choice: options, terminal }, (admin) => admin.retryDelivery(id));
      terminal.print(options.json === true ? JSON.stringify(delivery) : sentence(delivery));
    });
    addExample(command, '$ latchkey deliveries retry 0f4c2f9a6c1e4b7f8d3a5e6b7c8d9e0f');
  },
};

function sentence({ before, device, difficulty }: RetriedDelivery): string {
  // No attempt is made while the link is down.
  if (difficulty?.failures === 0) {
    const { code } = difficulty;
    const title = isErrorCode(code) ? `${CATALOGUE[code].title} [${code}]` : `[${code}]`;
    return `${device} cannot be tried now: ${title}. The hub tries it as soon as that has passed.`;
  }
  const others = before === 0 ? '' : ` ${before} ${before === 1 ? 'token goes' : 'tokens go'} to it before this one.`;
  return `The hub tries ${device} now.${others} See \`latchkey deliveries list\`.`;
}

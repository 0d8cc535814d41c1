import type { ListedDelivery } from '../ports/admin.ts';
import { addAdminOptions } from './admin-options.ts';
import { addExample, type CliCommand } from './command.ts';
import { countOption } from './count-option.ts';
import { type AdminChoice, withAdmin } from './devices-admin.ts';
import { instantText } from './instant.ts';
import { printPages } from './paged-list.ts';

interface Options extends AdminChoice {
  readonly device?: string;
  readonly waiting?: boolean;
  readonly limit: string;
  readonly json?: boolean;
}

/** As many as a hub can be set to keep (`delivery.max_overall`). */
const MOST = 65_536;

export const command: CliCommand = {
  configure(command, terminal) {
    addAdminOptions(
      command
        .description('List deliveries in the order of their arrival: what waits, and why; what became of the others.')
        .option('--device <id>', 'only those for this device')
        .option('--waiting', 'only those that wait')
        .option('--limit <number>', `the newest ones, up to ${MOST}`, '50'),
      'print them as JSON',
    ).action(async (options: Options) => {
      const { device, json, waiting } = options;
      const wanted = countOption('--limit', options.limit, MOST);
      await withAdmin({ choice: options, terminal }, (admin) => {
        let left = wanted;
        const ask = async (after: string | undefined) => {
          const page = await admin.deliveries({ device, waiting, limit: left, after });
          left -= page.items.length;
          return page;
        };
        return printPages(terminal, ask, { json, ...TABLE });
      });
    });
    addExample(command, '$ latchkey deliveries list --waiting');
  },
};

const TABLE = {
  title: () => ['DELIVERY', 'DEVICE', 'STATE', 'EXPIRES', 'SCOPE', 'WHY'],
  none: 'Nothing is on its way.',
  row: (delivery: ListedDelivery) => [
    delivery.delivery,
    delivery.device,
    delivery.state,
    instantText(delivery.expires_at),
    delivery.scope,
    reason(delivery),
  ],
};

function reason({ code, device_code: deviceCode, difficulty, receipt, state }: ListedDelivery): string {
  if (state === 'delivered') return receipt === true ? 'receipt checked' : 'without a receipt';
  if (state !== 'queued') return [code, deviceCode].filter((part) => part !== undefined).join(', device ');
  if (difficulty === undefined) return '';
  if (difficulty.failures === 0) return difficulty.code;
  return `${difficulty.code}, ${difficulty.failures} ${difficulty.failures === 1 ? 'attempt' : 'attempts'}`;
}

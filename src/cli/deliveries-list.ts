import type { ListedDelivery } from '../ports/admin.ts';
import { addAdminOptions } from './admin-options.ts';
import { columns } from './columns.ts';
import { addExample, type CliCommand } from './command.ts';
import { countOption } from './count-option.ts';
import { type AdminChoice, withAdmin } from './devices-admin.ts';
import { instantText } from './instant.ts';

interface Options extends AdminChoice {
  readonly device?: string;
  readonly waiting?: boolean;
  readonly limit: string;
  readonly json?: boolean;
}

const MOST = 1_024;

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
      const query = { device, waiting, limit: countOption('--limit', options.limit, MOST) };
      const deliveries = await withAdmin({ choice: options, terminal }, (admin) => admin.deliveries(query));
      if (json === true) terminal.print(JSON.stringify(deliveries));
      else for (const line of table(deliveries)) terminal.print(line);
    });
    addExample(command, '$ latchkey deliveries list --waiting');
  },
};

function table(deliveries: readonly ListedDelivery[]): readonly string[] {
  if (deliveries.length === 0) return ['Nothing is on its way.'];
  return columns([
    ['DELIVERY', 'DEVICE', 'STATE', 'EXPIRES', 'SCOPE', 'WHY'],
    ...deliveries.map((delivery) => [
      delivery.delivery,
      delivery.device,
      delivery.state,
      instantText(delivery.expires_at),
      delivery.scope,
      reason(delivery),
    ]),
  ]);
}

function reason({ code, device_code: deviceCode, difficulty, receipt, state }: ListedDelivery): string {
  if (state === 'delivered') return receipt === true ? 'receipt checked' : 'without a receipt';
  if (state !== 'queued') return [code, deviceCode].filter((part) => part !== undefined).join(', device ');
  if (difficulty === undefined) return '';
  return `${difficulty.code}, ${difficulty.failures} ${difficulty.failures === 1 ? 'attempt' : 'attempts'}`;
}

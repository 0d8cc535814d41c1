import type { TrustView } from '../ports/admin.ts';
import { addAdminOptions } from './admin-options.ts';
import { addExample, type CliCommand } from './command.ts';
import { type AdminChoice, withAdmin } from './devices-admin.ts';
import { instantText } from './instant.ts';
import { printPages } from './paged-list.ts';

interface Options extends AdminChoice {
  readonly json?: boolean;
}

/** Changes of one device that are named; `--json` has them all. */
const MOST_NAMED = 4;

export const command: CliCommand = {
  configure(command, terminal) {
    addAdminOptions(
      command.description(
        'Show which device holds which version of what it trusts, and what it still waits for. A version counts when the device confirmed it under its own key.',
      ),
      'print it as JSON',
    ).action(async (options: Options) => {
      await withAdmin({ choice: options, terminal }, (admin) =>
        printPages(terminal, (after) => admin.trust({ after }), { json: options.json, ...TABLE }),
      );
    });
    addExample(command, '$ latchkey trust status');
  },
};

const TABLE = {
  title: () => ['DEVICE', 'HOLDS', 'SINCE', 'STATE', 'NEXT', 'WAITS SINCE', 'CHANGES'],
  none: 'No device takes tokens here. See `latchkey devices add --help`.',
  row: (view: TrustView) => [
    view.device,
    String(view.version),
    instantText(view.held_since),
    stateOf(view),
    view.pending === undefined ? '' : String(view.pending),
    view.waiting_since === undefined ? '' : instantText(view.waiting_since),
    changesOf(view),
  ],
};

function stateOf({ device_code: deviceCode, state }: TrustView): string {
  if (state === 'by_hand') return 'by hand';
  return deviceCode === undefined ? state : `${state} ${deviceCode}`;
}

function changesOf({ changes }: TrustView): string {
  const more = changes.length > MOST_NAMED ? [`and ${changes.length - MOST_NAMED} more`] : [];
  return [...changes.slice(0, MOST_NAMED), ...more].join(', ');
}

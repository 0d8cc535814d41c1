import type { Terminal } from './command.ts';
import { type ListedCommand, runListed } from './command-line.ts';
import { RUN } from './hub-process.ts';

const GROUPS: Readonly<Record<string, string>> = {
  deliveries: 'look after tokens on their way to devices',
  audit: 'look at the record of all verdicts, and verify it',
  devices: 'register devices, look at them and let them go',
  state: 'look after the state folder of a hub that is stopped',
  sim: 'simulate what real installations have',
  clock: 'what the hub holds for surely past',
  trust: 'what devices trust, and the signing key of the hub',
  issuers: 'look at authorization servers before they are configured',
  token: 'look into tokens, see why one is refused, and translate them',
};

/** Every command, in the order of `--help`. A command is imported when it is asked for: `latchkey run` loads no demo. */
export const COMMANDS: readonly ListedCommand[] = [
  RUN,
  { path: ['demo'], summary: 'see the main job end to end, with nothing installed', load: () => import('./demo.ts') },
  { path: ['status'], summary: 'ask the running hub how it is', load: () => import('./status.ts') },
  { path: ['pair'], summary: 'pair a device by its setup code', load: () => import('./pair.ts') },
  {
    path: ['devices', 'add'],
    summary: 'register a device and write what it is to trust',
    load: () => import('./devices-add.ts'),
  },
  { path: ['devices', 'list'], summary: 'list the devices', load: () => import('./devices-list.ts') },
  {
    path: ['devices', 'profiles'],
    summary: 'list the profiles that devices can be registered with',
    load: () => import('./devices-profiles.ts'),
  },
  { path: ['devices', 'show'], summary: 'show one device', load: () => import('./devices-show.ts') },
  {
    path: ['devices', 'credentials'],
    summary: 'write what a connected device needs to ask the hub',
    load: () => import('./devices-credentials.ts'),
  },
  {
    path: ['devices', 'rename'],
    summary: 'give a device another name for people',
    load: () => import('./devices-rename.ts'),
  },
  {
    path: ['devices', 'identify'],
    summary: 'have a device show which one it is',
    load: () => import('./devices-identify.ts'),
  },
  {
    path: ['devices', 'unpair'],
    summary: 'have a device give up its trust, and forget it',
    load: () => import('./devices-unpair.ts'),
  },
  {
    path: ['devices', 'label'],
    summary: 'print the QR code of a device that has none',
    load: () => import('./devices-label.ts'),
  },
  { path: ['devices', 'remove'], summary: 'forget a device', load: () => import('./devices-remove.ts') },
  {
    path: ['deliveries', 'list'],
    summary: 'list what waits for devices, and what became of the rest',
    load: () => import('./deliveries-list.ts'),
  },
  {
    path: ['deliveries', 'cancel'],
    summary: 'take a token that waits out of the queue',
    load: () => import('./deliveries-cancel.ts'),
  },
  {
    path: ['deliveries', 'retry'],
    summary: 'try the device of a token that waits at once',
    load: () => import('./deliveries-retry.ts'),
  },
  {
    path: ['trust', 'status'],
    summary: 'show which device trusts what, and what it waits for',
    load: () => import('./trust-status.ts'),
  },
  {
    path: ['trust', 'rotate-hub-key'],
    summary: 'give the hub a new signing key',
    load: () => import('./trust-rotate-hub-key.ts'),
  },
  { path: ['clock', 'reset'], summary: 'forget a time floor that is wrong', load: () => import('./clock-reset.ts') },
  { path: ['audit', 'list'], summary: 'show verdicts of the hub', load: () => import('./audit-list.ts') },
  {
    path: ['audit', 'verify'],
    summary: 'look for records that were removed or altered',
    load: () => import('./audit-verify.ts'),
  },
  { path: ['audit', 'export'], summary: 'write all records out', load: () => import('./audit-export.ts') },
  {
    path: ['state', 'check'],
    summary: 'look whether the state folder is whole',
    load: () => import('./state-check.ts'),
  },
  { path: ['state', 'repair'], summary: 'mend a damaged state folder', load: () => import('./state-repair.ts') },
  { path: ['backup'], summary: 'write the whole state into one file', load: () => import('./backup.ts') },
  { path: ['restore'], summary: 'make a state folder from a backup', load: () => import('./restore.ts') },
  { path: ['sim', 'device'], summary: 'simulate a device behind a line', load: () => import('./sim-device.ts') },
  {
    path: ['issuers', 'check'],
    summary: 'ask an authorization server what it is, and print the settings for it',
    load: () => import('./issuers-check.ts'),
  },
  {
    path: ['token', 'inspect'],
    summary: 'show what a JWT or CWT says, without verifying it',
    load: () => import('./token-inspect.ts'),
  },
  {
    path: ['token', 'check'],
    summary: 'explain whether a device would get a token, and what would help',
    load: () => import('./token-check.ts'),
  },
  {
    path: ['token', 'translate'],
    summary: 'make the CWT of a device from a JWT, offline',
    load: () => import('./token-translate.ts'),
  },
];

/** Runs one command line (without node and script name) and answers with the exit status. Prints errors; throws none. */
export function runCommandLine(args: readonly string[], terminal: Terminal): Promise<number> {
  return runListed(args, terminal, { commands: COMMANDS, groups: GROUPS });
}

/** What the commands share that work on the state folder itself and never on a running hub. */
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { StateReport } from '../hub/state-care.ts';
import { createLog } from '../observe/log.ts';
import type { Log } from '../ports/log.ts';
import { adminRequest, findAdminSockets, isNoHub } from './admin-client.ts';
import type { Terminal } from './command.ts';
import { claimStateFolder } from './state-folder.ts';

/**
 * The configuration of a hub that does not run, whose state folder may be changed.
 * @throws {LatchkeyError} `store_locked` where it runs, `store_not_ours`
 */
export async function configAtRest(
  file: string | undefined,
  terminal: Terminal,
): Promise<{ readonly config: Config; readonly log: Log }> {
  const sockets = findAdminSockets({ config: file, environment: terminal.environment });
  try {
    await adminRequest({ sockets, method: 'GET', path: '/status' });
    throw new LatchkeyError('store_locked', sockets.join(', '));
  } catch (error) {
    if (!isNoHub(error)) throw error;
  }
  const { config } = loadConfig({ path: file, environment: terminal.environment });
  claimStateFolder(config.stateDir);
  const destination = { write: (line: string) => terminal.note(line.trimEnd()) };
  return { config, log: createLog({ level: 'error', destination }) };
}

export function printReport(terminal: Terminal, { audit, deliveries, devices, faults }: StateReport): void {
  terminal.print(`Devices: ${devices}`);
  terminal.print(`Deliveries: ${deliveries}`);
  terminal.print(`Audit: ${audit} records`);
  for (const fault of faults) terminal.print(`! ${fault}`);
  if (faults.length === 0) terminal.print('Nothing is wrong.');
}

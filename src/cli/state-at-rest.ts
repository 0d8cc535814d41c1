/** What the commands share that work on the state folder itself and never on a running hub. */
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { isCoded } from '../core/errors.ts';
import type { StateReport } from '../hub/state-care.ts';
import { createLog } from '../observe/log.ts';
import type { Log } from '../ports/log.ts';
import { adminRequest, isNoHub } from './admin-client.ts';
import type { Terminal } from './command.ts';
import { claimStateFolder, hubRunning } from './state-folder.ts';

/**
 * Runs `action` on the state folder of a hub that does not run.
 * @throws {LatchkeyError} `hub_running`, `store_not_ours`, or what `action` throws
 */
export async function withStateAtRest(
  file: string | undefined,
  terminal: Terminal,
  action: (config: Config, log: Log) => Promise<void>,
): Promise<void> {
  const { adminSockets: sockets, config } = loadConfig({ path: file, environment: terminal.environment });
  try {
    await adminRequest({ sockets, method: 'GET', path: '/status' });
    throw hubRunning(config.stateDir);
  } catch (error) {
    if (!isNoHub(error)) throw error;
  }
  claimStateFolder(config.stateDir);
  const destination = { write: (line: string) => terminal.note(line.trimEnd()) };
  try {
    await action(config, createLog({ level: 'error', destination }));
  } catch (error) {
    throw isCoded(error, 'store_locked') ? hubRunning(config.stateDir, error) : error;
  }
}

export function printReport(terminal: Terminal, { audit, deliveries, devices, faults }: StateReport): void {
  terminal.print(`Devices: ${devices}`);
  terminal.print(`Deliveries: ${deliveries}`);
  terminal.print(`Audit: ${audit} records`);
  for (const fault of faults) terminal.print(`! ${fault}`);
  if (faults.length === 0) terminal.print('Nothing is wrong.');
}

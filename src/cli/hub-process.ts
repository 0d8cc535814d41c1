/** `latchkey run` alone, as a process of its own: the entry of the compiled hub (see compiled-hub.ts). */
import { type ListedCommand, runListed } from './command-line.ts';
import { runAsProcess } from './process.ts';

export const RUN: ListedCommand = { path: ['run'], summary: 'run the hub', load: () => import('./run.ts') };

/** Runs a command line that begins with `run`, and answers with the exit status. */
export function runProcess(args: readonly string[]): Promise<number> {
  return runAsProcess((terminal) => runListed(args, terminal, { commands: [RUN], groups: {} }));
}

/** The command line as a process of its own. */
import { coded } from '../core/errors.ts';
import { reportCrashes } from '../observe/crash.ts';
import type { Terminal } from './command.ts';
import { defectText, eachLine, errorText } from './output.ts';
import { processTerminal } from './terminal.ts';

/** Runs what is given at the terminal of this process, and answers with the exit status. */
export function runAsProcess(run: (terminal: Terminal) => Promise<number>): Promise<number> {
  const terminal = processTerminal();
  reportCrashes((thrown) => {
    eachLine(errorText(coded(thrown)), terminal.note);
    terminal.note(defectText(thrown));
  });
  return run(terminal);
}

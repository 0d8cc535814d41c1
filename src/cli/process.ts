/** The command line as a process of its own. */

import { coded } from '../core/errors.ts';
import { reportCrashes } from '../observe/crash.ts';
import { defectText, eachLine, errorText } from './output.ts';
import { runCommandLine } from './program.ts';
import { processTerminal } from './terminal.ts';

/** Runs a command line and answers with the exit status. */
export function runProcess(args: readonly string[]): Promise<number> {
  const terminal = processTerminal();
  reportCrashes((thrown) => {
    eachLine(errorText(coded(thrown)), terminal.note);
    terminal.note(defectText(thrown));
  });
  return runCommandLine(args, terminal);
}

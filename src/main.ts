#!/usr/bin/env node
import { defectText, eachLine, errorText } from './cli/output.ts';
import { runCommandLine } from './cli/program.ts';
import { processTerminal } from './cli/terminal.ts';
import { coded } from './core/errors.ts';
import { reportCrashes } from './observe/crash.ts';

// Packages below trace where DEBUG tells them to, each packet with passwords and tokens. They ask once, when they load.
delete process.env.DEBUG;
const terminal = processTerminal();
reportCrashes((thrown) => {
  eachLine(errorText(coded(thrown)), terminal.note);
  terminal.note(defectText(thrown));
});
process.exitCode = await runCommandLine(process.argv.slice(2), terminal);

/** A command line of a list of commands. The list stands apart: what runs the hub alone loads no other command. */
import { Command, CommanderError } from 'commander';
import { LatchkeyError } from '../core/errors.ts';
import { VERSION } from '../core/version.ts';
import type { CliCommand, Terminal } from './command.ts';
import { defectText, EXIT, eachLine, errorJson, errorText, outcome } from './output.ts';

export interface ListedCommand {
  readonly path: readonly [string] | readonly [group: string, name: string];
  readonly summary: string;
  load(): Promise<{ readonly command: CliCommand }>;
}

export interface CommandList {
  readonly commands: readonly ListedCommand[];
  /** Summaries of groups, by name. */
  readonly groups: Readonly<Record<string, string>>;
}

const HIDDEN_BY_COMMANDER = new Set(['commander.helpDisplayed', 'commander.version']);

/** Runs one command line (without node and script name) and answers with the exit status. Prints errors; throws none. */
export async function runListed(args: readonly string[], terminal: Terminal, list: CommandList): Promise<number> {
  const asked = list.commands.find(({ path }) => path.every((word, index) => args[index] === word));
  const command = await asked?.load().then((module) => module.command);
  try {
    await build(terminal, list, asked, command).parseAsync(args, { from: 'user' });
    return EXIT.ok;
  } catch (thrown) {
    if (thrown instanceof CommanderError && HIDDEN_BY_COMMANDER.has(thrown.code)) return EXIT.ok;
    if (thrown instanceof CommanderError && thrown.code === 'commander.help') return EXIT.usage;
    const { error, status } = outcome(usage(thrown), command?.exitStatus);
    const asJson = command?.errorsAsJson === true || args.includes('--json');
    if (asJson) terminal.note(errorJson(error));
    else eachLine(errorText(error), terminal.note);
    if (error.code === 'internal' && !asJson) terminal.note(defectText(error));
    return status;
  }
}

function usage(thrown: unknown): unknown {
  if (!(thrown instanceof CommanderError)) return thrown;
  return new LatchkeyError('usage', thrown.message.replace(/^error: /, '').replaceAll('\n', ' '));
}

/** The tree of commands with their summaries; only the one asked for has its options. */
function build(
  terminal: Terminal,
  list: CommandList,
  asked: ListedCommand | undefined,
  command: CliCommand | undefined,
): Command {
  const program = new Command('latchkey')
    .description('An ACE (RFC 9200) front for the OAuth server you already have.')
    .version(VERSION)
    .helpCommand(false);
  prepare(program, terminal);
  program.addHelpText('after', '\nExample:\n  $ latchkey demo\n\nEvery command has its own --help.');
  const groups = new Map<string, Command>();
  for (const listed of list.commands) {
    const [first, second] = listed.path;
    const parent = second === undefined ? program : (groups.get(first) ?? addGroup(program, first, terminal, list));
    if (second !== undefined) groups.set(first, parent);
    const added = parent.command(second ?? first).summary(listed.summary);
    prepare(added, terminal);
    if (listed === asked) command?.configure(added, terminal);
  }
  return program;
}

function addGroup(program: Command, name: string, terminal: Terminal, { commands, groups }: CommandList): Command {
  const summary = groups[name] ?? name;
  const group = program
    .command(name)
    .summary(summary)
    .description(`${summary[0]?.toUpperCase()}${summary.slice(1)}.`);
  group.helpCommand(false).addHelpText('after', `\nExample:\n  $ latchkey ${name} ${firstOf(name, commands)} --help`);
  prepare(group, terminal);
  return group;
}

function firstOf(group: string, commands: readonly ListedCommand[]): string {
  return commands.find(({ path }) => path[0] === group)?.path[1] ?? '';
}

/** Nothing in commander exits, or writes past the terminal. */
function prepare(command: Command, terminal: Terminal): void {
  command.exitOverride().configureOutput({
    writeOut: (text) => eachLine(text.trimEnd(), terminal.print),
    writeErr: (text) => eachLine(text.trimEnd(), terminal.note),
    outputError: () => {},
  });
}

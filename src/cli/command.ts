import type { Command } from 'commander';
import type { LatchkeyError } from '../core/errors.ts';

/** What a command sees of the process that it runs in; tests hand in their own. */
export interface Terminal {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /**
   * Writes one line to standard output: the result of the command, and nothing else. Whatever is in it stays one line, so
   * that a name with a line end in it forges none (`printable`); a text of several lines goes through `eachLine`.
   */
  print(line: string): void;
  /** The same for the title of what follows, which may stand out. */
  heading(line: string): void;
  /** Writes a line to standard error: notes and progress. Errors are thrown, never printed by a command. */
  note(line: string): void;
  /**
   * The bytes of a file, or of standard input for `-`.
   * @throws {LatchkeyError} `file_unreadable`, or `request_too_large` past `maxBytes`
   */
  read(file: string, maxBytes: number): Promise<Uint8Array>;
  /**
   * Asks the operator, on standard error, and answers with the next line of standard input, trimmed; undefined at its
   * end, and once the signal is given.
   */
  ask(question: string, signal?: AbortSignal): Promise<string | undefined>;
}

/**
 * One command, one file: `src/cli/token-inspect.ts` is `latchkey token inspect`. It exports
 * `export const command: CliCommand = { configure(command, terminal) { … } }` and is listed in program.ts, which imports
 * it only when it is the one that was asked for. So a command's file may import what it needs at its top.
 *
 * `configure` receives a commander command with its name and summary set, and adds description, arguments, options,
 * an example (`addExample`) and the action. The action throws `LatchkeyError`s; program.ts prints them (as JSON when the
 * command has a `--json` option that was given) and sets the exit status.
 */
export interface CliCommand {
  configure(command: Command, terminal: Terminal): void;
  /** Exit status for an error, where it is not the usual one: 1, or 2 for `usage`. A refused token is 3. */
  exitStatus?(error: LatchkeyError): number;
  /** Errors are printed as `{"error":{…}}` even without `--json`. */
  readonly errorsAsJson?: boolean;
}

/** Adds an example to the end of the command's `--help`. */
export function addExample(command: Command, ...lines: readonly string[]): void {
  command.addHelpText('after', `\nExample:\n${lines.map((line) => `  ${line}`).join('\n')}`);
}

/** How the command line says what went wrong. */
import { HubRefusal } from '../client/hub-answer.ts';
import { CATALOGUE } from '../core/error-catalogue.ts';
import { coded, isErrorCode, type LatchkeyError } from '../core/errors.ts';
import { printableText } from '../core/printable.ts';
import { redact } from '../observe/redact.ts';

/** Exit statuses; `configuration` is EX_CONFIG of sysexits.h, which the unit takes for a reason not to start again. */
export const EXIT = { ok: 0, failure: 1, usage: 2, refused: 3, configuration: 78 } as const;

function sentence(text: string): string {
  return /[.?!]$/.test(text) ? text : `${text}.`;
}

interface Advice {
  readonly cause: string;
  readonly fix: string;
}

/** A refusal of the hub is explained by the hub: the client's own code says only that there was one. */
function adviceOf(error: LatchkeyError): Advice {
  if (!(error instanceof HubRefusal)) return error.entry;
  const { detail, fix, title } = error.explanation;
  return {
    cause: title === undefined ? error.entry.cause : sentence(detail === undefined ? title : `${title}: ${detail}`),
    fix: fix ?? (isErrorCode(error.hubCode) ? CATALOGUE[error.hubCode].fix : error.entry.fix),
  };
}

/** For a person: what is wrong and where, why probably, what to do, and the code to look up in docs/errors.md. */
export function errorText(error: LatchkeyError): string {
  const { title } = error.entry;
  const { cause, fix } = adviceOf(error);
  const subject = sentence(error.detail === undefined ? title : `${title}: ${error.detail}`);
  const advice = `${sentence(cause)} ${sentence(fix)} [${error.code}]`;
  return printableText(`latchkey: ${subject}${subject.includes('\n') ? '\n' : ' '}${advice}`);
}

/** Writes a text whose line ends are the hub's own, line by line. What others named has passed `printable` before. */
export function eachLine(text: string, write: (line: string) => void): void {
  for (const line of text.split('\n')) write(line);
}

/** For a program: one line. */
export function errorJson(error: LatchkeyError): string {
  const { title } = error.entry;
  const { cause, fix } = adviceOf(error);
  const detail = error.detail === undefined ? {} : { detail: error.detail };
  return JSON.stringify({ error: { code: error.code, title, ...detail, cause, fix } });
}

/** What a developer needs to mend a defect: where it happened, redacted as in the log. */
export function defectText(thrown: unknown): string {
  return JSON.stringify(redact(thrown));
}

export interface Outcome {
  readonly error: LatchkeyError;
  readonly status: number;
}

/** The error to report for anything thrown, and the status to exit with. */
export function outcome(thrown: unknown, exitStatus?: (error: LatchkeyError) => number): Outcome {
  const error = coded(thrown);
  return { error, status: error.code === 'usage' ? EXIT.usage : (exitStatus?.(error) ?? EXIT.failure) };
}

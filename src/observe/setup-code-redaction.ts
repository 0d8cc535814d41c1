/**
 * Setup codes in text, in every spelling that pairing takes (docs/protocol.md, "Provisioning"): as QR text; and as typed, with
 * dashes or spaces anywhere or none, in capitals or not, with i, l and o for 1 and 0.
 */
import { decodeCrockford, isCrockfordCheck } from '../codec/crockford.ts';

/** Of 16 bytes. */
const SYMBOLS = 26;
const QR_TEXT = /\blatchkey:1\?[^\s"]*/gi;
/** The form of a label, whatever is in it: a person who mistypes a symbol has still typed the others. */
const LABEL = /\b(?:[0-9A-Z]{5}-){5}[0-9A-Z][0-9A-Z*~$=]?/gi;
/** A run of letters and digits, with what parts it from the next one where both may be of one code. */
const RUN = /([0-9A-Z]+)([*~$=]?)([\s\u2010-\u2015-]{0,3})/gi;
/** A check symbol that stands apart. */
const NEXT_SYMBOL = /^([\s\u2010-\u2015-]{0,3})([*~$=]|[0-9A-Z](?![0-9A-Z]))/i;

interface Run {
  readonly text: string;
  readonly check: string;
  readonly start: number;
  readonly end: number;
  /** Whether the next run may go on with the code. */
  readonly goesOn: boolean;
}

/**
 * Where the line is: 26 symbols are taken for a code where the check symbol holds, or, without one that holds, where both
 * letters and digits are among them, four at least of each. The first catches words of a sentence once in 10,000 sentences of
 * the right length; the second takes a ULID for a code, and no UUID, hash, number, date or sentence.
 */
export function withoutSetupCodes(text: string, replacement: string): string {
  if (text.length < SYMBOLS || !/\d/.test(text)) return text;
  const labelled = text.replace(QR_TEXT, replacement).replace(LABEL, replacement);
  const runs = runsOf(labelled);
  const found = runs.flatMap((_, first) => codeFrom(runs, first, labelled) ?? []);
  const sure = found.filter(({ isSure }) => isSure);
  // Words before a code may make another one with its first symbols: what is sure goes first.
  const others = found.filter((span) => !span.isSure && !sure.some((each) => overlap(each, span)));
  return replaced(labelled, [...sure, ...others], replacement);
}

interface Span {
  readonly start: number;
  readonly end: number;
}

interface Found extends Span {
  /** Whether the check symbol holds. */
  readonly isSure: boolean;
}

function overlap(one: Span, other: Span): boolean {
  return one.start < other.end && other.start < one.end;
}

/** One replacement for spans that overlap. */
function replaced(text: string, spans: readonly Span[], replacement: string): string {
  let safe = '';
  let done = 0;
  for (const { end, start } of [...spans].sort((one, other) => one.start - other.start)) {
    if (start >= done) safe += text.slice(done, start) + replacement;
    done = Math.max(done, end);
  }
  return safe + text.slice(done);
}

function runsOf(text: string): readonly Run[] {
  return [...text.matchAll(RUN)].map(([whole, run = '', check = '', gap = ''], index, all) => {
    const start = all[index]?.index ?? 0;
    const next = all[index + 1]?.index;
    const goesOn = next === start + whole.length && (gap !== '' || check !== '');
    return { text: run, check, start, end: start + run.length, goesOn };
  });
}

/** The code that begins with this run. */
function codeFrom(runs: readonly Run[], first: number, text: string): Found | undefined {
  const start = runs[first]?.start ?? 0;
  let symbols = '';
  for (let at = first; at < runs.length; at += 1) {
    const run = runs[at];
    if (run === undefined || symbols.length + run.text.length > SYMBOLS + 1) return undefined;
    symbols += run.text;
    if (symbols.length >= SYMBOLS) return codeOf(symbols, run, { start, text });
    if (run.check !== '' || !run.goesOn) return undefined;
  }
  return undefined;
}

/** @param run the last one of the symbols */
function codeOf(
  symbols: string,
  run: Run,
  { start, text }: { readonly start: number; readonly text: string },
): Found | undefined {
  const bytes = decodeCrockford(symbols.slice(0, SYMBOLS), 16);
  if (bytes === undefined) return undefined;
  const [, apart = '', check = ''] =
    symbols.length > SYMBOLS ? ['', '', symbols.slice(SYMBOLS)] : (NEXT_SYMBOL.exec(text.slice(run.end)) ?? []);
  const isSure = isCrockfordCheck(check, bytes);
  if (!isSure && !isMixed(symbols)) return undefined;
  const hasCheckBehind = isSure && symbols.length === SYMBOLS;
  return { start, end: hasCheckBehind ? run.end + apart.length + check.length : run.end, isSure };
}

function isMixed(symbols: string): boolean {
  const digits = symbols.replace(/\D/g, '').length;
  return digits >= 4 && symbols.length - digits >= 4;
}

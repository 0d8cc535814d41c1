/**
 * How many lines of one kind the log takes. It stands at the log's door, so no caller can forget it: what peers, lines,
 * disks and defects do has no hand in how much is written. Lines that are held back are counted, and summed up in one line.
 */
import type { LogFields, LogLevel } from '../ports/log.ts';

/** Fields whose values are the hub's own words: with level and event they say what kind of line it is. */
const KIND = ['code', 'method', 'status', 'verdict', 'qos'] as const;

/** Milliseconds. While a kind is too frequent, each of its windows is twice as long as the one before. */
const FIRST_WINDOW = 1_000;
const LONGEST_WINDOW = 60_000;

/** Lines in one window about names of the hub's own. Sixty-four lines that open at start are all seen; a flood is 2 lines a second at most. */
const OF_ONE_KIND = 128;
/** Lines about names that a peer can choose are counted apart, so that a flood of new names silences no line about a device of the hub. */
const OF_CHOSEN_NAMES = 64;
/** Of them, those about one subject, or about none: a person who tries something out sees each line. */
const OF_ONE_SUBJECT = 16;
/** Of warnings and errors less is needed: they say the same each time, as when the store fails. */
const OF_ONE_FAULT = 4;
/** After the first window one is enough: once for each back-off. */
const OF_ONE_LASTING_FAULT = 1;

/** Subjects that are counted apart. Lines about others count for their kind alone. */
const MOST_SUBJECTS = 4_096;
/** Of them, those that a peer can choose. */
const MOST_CHOSEN_SUBJECTS = 1_024;
/** Kinds of lines. There are some hundreds of events and codes; more than this are counted as one. */
const MOST_KINDS = 1_024;
const OTHERS = 'others';

/** What of many lines was held back. */
export interface HeldBack {
  readonly level: LogLevel;
  readonly fields: LogFields;
}

interface Line {
  readonly level: LogLevel;
  readonly fields: LogFields;
  readonly message: string;
}

interface Window {
  readonly level: LogLevel;
  /** Of the sum. */
  readonly fields: LogFields;
  /** Undefined for a kind of line. */
  readonly subject: Subject | undefined;
  ends: number;
  length: number;
  passed: number;
  held: number;
  /** Whether the window was too small, so that the next one is longer. `held` may have been told before its end. */
  overflowed: boolean;
}

export class LogRateLimiter {
  readonly #sumUp: (held: HeldBack) => void;
  readonly #windows = new Map<string, Window>();
  #subjects = 0;
  #chosenSubjects = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param sumUp writes what was held back, without asking again */
  constructor(sumUp: (held: HeldBack) => void) {
    this.#sumUp = sumUp;
  }

  /**
   * Whether this line is to be written.
   * @param subject as `subjectOf` has it, of the line or of the log that it is written to
   */
  passes(level: LogLevel, fields: LogFields, subject: Subject | undefined, message: string): boolean {
    const now = performance.now();
    const kind = kindOf(level, fields, subject, message);
    const ofKind = this.#known(kind, now) ?? this.#begin(kind, undefined, { level, fields, message }, now);
    const ofSubject = subject === undefined ? ofKind : this.#ofSubject(kind, subject, { level, fields, message }, now);
    if (ofSubject !== undefined && ofSubject.passed >= limitOf(ofSubject)) return holdBack(ofSubject);
    if (ofKind !== undefined && ofKind.passed >= (subject?.isChosen ? OF_CHOSEN_NAMES : OF_ONE_KIND))
      return holdBack(ofKind);
    if (ofSubject !== undefined) ofSubject.passed += 1;
    if (ofKind !== undefined && ofKind !== ofSubject) ofKind.passed += 1;
    return true;
  }

  /** Writes out what was counted until now. */
  flush(): void {
    for (const window of this.#windows.values()) this.#tell(window);
  }

  #ofSubject(kind: string, subject: Subject, line: Line, now: number): Window | undefined {
    const name = `${kind} ${subject.name} ${subject.value}`;
    return this.#known(name, now) ?? this.#begin(name, subject, line, now);
  }

  #known(name: string, now: number): Window | undefined {
    const known = this.#windows.get(name);
    if (known !== undefined && now >= known.ends) this.#next(known, now);
    return known;
  }

  #begin(name: string, subject: Subject | undefined, line: Line, now: number): Window | undefined {
    // A subject that finds no room counts for its kind. Kinds are bounded by the code; what finds no room is one more.
    if (subject !== undefined && this.#subjects >= MOST_SUBJECTS) return undefined;
    if (subject?.isChosen && this.#chosenSubjects >= MOST_CHOSEN_SUBJECTS) return undefined;
    const others = `${line.level} ${OTHERS}`;
    if (subject === undefined && name !== others && this.#windows.size - this.#subjects >= MOST_KINDS)
      return this.#known(others, now) ?? this.#begin(others, undefined, { ...line, fields: { event: OTHERS } }, now);
    const window: Window = {
      level: line.level,
      fields: { of: line.fields.event ?? line.message, ...namedFields(line.fields), ...ownField(subject) },
      subject,
      ends: now + FIRST_WINDOW,
      length: FIRST_WINDOW,
      passed: 0,
      held: 0,
      overflowed: false,
    };
    this.#windows.set(name, window);
    this.#countSubject(window, 1);
    this.#timer ??= setTimeout(() => this.#sweep(), FIRST_WINDOW).unref();
    return window;
  }

  /** Ends the windows that are over, and forgets those that were wide enough. */
  #sweep(): void {
    const now = performance.now();
    for (const [name, window] of this.#windows) {
      if (now < window.ends) continue;
      if (window.overflowed) {
        this.#next(window, now);
        continue;
      }
      this.#windows.delete(name);
      this.#countSubject(window, -1);
    }
    this.#timer = this.#windows.size === 0 ? undefined : setTimeout(() => this.#sweep(), FIRST_WINDOW).unref();
  }

  #countSubject({ subject }: Window, sign: 1 | -1): void {
    if (subject === undefined) return;
    this.#subjects += sign;
    if (subject.isChosen) this.#chosenSubjects += sign;
  }

  #next(window: Window, now: number): void {
    this.#tell(window);
    window.length = window.overflowed ? Math.min(LONGEST_WINDOW, window.length * 2) : FIRST_WINDOW;
    window.ends = now + window.length;
    window.passed = 0;
    window.overflowed = false;
  }

  #tell(window: Window): void {
    const { fields, held, level } = window;
    if (held === 0) return;
    window.held = 0;
    this.#sumUp({ level, fields: { event: 'repeated', ...fields, count: held } });
  }
}

/** Who or what a line is about, so that one device does not silence the lines about another one. */
export interface Subject {
  /** Of the field. */
  readonly name: string;
  readonly value: string;
  /** Whether a peer can name what is not the hub's: an address, or the key of a token. Of ids only registered ones are in the log. */
  readonly isChosen: boolean;
}

/** Read one by one: this and `kindOf` are a part of every request. */
export function subjectOf(fields: LogFields): Subject | undefined {
  const { adapter, address, ble, device, issuer, key, line } = fields;
  if (typeof device === 'string') return { name: 'device', value: device, isChosen: false };
  if (typeof line === 'string') return { name: 'line', value: line, isChosen: false };
  if (typeof ble === 'string') return { name: 'ble', value: ble, isChosen: false };
  if (typeof issuer === 'string') return { name: 'issuer', value: issuer, isChosen: false };
  if (typeof adapter === 'string') return { name: 'adapter', value: adapter, isChosen: false };
  if (typeof address === 'string') return { name: 'address', value: address, isChosen: true };
  if (typeof key === 'string') return { name: 'key', value: key, isChosen: true };
  return undefined;
}

/** Lines about names of the hub's own, about chosen names, and about none are kinds of their own. */
function kindOf(level: LogLevel, fields: LogFields, subject: Subject | undefined, message: string): string {
  const { code, event, method, path, qos, status, verdict } = fields;
  let kind = `${level} ${event ?? message}`;
  if (subject !== undefined) kind += subject.isChosen ? ' chosen' : ' own';
  if (code !== undefined) kind += ` ${code}`;
  if (method !== undefined) kind += ` ${method} ${path} ${status}`;
  if (verdict !== undefined) kind += ` ${verdict}`;
  if (qos !== undefined) kind += ` qos ${qos}`;
  return kind;
}

/** Beside a method of HTTP the path is that of a route, and one of the hub's own words. Elsewhere a client chose it. */
function routeOf({ method, path }: LogFields): unknown {
  return method === undefined ? undefined : path;
}

function namedFields(fields: LogFields): LogFields {
  const path = routeOf(fields);
  const named = KIND.flatMap((name) => (fields[name] === undefined ? [] : [[name, fields[name]] as const]));
  return { ...Object.fromEntries(named), ...(path === undefined ? {} : { path }) };
}

function ownField(subject: Subject | undefined): LogFields {
  return subject === undefined ? {} : { [subject.name]: subject.value };
}

function limitOf({ length, level }: Window): number {
  if (level === 'info' || level === 'debug') return OF_ONE_SUBJECT;
  return length === FIRST_WINDOW ? OF_ONE_FAULT : OF_ONE_LASTING_FAULT;
}

function holdBack(window: Window): false {
  window.held += 1;
  window.overflowed = true;
  return false;
}

/**
 * A file of the state that is cut, zeroed, altered or gone after a kill under load. Either the hub starts and holds what it
 * acknowledged, or it says what is lost, or it ends with the command that repairs it. It is never silently an empty one.
 * `CHAOS_TORN=40 npm run chaos` goes on for longer; `CHAOS_SEED` repeats a run.
 */
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { FakeTime } from '../fakes/fake-time.ts';
import { Load } from './load.ts';
import { ChaosSite } from './site.ts';

const count = Number(process.env.CHAOS_TORN ?? 6);
const seed = Number(process.env.CHAOS_SEED ?? 23);

let site: ChaosSite | undefined;
afterEach(() => site?.close());

const random = new FakeTime({ seed });
const upTo = (limit: number) => Math.floor(random.fraction() * limit);

/** Each finds its file among those of a database; the newest of its kind. */
const PLACES: Readonly<Record<string, RegExp>> = {
  CURRENT: /^CURRENT$/,
  MANIFEST: /^MANIFEST-/,
  log: /\.log$/,
  table: /\.ldb$/,
  slots: /^slots$/,
  mark: /\.made$/,
};

const DAMAGES: Readonly<Record<string, (file: string) => void>> = {
  cut: (file) => truncateSync(file, upTo(readFileSync(file).length)),
  'cut at its end': (file) => truncateSync(file, Math.max(0, readFileSync(file).length - 1 - upTo(64))),
  zeroed: (file) => change(file, (bytes) => bytes.fill(0, upTo(bytes.length))),
  'with a bit turned': (file) => change(file, turned),
  gone: (file) => rmSync(file),
};

function turned(bytes: Buffer): Buffer {
  if (bytes.length === 0) return bytes;
  const at = upTo(bytes.length);
  bytes[at] = (bytes[at] as number) ^ (1 << upTo(8));
  return bytes;
}

function change(file: string, edit: (bytes: Buffer) => Buffer): void {
  writeFileSync(file, edit(readFileSync(file)));
}

/** The file of that kind, in one of the two databases; undefined where there is none. */
function pick(state: string, pattern: RegExp): string | undefined {
  const folders = [state, join(state, 'db'), join(state, 'audit')];
  const found = folders.flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => pattern.test(name))
      .map((name) => join(folder, name)),
  );
  return found[upTo(found.length)];
}

interface Report {
  readonly devices: number;
  readonly deliveries: number;
  readonly audit: number;
  readonly faults: readonly string[];
}

/**
 * Whether something acknowledged may be gone. A log whose end is cut or zeroed is what a power cut leaves of writes that
 * were not acknowledged: nothing tells one from the other. A repair reports what it saved of tables and logs. All else is told.
 */
function mayLose(what: string, { isTold, isRepaired }: { readonly isTold: boolean; readonly isRepaired: boolean }) {
  return isTold || /\.log (cut|zeroed)/.test(what) || (isRepaired && /\.(log|ldb) /.test(what));
}

/** What is wrong with how the hub took the damage; nothing where all is well. */
class Damaged {
  readonly outcomes = new Map<string, number>();
  readonly #site: ChaosSite;

  constructor(opened: ChaosSite) {
    this.#site = opened;
  }

  async take(what: string, file: string): Promise<string[]> {
    const run = await this.#start();
    if (run === undefined) return this.#running(what);
    if (run.text.includes('store_lost')) return this.#isLost(what, file, run);
    if (run.status !== 78 || !run.text.includes('store_corrupt'))
      return [`${what}: the hub ended with ${run.status}: ${run.text}`];
    if (!run.text.includes('latchkey state repair')) return [`${what}: no command is named: ${run.text}`];
    const repair = await this.#site.command('state', 'repair', '--json');
    if (repair.status !== 0) return [`${what}: the repair failed: ${repair.err}`];
    const again = await this.#start();
    if (again !== undefined) return [`${what}: after its repair it ended with ${again.status}: ${again.text}`];
    return this.#running(what, { report: JSON.parse(repair.out) as Report });
  }

  /** Undefined where the hub runs. */
  async #start(): Promise<{ readonly status: number; readonly text: string } | undefined> {
    try {
      this.#site.hub = await this.#site.folder.start(this.#site.environment);
      return undefined;
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      return { status: Number(/^the hub ended \((\w+)\)/.exec(text)?.[1]), text };
    }
  }

  async #running(what: string, { report }: { readonly report?: Report } = {}): Promise<string[]> {
    const conditions = await this.#site.conditions();
    const faults: string[] = [];
    const devices = report === undefined ? undefined : await this.#devices();
    if (report?.devices !== devices)
      faults.push(`${what}: the repair said ${report?.devices} devices, there are ${devices}`);
    const lost = await this.#lost();
    const isTold = conditions.includes('store_records_lost') || conditions.includes('audit_broken');
    const isAudit = lost !== undefined && /^the audit: [^\n]*/.test(lost);
    const outcome = lost === undefined ? 'whole' : isTold || isAudit ? 'loss that the hub tells' : 'loss';
    this.#count(`${report === undefined ? 'started' : 'repaired'}, ${outcome}`);
    if (lost !== undefined && !mayLose(what, { isTold: isTold || isAudit, isRepaired: report !== undefined }))
      faults.push(`${what}: lost without a word: ${lost}`);
    await this.#site.hub.stop('SIGKILL');
    return faults;
  }

  /** What no repair can bring back is said to be so, with what is left to do. */
  #isLost(what: string, file: string, { status, text }: { readonly status: number; readonly text: string }): string[] {
    this.#count('no repair, a restore is named');
    const isKeys = file.endsWith('slots') && status === 78 && text.includes('latchkey restore');
    return isKeys ? [] : [`${what}: lost: ${text}`];
  }

  #count(outcome: string): void {
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
  }

  async #devices(): Promise<number> {
    const { out } = await this.#site.command('devices', 'list', '--json');
    return (JSON.parse(out) as unknown[]).length;
  }

  /** What no longer holds, in words. */
  async #lost(): Promise<string | undefined> {
    try {
      await this.#site.check();
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message.slice(0, 400) : String(error);
    }
  }
}

test(
  'a damaged file is survived, told, or repaired by the command that the hub names',
  async () => {
    const opened = await ChaosSite.open();
    site = opened;
    const load = new Load(opened);
    await load.advance(60);
    // A second life, so that there are tables and not a log alone.
    await opened.restart();
    await load.advance(60);
    await load.stop();
    await opened.check();
    await opened.hub.stop('SIGKILL');
    const kept = join(opened.folder.path, 'kept');
    cpSync(opened.state, kept, { recursive: true, filter: (path) => !path.endsWith('.sock') });
    const damaged = new Damaged(opened);
    const faults: string[] = [];
    const [places, ways] = [Object.keys(PLACES), Object.keys(DAMAGES)];
    // Five and six have no common factor: each pair comes once in thirty.
    const pairOf = (number: number) => [places[number % places.length], ways[number % ways.length]] as [string, string];
    let done = 0;
    for (; done < count; done += 1) {
      const [place, how] = pairOf(done);
      rmSync(opened.state, { recursive: true });
      cpSync(kept, opened.state, { recursive: true });
      const file = pick(opened.state, PLACES[place] as RegExp);
      if (file === undefined) throw new Error(`there is no ${place}`);
      DAMAGES[how]?.(file);
      faults.push(...(await damaged.take(`${file.slice(opened.state.length + 1)} ${how}`, file)));
    }
    process.stdout.write(`torn, seed ${seed}: ${done} files, ${JSON.stringify([...damaged.outcomes])}\n`);
    expect(existsSync(kept)).toBe(true);
    expect(faults).toEqual([]);
  },
  60_000 + count * 20_000,
);

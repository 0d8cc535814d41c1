import { printable } from '../core/printable.ts';
import type { ProfileView } from '../ports/admin.ts';
import { profileOf } from './device-options.ts';
import type { Asking, PairOptions } from './pair-texts.ts';

/** What tokens may permit: by a profile of the configuration, or row by row. */
export interface Permitted {
  readonly profileName?: string | undefined;
  readonly allow: readonly string[];
}

/** An option says it, else the label, else a person. */
export class PairPermissions {
  readonly #options: PairOptions;
  readonly #profiles: readonly ProfileView[];
  readonly #asking: Asking;
  /** As it was answered: that holds for the next device too, if this one was not the right one. */
  #answered: Permitted | undefined;

  constructor(parts: {
    readonly options: PairOptions;
    readonly profiles: readonly ProfileView[];
    readonly asking: Asking;
  }) {
    this.#options = parts.options;
    this.#profiles = parts.profiles;
    this.#asking = parts.asking;
  }

  /** Without profiles only a person can say it: before the walk to the device. */
  async askFirst(): Promise<void> {
    if (this.#profiles.length === 0 && this.#given() === undefined) this.#answered = await this.#rows();
  }

  /** @param labelled profile that the label names */
  async of(labelled: string | undefined): Promise<Permitted> {
    const given = this.#given();
    if (given !== undefined) return given;
    if (this.#isKnown(labelled)) return { profileName: labelled, allow: [] };
    if (labelled !== undefined)
      this.#asking.note(`The label names the profile ${labelled}, which the configuration of the hub does not have.`);
    this.#answered ??= await this.#choice();
    return this.#answered;
  }

  /** Whether another answer can be had where what was said did not do. */
  areAsked(labelled: string | undefined): boolean {
    return this.#given() === undefined && !this.#isKnown(labelled);
  }

  async again(): Promise<Permitted> {
    this.#answered = await this.#choice();
    return this.#answered;
  }

  #given(): Permitted | undefined {
    const { allow, profile } = this.#options;
    return allow.length > 0 || profile !== undefined ? { profileName: profile, allow } : undefined;
  }

  #isKnown(labelled: string | undefined): boolean {
    return labelled !== undefined && this.#profiles.some(({ name }) => name === labelled);
  }

  async #choice(): Promise<Permitted> {
    const [first, ...others] = this.#profiles;
    if (first === undefined) return this.#rows();
    for (const [index, { name, profile }] of this.#profiles.entries()) {
      const scopes = Array.isArray(profile.scopes) ? profile.scopes.join(' ') : '';
      this.#asking.note(`  ${index + 1}  ${printable(name)}: ${printable(scopes)}`);
    }
    const usual = others.length === 0 ? ` [${printable(first.name)}]` : '';
    for (;;) {
      const question = `What kind of device is it? Its number or name, or 0 to say what tokens may permit${usual}:`;
      const answer = await this.#asking.ask(question, '--profile');
      if (answer === '0') return this.#rows();
      const chosen = answer === '' && others.length === 0 ? first : this.#found(answer);
      if (chosen !== undefined) return { profileName: chosen.name, allow: [] };
      this.#asking.note('There is no such profile.');
    }
  }

  #found(answer: string): ProfileView | undefined {
    const byName = this.#profiles.find(({ name }) => name === answer);
    return byName ?? (/^\d{1,4}$/.test(answer) ? this.#profiles[Number(answer) - 1] : undefined);
  }

  async #rows(): Promise<Permitted> {
    this.#asking.note('What may tokens permit? One a line, such as "read=FETCH temperature"; an empty line ends.');
    const rows: string[] = [];
    for (;;) {
      const row = await this.#asking.ask(rows.length === 0 ? 'Permission:' : 'Another one:', '--allow');
      if (row === '' && rows.length > 0) return { allow: rows };
      try {
        profileOf({ ...this.#options, allow: [row] });
        rows.push(row);
      } catch (error) {
        this.#asking.say(error);
      }
    }
  }
}

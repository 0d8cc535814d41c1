import { isDeviceId } from '../core/device-id.ts';
import { checkDeviceNames, checkName } from '../devices/device.ts';
import type { CandidateView } from '../ports/pairing.ts';
import type { Asking, PairOptions } from './pair-texts.ts';

export interface Names {
  readonly id: string;
  /** Undefined for that of the profile. */
  readonly audience?: string | undefined;
  readonly name?: string | undefined;
  /** Whether the id was not asked for: another answer would be none. */
  readonly areGiven: boolean;
}

const ID_RULE = 'An id has 1 to 63 of a-z, 0-9, and . _ -, and begins with a letter or digit.';

/** The id of a device, what people call it, and the audience of its tokens. */
export class PairNames {
  readonly #options: PairOptions;
  readonly #asking: Asking;

  constructor({ asking, options }: { readonly options: PairOptions; readonly asking: Asking }) {
    this.#options = options;
    this.#asking = asking;
  }

  /**
   * With a profile the installer is asked for a name alone: an id that neither label nor option says is made of it.
   * @param labelled id that the label says
   */
  async of({ medium, name: heard }: CandidateView, labelled: string | undefined, hasProfile: boolean): Promise<Names> {
    const advertised = medium === 'ble' && isDeviceId(heard) ? heard : undefined;
    const known = this.#options.id ?? labelled ?? advertised;
    if (!hasProfile) return this.#withoutProfile(known, medium === 'ble' ? heard : undefined);
    const name = await this.#name(known);
    const made = known ?? idOf(name);
    if (made !== undefined && known === undefined) this.#asking.note(`Its id is ${made}.`);
    return { id: made ?? (await this.#id(undefined)), name, areGiven: known !== undefined, ...this.#audienceOption() };
  }

  /** The hub does not take the names that were answered. */
  async again(hasProfile: boolean): Promise<Names> {
    if (!hasProfile) return this.#withoutProfile(undefined, undefined);
    return { id: await this.#id(undefined), name: await this.#name(''), areGiven: false, ...this.#audienceOption() };
  }

  async #withoutProfile(known: string | undefined, heard: string | undefined): Promise<Names> {
    const id = known ?? (await this.#id(heard));
    return { id, audience: await this.#audience(id), areGiven: known !== undefined };
  }

  #audienceOption(): Pick<Names, 'audience'> {
    const { audience } = this.#options;
    return audience === undefined ? {} : { audience };
  }

  /** @param suggested what an id can be made of */
  async #id(suggested: string | undefined): Promise<string> {
    let offered = suggested === undefined ? undefined : idOf(suggested);
    for (;;) {
      const hint = offered === undefined ? '' : ` [${offered}]`;
      const answer = await this.#asking.ask(`Its id (a-z, 0-9, and . _ -)${hint}:`, '--id');
      if (answer === '' && offered !== undefined) return offered;
      if (isDeviceId(answer)) return answer;
      this.#asking.note(ID_RULE);
      offered = idOf(answer) ?? offered;
    }
  }

  async #audience(id: string): Promise<string> {
    const given = this.#options.audience;
    if (given !== undefined) return given;
    const usual = `coap://${id}`;
    for (;;) {
      const audience = (await this.#asking.ask(`The aud of its tokens [${usual}]:`, '--audience')) || usual;
      try {
        checkDeviceNames({ id, audience });
        return audience;
      } catch (error) {
        this.#asking.say(error);
      }
    }
  }

  /** @param known id; without one a name is needed */
  async #name(known: string | undefined): Promise<string | undefined> {
    const given = this.#options.name;
    if (given !== undefined) return given;
    const question = known === undefined ? 'What do people call it?' : 'What do people call it? Enter for no name:';
    for (;;) {
      const name = await this.#asking.ask(question, '--name');
      if (name === '' && known !== undefined) return undefined;
      try {
        checkName(name);
        return name;
      } catch (error) {
        this.#asking.say(error);
      }
    }
  }
}

/** An id like the name: "Tube 1" is tube-1. Undefined where nothing of it can stand in an id. */
function idOf(name: string | undefined): string | undefined {
  const made = (name ?? '')
    .normalize('NFKD')
    .toLowerCase()
    .replace(/\p{M}/gu, '')
    .replace(/[^a-z0-9._]+/g, '-')
    .replace(/^[._-]+/, '')
    .slice(0, 63)
    .replace(/-+$/, '');
  return isDeviceId(made) ? made : undefined;
}

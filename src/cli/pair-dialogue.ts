import { readSetupCode, type SetupCode } from '../codec/setup-code.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { ProfileView } from '../ports/admin.ts';
import type { CandidateView, PairedDevice, Pairing } from '../ports/pairing.ts';
import type { Terminal } from './command.ts';
import { inOptions, profileOf } from './device-options.ts';
import { eachLine, errorText } from './output.ts';
import { type Names, PairNames } from './pair-names.ts';
import { PairPermissions, type Permitted } from './pair-permissions.ts';
import { type Asking, describeCandidate, PAIR_OPTIONS, type PairOptions, requestOf } from './pair-texts.ts';
import type { PairWatch } from './pair-watch.ts';

export interface PairDialogueOptions {
  readonly options: PairOptions;
  readonly pairing: Pick<Pairing, 'identify' | 'pair'>;
  /** Those of the configuration of the hub. */
  readonly profiles: readonly ProfileView[];
  readonly terminal: Terminal;
  readonly watch: PairWatch;
}

/** What an installer can put right by another device or code is said, and the dialogue goes on with what is there. */
const ANOTHER_DEVICE = [
  'setup_code_refused',
  'setup_code_dead',
  'pairing_candidate_unknown',
  'pairing_busy',
  'pairing_place_taken',
  'device_not_pairable',
  'link_down',
  'device_answer_lost',
  'device_no_answer',
  'device_reset',
] as const;

/** Answers of the hub that say that another id, or another audience, is needed. */
const OTHER_NAMES = ['device_exists', 'audience_taken'] as const;

/** Answers of the hub that say that tokens cannot permit that. */
const OTHER_PROFILE = ['device_refused_profile', 'device_trust_invalid', 'profile_unknown'] as const;

interface Label extends Omit<SetupCode, 'secret'> {
  readonly code: Secret<string>;
}

/** Pairing by question and answer, with an installer who stands beside the device. A bad answer is asked for again. */
export class PairDialogue implements Asking {
  readonly #options: PairOptions;
  readonly #pairing: PairDialogueOptions['pairing'];
  readonly #terminal: Terminal;
  readonly #watch: PairWatch;
  readonly #permissions: PairPermissions;
  readonly #names: PairNames;

  constructor({ options, pairing, profiles, terminal, watch }: PairDialogueOptions) {
    this.#options = options;
    this.#pairing = pairing;
    this.#terminal = terminal;
    this.#watch = watch;
    this.#permissions = new PairPermissions({ options, profiles, asking: this });
    this.#names = new PairNames({ options, asking: this });
  }

  async run(): Promise<PairedDevice> {
    await this.#permissions.askFirst();
    for (;;) {
      const { candidate, label = await this.#label() } = await this.#candidate();
      const paired = await this.#pairOrSay(candidate, label);
      if (paired !== undefined) return paired;
    }
  }

  /** Undefined where another device or code is needed. */
  async #pairOrSay(candidate: CandidateView, label: Label): Promise<PairedDevice | undefined> {
    let permitted = await this.#permissions.of(label.profile);
    let names = await this.#names.of(candidate, label.id, permitted.profileName !== undefined);
    for (;;) {
      try {
        return await this.#pair(candidate, label, permitted, names);
      } catch (error) {
        if (isAboutProfile(error) && this.#permissions.areAsked(label.profile)) {
          this.say(error);
          permitted = await this.#permissions.again();
        } else if (isAboutNames(error) && !names.areGiven) {
          this.say(error);
          names = await this.#names.again(permitted.profileName !== undefined);
        } else {
          const isOther = ANOTHER_DEVICE.some((known) => isCoded(error, known));
          if (!isOther && !(isAboutNames(error) && label.id !== undefined && this.#options.id === undefined))
            throw error;
          this.say(error);
          return undefined;
        }
      }
    }
  }

  #pair(candidate: CandidateView, { code }: Label, permitted: Permitted, names: Names): Promise<PairedDevice> {
    const { areGiven: _, ...asked } = names;
    const { allow, profileName } = permitted;
    return this.#pairing.pair({
      ...requestOf(this.#options),
      ...asked,
      code,
      candidate: candidate.key,
      profileName,
      profile: profileOf({ ...this.#options, allow }),
    });
  }

  /** The device that is chosen, by its number or by the QR text of its label. */
  async #candidate(): Promise<{ readonly candidate: CandidateView; readonly label?: Label }> {
    for (;;) {
      const { candidates } = await this.#watch.anybody(() => undefined);
      for (const [index, candidate] of candidates.entries())
        this.note(`  ${index + 1}  ${describeCandidate(candidate)}`);
      const answer = await this.ask(
        'Which one? Its number, i and its number to make it blink, or Enter to look again:',
        '--line or --ble',
      );
      const [, blink, number] = /^(i?) *(\d{1,2})$/i.exec(answer) ?? [];
      if (number === undefined) {
        const found = this.#byLabel(answer, candidates);
        if (found !== undefined) return found;
        this.#watch.tellAllObstacles();
        continue;
      }
      const chosen = candidates[Number(number) - 1];
      if (chosen === undefined) {
        this.note(`There is no ${Number(number)}.`);
        this.#watch.tellAllObstacles();
      } else if (blink === '') return { candidate: chosen };
      else await this.#blink(chosen);
    }
  }

  /** An installer who scans the label here means the device that it names, or the only one that is there. */
  #byLabel(
    answer: string,
    candidates: readonly CandidateView[],
  ): { readonly candidate: CandidateView; readonly label: Label } | undefined {
    if (answer === '') return undefined;
    if (!/^latchkey:/i.test(answer)) {
      this.note('That is no number of the list.');
      return undefined;
    }
    const label = this.#read(answer);
    if (label === undefined) return undefined;
    const named = candidates.find(({ name }) => name === label.id);
    const [only, ...others] = candidates;
    const candidate = named ?? (others.length === 0 ? only : undefined);
    if (candidate !== undefined) return { candidate, label };
    this.note(`None of them is called ${label.id}. Say its number, and scan the label after that.`);
    return undefined;
  }

  async #blink({ key, name }: CandidateView): Promise<void> {
    try {
      await this.#pairing.identify(key);
      this.note(`${name} blinks now.`);
    } catch (error) {
      this.say(error);
    }
  }

  async #label(): Promise<Label> {
    for (;;) {
      const label = this.#read(await this.ask('Setup code on its label, typed or as QR text:', '--code'));
      if (label !== undefined) return label;
    }
  }

  #read(text: string): Label | undefined {
    try {
      const { id, profile } = readSetupCode(text);
      return { id, profile, code: new Secret(text) };
    } catch (error) {
      this.say(error);
      return undefined;
    }
  }

  async ask(question: string, option: string): Promise<string> {
    const answer = await this.#terminal.ask(question, this.#watch.signal);
    if (answer !== undefined) return answer;
    const why = this.#watch.signal.aborted
      ? 'it was interrupted'
      : `standard input ended before "${question}" was answered, which ${option} does too`;
    throw new LatchkeyError('request_cancelled', `${why}; nothing was paired`);
  }

  note(line: string): void {
    this.#terminal.note(line);
  }

  say(error: unknown): void {
    const shown = inOptions(error, PAIR_OPTIONS);
    if (!isCoded(shown)) throw error;
    // The installer typed no option: what is wrong with the answer is enough.
    if (shown.code === 'usage' && shown.detail !== undefined) this.note(shown.detail.replace(/^--allow /, ''));
    else eachLine(errorText(shown), this.#terminal.note);
  }
}

function isAboutProfile(error: unknown): boolean {
  if (OTHER_PROFILE.some((code) => isCoded(error, code))) return true;
  return isCoded(error, 'device_invalid') && error.detail?.startsWith('profile') === true;
}

function isAboutNames(error: unknown): boolean {
  if (OTHER_NAMES.some((code) => isCoded(error, code))) return true;
  return isCoded(error, 'device_invalid') && /^(id|audience|name):/.test(error.detail ?? '');
}

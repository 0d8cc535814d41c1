import { readSetupCode } from '../codec/setup-code.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { CandidateView, PairedDevice, Pairing } from '../ports/pairing.ts';
import type { Terminal } from './command.ts';
import { inOptions, profileOf } from './device-options.ts';
import { eachLine, errorText } from './output.ts';
import { describeCandidate, PAIR_OPTIONS, type PairOptions, requestOf } from './pair-texts.ts';
import type { PairWatch } from './pair-watch.ts';

export interface PairDialogueOptions {
  readonly options: PairOptions;
  readonly pairing: Pairing;
  readonly terminal: Terminal;
  readonly watch: PairWatch;
}

/** What an installer can put right is said and asked again; everything else ends the dialogue. */
const AGAIN = [
  'setup_code_refused',
  'setup_code_dead',
  'pairing_candidate_unknown',
  'link_down',
  'device_answer_lost',
  'device_no_answer',
  'device_reset',
] as const;

/** Pairing by question and answer, with somebody who stands beside the device. */
export class PairDialogue {
  readonly #options: PairOptions;
  readonly #pairing: Pairing;
  readonly #terminal: Terminal;
  readonly #watch: PairWatch;

  constructor({ options, pairing, terminal, watch }: PairDialogueOptions) {
    this.#options = options;
    this.#pairing = pairing;
    this.#terminal = terminal;
    this.#watch = watch;
  }

  async run(): Promise<PairedDevice> {
    const allow = await this.#permissions();
    const profile = profileOf({ ...this.#options, allow });
    for (;;) {
      const candidate = await this.#candidate();
      const { code, id } = await this.#code();
      const asked = await this.#names(candidate, id);
      try {
        return await this.#pairing.pair({
          ...requestOf(this.#options),
          ...asked,
          code,
          candidate: candidate.key,
          profile,
        });
      } catch (error) {
        if (!AGAIN.some((known) => isCoded(error, known))) throw error;
        this.#say(error);
      }
    }
  }

  /** Before anything else: without them no token is good for the device. */
  async #permissions(): Promise<readonly string[]> {
    const { allow } = this.#options;
    if (allow.length > 0) return allow;
    this.#terminal.note('What may tokens permit? One a line, such as "read=FETCH temperature"; an empty line ends.');
    const rows: string[] = [];
    for (;;) {
      const row = await this.#ask(rows.length === 0 ? 'Permission:' : 'Another one:', '--allow');
      if (row === '' && rows.length > 0) return rows;
      try {
        profileOf({ ...this.#options, allow: [row] });
        rows.push(row);
      } catch (error) {
        this.#say(error);
      }
    }
  }

  async #candidate(): Promise<CandidateView> {
    for (;;) {
      const { candidates } = await this.#watch.anybody(() => undefined);
      for (const [index, candidate] of candidates.entries())
        this.#terminal.note(`  ${index + 1}  ${describeCandidate(candidate)}`);
      const answer = await this.#ask(
        'Which one? Its number, i and its number to make it blink, or Enter to look again:',
        '--line or --ble',
      );
      const [, blink, number] = /^(i?) *(\d{1,2})$/i.exec(answer) ?? [];
      const chosen = number === undefined ? undefined : candidates[Number(number) - 1];
      if (chosen === undefined) {
        this.#watch.tellAllObstacles();
        continue;
      }
      if (blink === '') return chosen;
      await this.#blink(chosen);
    }
  }

  async #blink({ key, name }: CandidateView): Promise<void> {
    try {
      await this.#pairing.identify(key);
      this.#terminal.note(`${name} blinks now.`);
    } catch (error) {
      this.#say(error);
    }
  }

  async #code(): Promise<{ readonly code: Secret<string>; readonly id: string | undefined }> {
    for (;;) {
      const text = await this.#ask('Setup code on its label, typed or as QR text:', '--code');
      try {
        const { id } = readSetupCode(text);
        return { code: new Secret(text), id };
      } catch (error) {
        this.#say(error);
      }
    }
  }

  async #names(
    { medium, name }: CandidateView,
    labelled: string | undefined,
  ): Promise<{ readonly id: string; readonly audience: string }> {
    const known = this.#options.id ?? labelled ?? (medium === 'ble' ? name : undefined);
    const id = known ?? (await this.#ask('Its id (a-z, 0-9, and . _ -):', '--id'));
    const usual = this.#options.audience ?? `coap://${id}`;
    const audience = this.#options.audience ?? (await this.#ask(`The aud of its tokens [${usual}]:`, '--audience'));
    return { id, audience: audience === '' ? usual : audience };
  }

  /**
   * @param option that answers it on the command line
   * @throws {LatchkeyError} `request_cancelled` where nobody answers any more
   */
  async #ask(question: string, option: string): Promise<string> {
    const answer = await this.#terminal.ask(question, this.#watch.signal);
    if (answer !== undefined) return answer;
    const why = this.#watch.signal.aborted
      ? 'it was interrupted'
      : `standard input ended before "${question}" was answered, which ${option} does too`;
    throw new LatchkeyError('request_cancelled', `${why}; nothing was paired`);
  }

  #say(error: unknown): void {
    const shown = inOptions(error, PAIR_OPTIONS);
    if (!isCoded(shown)) throw error;
    eachLine(errorText(shown), this.#terminal.note);
  }
}

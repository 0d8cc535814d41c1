/** A line for each case, as test/interop counts them, and a deadline for what would never end. */
const DEADLINE = 60_000;

export class Report {
  readonly #peer: string;
  #failures = 0;

  constructor(peer: string) {
    this.#peer = peer;
  }

  get isGood(): boolean {
    return this.#failures === 0;
  }

  /** Runs a case; one that throws, or takes longer than a minute, has failed. The others run all the same. */
  async check(name: string, run: () => Promise<void>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('took too long')), DEADLINE);
    });
    try {
      await Promise.race([run(), late]);
      process.stdout.write(`ok ${this.#peer}: ${name}\n`);
    } catch (error) {
      this.#failures += 1;
      const reason = error instanceof Error ? error.message : String(error);
      process.stdout.write(`not ok ${this.#peer}: ${name} (${reason.replaceAll(/\s+/g, ' ')})\n`);
    } finally {
      clearTimeout(timer);
    }
  }

  /** What was seen of the peer and is no case. */
  note(text: string): void {
    process.stdout.write(`# ${text}\n`);
  }
}

import type { JoseHeader } from '../codec/jws.ts';
import { detached } from '../core/bytes.ts';

/** Issuers, times the keys and token types that one has in use at once. */
const MOST_HEADERS = 64;

/**
 * JOSE headers by their spelling, so that the one which an issuer puts on all of its tokens is parsed once. It changes
 * nothing of a verdict: parsing is the same every time. Only headers of tokens whose signature was good are kept, so
 * that nobody else can fill it.
 */
export class HeaderMemory {
  readonly #headers = new Map<string, JoseHeader>();

  find(text: string): JoseHeader | undefined {
    return this.#headers.get(text);
  }

  keep(text: string, header: JoseHeader): void {
    if (this.#headers.size >= MOST_HEADERS) this.#headers.clear();
    this.#headers.set(detached(text), header);
  }
}

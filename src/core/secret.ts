import { inspect } from 'node:util';

const REDACTED = '[secret]';

/**
 * Something that must never be printed: a key, a token, a proof, a setup code. Every way in which JavaScript turns a
 * value into text (template strings, JSON, `util.inspect`, an error's message) gives `[secret]`; `expose()` is the one
 * way to the value and is easy to search for.
 */
export class Secret<T> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  expose(): T {
    return this.#value;
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [Symbol.toPrimitive](): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }
}

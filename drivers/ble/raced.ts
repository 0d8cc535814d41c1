import type { EventEmitter } from 'node:events';
import type { Timers } from '../../src/core/clock.ts';
import { LatchkeyError } from '../../src/core/errors.ts';

/** What a call into noble may come to: its end, with or without an error, which noble gives as text too. */
type Done<T> = (error: Error | string | null | undefined, value: T) => void;

export interface Race {
  /** For the detail of errors: `discovering`. */
  readonly what: string;
  /** Milliseconds. */
  readonly deadline: number;
  readonly timers: Timers;
  /** The peripheral, whose `disconnect` ends the call too. */
  readonly peripheral?: EventEmitter | undefined;
  /** Aborted when the adapter is gone, which ends the call too. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * A call into noble that ends in any case: its calls never settle on a link that is dead, nor where the device answers with
 * an error.
 * @throws {LatchkeyError} `link_down`
 */
export function raced<T>(race: Race, call: (done: Done<T>) => void): Promise<T> {
  const { deadline, peripheral, signal, timers, what } = race;
  return new Promise((resolve, reject) => {
    const end = () => {
      cancel();
      peripheral?.removeListener('disconnect', onDisconnect);
      signal?.removeEventListener('abort', onGone);
    };
    const fail = (words: string, cause?: unknown) => {
      end();
      reject(new LatchkeyError('link_down', `${what}: ${words}`, { cause }));
    };
    const onDisconnect = () => fail('disconnected');
    const onGone = () => fail('the adapter is gone');
    const cancel = timers.after(deadline, () => fail('took too long'));
    peripheral?.once('disconnect', onDisconnect);
    signal?.addEventListener('abort', onGone, { once: true });
    try {
      call((error, value) => {
        if (error === null || error === undefined) {
          end();
          resolve(value);
        } else fail(typeof error === 'string' ? error : error.message, error);
      });
    } catch (error) {
      fail('refused', error);
    }
  });
}

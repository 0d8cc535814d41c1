import { CATALOGUE, type ErrorCode, type ErrorEntry } from './error-catalogue.ts';

/**
 * The one error class of the project. Nothing branches on a message: branch on `code`. `detail` is for the log and local
 * operators, and must never hold a secret. A peer is told the code with what the catalogue has on it. It reads the detail
 * only where that was allowed: see `toldToHolder`.
 */
export class LatchkeyError extends Error {
  readonly code: ErrorCode;
  readonly detail: string | undefined;
  /** Seconds after which it is worth while to try again, where that is known. A peer is told. */
  readonly retryAfter: number | undefined;
  readonly #isForPeer: boolean;

  /** @param options `isForPeer`: whether the peer may read the detail too */
  constructor(
    code: ErrorCode,
    detail?: string,
    options: { readonly cause?: unknown; readonly retryAfter?: number; readonly isForPeer?: boolean } = {},
  ) {
    const { isForPeer = false, retryAfter, ...rest } = options;
    super(detail === undefined ? code : `${code}: ${detail}`, rest);
    this.retryAfter = retryAfter;
    this.#isForPeer = isForPeer;
    this.name = 'LatchkeyError';
    this.code = code;
    this.detail = detail;
  }

  /** The detail, where the peer may read it. */
  get peerDetail(): string | undefined {
    return this.#isForPeer ? this.detail : undefined;
  }

  get entry(): ErrorEntry {
    return CATALOGUE[this.code];
  }
}

export function isCoded(error: unknown, code?: ErrorCode): error is LatchkeyError {
  return error instanceof LatchkeyError && (code === undefined || error.code === code);
}

/** The error itself if it is coded, else `internal` with the original as its cause. */
export function coded(error: unknown): LatchkeyError {
  return error instanceof LatchkeyError ? error : new LatchkeyError('internal', undefined, { cause: error });
}

/** Whether text from outside names an error of the catalogue. */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(CATALOGUE, text);
}

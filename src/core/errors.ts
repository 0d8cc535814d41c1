import { CATALOGUE, type ErrorCode, type ErrorEntry } from './error-catalogue.ts';

/**
 * The one error class of the project. Nothing branches on a message: branch on `code`. `detail` is for the log, the
 * audit and local operators; it must never hold a secret, and never goes to a peer on the wire.
 */
export class LatchkeyError extends Error {
  readonly code: ErrorCode;
  readonly detail: string | undefined;
  /** Seconds after which it is worth while to try again, where that is known. A peer is told. */
  readonly retryAfter: number | undefined;

  constructor(
    code: ErrorCode,
    detail?: string,
    options: { readonly cause?: unknown; readonly retryAfter?: number } = {},
  ) {
    const { retryAfter, ...rest } = options;
    super(detail === undefined ? code : `${code}: ${detail}`, rest);
    this.retryAfter = retryAfter;
    this.name = 'LatchkeyError';
    this.code = code;
    this.detail = detail;
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

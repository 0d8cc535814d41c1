import type { ErrorCode } from '../core/error-catalogue.ts';
import { LatchkeyError } from '../core/errors.ts';

/** What RFC 6749 §5.2 allows, and extensions use; anything else could be text of any kind. */
const ERROR_CODE = /^[\w.:/-]{1,64}$/;
/** Characters of `error_description` by RFC 6749 §5.2. */
const NO_DESCRIPTION = /[^\x20-\x21\x23-\x5b\x5d-\x7e]/g;
const LONGEST_DESCRIPTION = 500;

/** The authorization server said no, or could not answer. */
export class ServerRefusal extends LatchkeyError {
  /** HTTP status; undefined where the browser brought the refusal. */
  readonly status: number | undefined;
  /** The server's own `error` (RFC 6749 §5.2), such as `invalid_client`, where it gave one. */
  readonly oauthError: string | undefined;
  readonly #description: string | undefined;

  constructor(
    code: Extract<ErrorCode, 'client_token_refused' | 'client_server_failed'>,
    refusal: {
      readonly status?: number | undefined;
      readonly error?: string | undefined;
      readonly description?: string | undefined;
      readonly contentType?: string | undefined;
      readonly retryAfter?: number | undefined;
    },
  ) {
    const { status, description, contentType, retryAfter } = refusal;
    const error = refusal.error !== undefined && ERROR_CODE.test(refusal.error) ? refusal.error : undefined;
    super(code, detailOf(error, status, contentType), retryAfter === undefined ? {} : { retryAfter });
    this.name = 'ServerRefusal';
    this.status = status;
    this.oauthError = error;
    this.#description = description?.replace(NO_DESCRIPTION, ' ').slice(0, LONGEST_DESCRIPTION);
  }

  /** The server's own `error_description`. It prints with no error: a server could repeat a secret in it. */
  get description(): string | undefined {
    return this.#description;
  }
}

function detailOf(error: string | undefined, status: number | undefined, contentType: string | undefined): string {
  if (error !== undefined) return status === undefined ? error : `${error} (${status})`;
  const type = contentType?.split(';')[0]?.trim() ?? '';
  const form = /^[\w.+/-]{1,64}$/.test(type) ? `, ${type}` : '';
  return status === undefined ? 'an error without a proper code' : `status ${status}${form}, without an OAuth error`;
}

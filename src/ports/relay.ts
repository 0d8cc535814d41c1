/** What the hub offers to connected devices, whatever the front: is this token good, and is it its holder who shows it? */
import type { IntrospectionQuestion, RelayAnswer } from '../core/introspection.ts';
import type { RequestContext } from './northbound.ts';

export interface RelayRequest extends IntrospectionQuestion {
  /** Id of the device that asks; the front has authenticated it. */
  readonly device: string;
}

/** What goes back to a device that asked in a message of its own. */
export type ProtectedAnswer =
  /** A COSE_Encrypt0 for the device alone. */
  | { readonly kind: 'sealed'; readonly message: Uint8Array }
  /**
   * Nothing was judged: the question did not carry a nonce that the hub gave of late. With this one the device may ask
   * again. Not sealed, as no refusal is: whoever puts another one in its place makes the device ask once more, which they
   * could as well by losing the answer.
   */
  | { readonly kind: 'nonce_required'; readonly nonce: Uint8Array };

export interface Relay {
  /**
   * Judges token and proof. A token or proof that is not good is an answer, not an error.
   * @throws {LatchkeyError} `device_unknown`, `request_invalid`, and where no verdict is possible: `as_*`,
   * `introspection_*`, `clock_unsure`, `keys_unavailable`, `keys_too_old`, `proof_window_full`; `session_key_unsupported`
   * where a key is wanted that this client cannot be given
   */
  relay(request: RelayRequest, context: RequestContext): Promise<RelayAnswer>;
}

import { SessionChannel } from '../codec/session-message.ts';
import { bestGuess } from '../core/clock.ts';
import { coded, isCoded, LatchkeyError } from '../core/errors.ts';
import type { AccessToken } from './access-token.ts';
import { demandBytes, demandObject, demandText, serverAddress, withoutSlash } from './arguments.ts';
import { type ClientEnvironment, type ConnectionOptions, environmentOf } from './environment.ts';
import { exchange, type HttpAnswer } from './http.ts';
import { isSuccess, readJson, readRefusal } from './hub-answer.ts';
import { openSessionKey } from './session-key.ts';
import { TokenPresenter } from './token-presenter.ts';

const REQUEST_DEADLINE = 30_000;
const SEALED = 'application/cose; cose-type="cose-encrypt0"';

export interface ConnectedDeviceOptions extends ConnectionOptions {
  /** The device's own address, such as `https://ekg-1.ward.example`; a path is kept. */
  readonly url: string;
  /** The `aud` of tokens for it: what the session key must be bound to. */
  readonly audience: string;
  /**
   * Accepts http beyond loopback, for a device in a network of its own that has no certificate. Everyone on the way reads
   * the token then; what is said under the session key stays unread.
   */
  readonly allowHttp?: boolean;
}

/** A device that asks its hub about what clients show it (docs/protocol.md, "A device's own HTTP face"). */
export class ConnectedDevice {
  readonly #base: string;
  readonly #audience: string;
  readonly #environment: ClientEnvironment;
  readonly #presenter: TokenPresenter;

  /** @throws {LatchkeyError} `client_argument_invalid`, `client_address_insecure` */
  constructor(options: ConnectedDeviceOptions) {
    demandObject('options', options);
    const { allowHttp = false } = options;
    this.#base = withoutSlash(serverAddress('url', options.url, { allowHttp }));
    demandText('audience', options.audience);
    this.#audience = options.audience;
    this.#environment = environmentOf(options);
    this.#presenter = new TokenPresenter(this.#environment);
  }

  /**
   * Shows token and proof, and takes the key that the hub made for both. That it is the device which holds the other copy
   * shows with the first answer under it.
   * @param resource path at the device, such as `readings`
   * @param token bound to a P-256 key: nothing can be encrypted to one of Ed25519
   * @throws {HubRefusal} `client_request_failed` where the device refuses
   * @throws {LatchkeyError} `client_argument_invalid`, `client_unreachable`, `client_answer_invalid`; `jwe_*`,
   *   `session_key_invalid` for a key that is not for this client, token or device
   */
  async open(resource: string, token: AccessToken): Promise<ConnectedSession> {
    demandText('resource', resource);
    const url = new URL(`${this.#base}/${resource.replace(/^\/+/, '')}`);
    const answer = await this.#presenter.present(url, token);
    if (!isSuccess(answer)) throw readRefusal('client_request_failed', answer);
    const { session_key: copy } = readJson(answer);
    if (typeof copy !== 'string') throw new LatchkeyError('client_answer_invalid', 'member session_key');
    const session = await openSessionKey(copy, { token, audience: this.#audience });
    return new ConnectedSession({
      url: sessionUrl(answer, url),
      expiresAt: session.expiresAt,
      channel: new SessionChannel({ session, role: 'client', audience: this.#audience }),
      environment: this.#environment,
    });
  }
}

/** Messages to a device under a key that only device and client hold. */
export class ConnectedSession {
  /** NumericDate seconds. */
  readonly expiresAt: number;
  readonly #url: URL;
  readonly #channel: SessionChannel;
  readonly #environment: ClientEnvironment;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: {
    readonly url: URL;
    readonly expiresAt: number;
    readonly channel: SessionChannel;
    readonly environment: ClientEnvironment;
  }) {
    this.expiresAt = options.expiresAt;
    this.#url = options.url;
    this.#channel = options.channel;
    this.#environment = options.environment;
  }

  /**
   * Sends a message and resolves with the device's answer. One after another: the device takes messages in the order of
   * their numbers alone.
   * @throws {HubRefusal} `client_request_failed` where the device refuses, such as `session_key_expired`
   * @throws {LatchkeyError} `client_argument_invalid`, `client_unreachable`, `client_answer_invalid`, `session_key_expired`
   */
  async exchange(message: Uint8Array): Promise<Uint8Array> {
    demandBytes('message', message);
    const answer = this.#turn.then(() => this.#exchange(message));
    // The caller learns of a failure; the next message goes on with the next number.
    this.#turn = answer.catch(() => undefined);
    return answer;
  }

  async #exchange(message: Uint8Array): Promise<Uint8Array> {
    const { clock } = this.#environment;
    const body = this.#channel.seal(message, bestGuess(clock.now()));
    const headers = { 'content-type': SEALED };
    const request = { method: 'POST', url: this.#url, headers, body, deadline: REQUEST_DEADLINE } as const;
    const answer = await exchange(request, this.#environment);
    if (!isSuccess(answer)) throw readRefusal('client_request_failed', answer);
    try {
      return this.#channel.open(answer.body, bestGuess(clock.now()));
    } catch (error) {
      if (isCoded(error, 'session_key_expired')) throw error;
      // Not made with the key, or not for this message.
      throw isCoded(error) ? new LatchkeyError('client_answer_invalid', error.code) : coded(error);
    }
  }
}

/** Where the session is. At another origin it would belong to another server. */
function sessionUrl({ headers }: HttpAnswer, presentedAt: URL): URL {
  const location = headers.get('location') ?? '';
  if (location === '' || !URL.canParse(location, presentedAt.href))
    throw new LatchkeyError('client_answer_invalid', 'Location');
  const url = new URL(location, presentedAt);
  if (url.origin !== presentedAt.origin) throw new LatchkeyError('client_answer_invalid', 'Location of another origin');
  return url;
}

import type { AccessToken } from './access-token.ts';
import { demandToken } from './arguments.ts';
import { makeDpopProof } from './dpop-proof.ts';
import type { ClientEnvironment } from './environment.ts';
import { exchange, type HttpAnswer } from './http.ts';

const REQUEST_DEADLINE = 30_000;

/** Shows tokens to one server, each with a proof made for it, and keeps the newest nonce that the server gave (RFC 9449 §9). */
export class TokenPresenter {
  readonly #environment: ClientEnvironment;
  #nonce: string | undefined;

  constructor(environment: ClientEnvironment) {
    this.#environment = environment;
  }

  /**
   * POST with the token; once more with the server's nonce, where it asks for one.
   * @throws {LatchkeyError} `client_argument_invalid`, `client_unreachable`, `client_answer_invalid`
   */
  async present(url: URL, token: AccessToken): Promise<HttpAnswer> {
    demandToken('token', token);
    const used = this.#nonce;
    const first = await this.#send(url, token);
    const asked = first.status === 401 && /\berror="use_dpop_nonce"/.test(first.headers.get('www-authenticate') ?? '');
    // Without a nonce that differs from the one just used a second try would be the same request.
    return asked && this.#nonce !== used ? this.#send(url, token) : first;
  }

  async #send(url: URL, token: AccessToken): Promise<HttpAnswer> {
    const environment = this.#environment;
    const headers: Record<string, string> = { authorization: `${token.scheme} ${token.value.expose()}` };
    if (token.scheme === 'DPoP') {
      headers.dpop = await makeDpopProof({ token, method: 'POST', url, nonce: this.#nonce, environment });
    }
    const answer = await exchange({ method: 'POST', url, headers, deadline: REQUEST_DEADLINE }, environment);
    this.#nonce = answer.headers.get('dpop-nonce') ?? this.#nonce;
    return answer;
  }
}

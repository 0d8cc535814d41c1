import { utf8 } from '../core/bytes.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import { type AccessToken, requestKey } from './access-token.ts';
import { argumentError, demandObject, demandText, demandToken, serverAddress, withoutSlash } from './arguments.ts';
import { audienceToSign, type NamedAudience } from './delivery-check.ts';
import { DeviceSession } from './device-session.ts';
import { type ClientEnvironment, type ConnectionOptions, environmentOf } from './environment.ts';
import { exchange, exchangeEvents, type HttpAnswer } from './http.ts';
import { type Delivery, HubRefusal, isSuccess, readDelivery, readRefusal } from './hub-answer.ts';
import { TokenPresenter } from './token-presenter.ts';

const REQUEST_DEADLINE = 30_000;
const FIRST_POLL = 250;
const SLOWEST_POLL = 10_000;

export interface HubClientOptions extends ConnectionOptions {
  /** The hub's public address, such as `https://hub.example`; a path is kept. http is accepted on loopback only. */
  readonly url: string;
}

export interface DeliverOptions {
  /** The device's id at the hub. */
  readonly device: string;
  /**
   * The audience of that device, as the client knows it. Requests are signed for it and for nothing that a hub says: a
   * hub in bad hands could otherwise have them signed for a device elsewhere.
   */
  readonly audience: string;
  /** `aud` of the token, where the authorization server knows a whole site by one audience. */
  readonly tokenAudience?: string;
  readonly token: AccessToken;
  /** Milliseconds to wait for a device that is away; 60 s by default, 0 to come back at once. */
  readonly wait?: number;
}

/** Talks to one hub. Keeps the newest DPoP nonce that the hub gave (RFC 9449 §9). */
export class HubClient {
  readonly #base: string;
  readonly #environment: ClientEnvironment;
  readonly #presenter: TokenPresenter;
  /** The audiences that the caller named for a delivery. */
  readonly #named = new WeakMap<Delivery, NamedAudience>();

  /** @throws {LatchkeyError} `client_argument_invalid`, `client_address_insecure` */
  constructor(options: HubClientOptions) {
    demandObject('options', options);
    this.#base = withoutSlash(serverAddress('url', options.url));
    this.#environment = environmentOf(options);
    this.#presenter = new TokenPresenter(this.#environment);
  }

  /**
   * Has the hub deliver a token to a device. Resolves once the device has it, or with `state: 'queued'` when `wait` is
   * over: the hub goes on by itself, and `settle` waits for it later.
   * @throws {HubRefusal} `client_delivery_failed` where hub or device refuse, or the token expired while it waited
   * @throws {LatchkeyError} `client_argument_invalid`, `client_unreachable`; `client_answer_invalid`, also where the hub
   *   speaks of another device
   */
  async deliver(options: DeliverOptions): Promise<Delivery> {
    demandObject('options', options);
    demandText('device', options.device);
    demandText('audience', options.audience);
    if (options.tokenAudience !== undefined) demandText('tokenAudience', options.tokenAudience);
    const deadline = this.#deadline(options.wait);
    const url = this.#address(`/devices/${encodeURIComponent(options.device)}/authz-info`);
    const answer = await this.#presenter.present(url, options.token);
    if (answer.status !== 201 && answer.status !== 202) throw readRefusal('client_delivery_failed', answer);
    const delivery = expected(await this.#settle(readDelivery(answer), deadline), options);
    this.#named.set(delivery, { audience: options.audience, tokenAudience: options.tokenAudience });
    return delivery;
  }

  /**
   * Waits on for a delivery that was `queued`: one that `deliver` or `delivery` brought.
   * @param options.wait milliseconds, as for `deliver`; the delivery is still `queued` when they are over
   * @throws as `deliver` does
   */
  async settle(delivery: Delivery, options: { readonly wait?: number } = {}): Promise<Delivery> {
    demandObject('delivery', delivery);
    const { device, audience } = delivery;
    const settled = expected(await this.#settle(delivery, this.#deadline(options.wait)), { device, audience });
    const named = this.#named.get(delivery);
    if (named !== undefined) this.#named.set(settled, named);
    return settled;
  }

  /**
   * What the hub says of a delivery now. All of it is the hub's own statement: `session` checks what it can.
   * @throws {HubRefusal} `client_delivery_failed` where the hub does not know the delivery
   * @throws {LatchkeyError} `client_argument_invalid`, `client_unreachable`, `client_answer_invalid`
   */
  async delivery(id: string): Promise<Delivery> {
    demandText('id', id);
    const answer = await this.#get(`/deliveries/${encodeURIComponent(id)}`);
    return deliveryOf(answer);
  }

  /**
   * Requests to the device, with the key that the token is bound to. They are signed for the audience that the caller
   * named, here or to `deliver`; else for the token's own `aud`. A hub that names another one is refused.
   * @throws {LatchkeyError} `client_argument_invalid`; `client_key_missing`; `client_audience_unknown` where neither caller
   *   nor token names one; `client_delivery_foreign`; `client_delivery_queued` where the device does not have the token yet
   * @throws {HubRefusal} `client_delivery_failed` where it never got it
   */
  session(delivery: Delivery, token: AccessToken, options: NamedAudience = {}): DeviceSession {
    demandObject('delivery', delivery);
    demandToken('token', token);
    const named = this.#named.get(delivery);
    const audience = audienceToSign(delivery, token, {
      audience: options.audience ?? named?.audience,
      tokenAudience: options.tokenAudience ?? named?.tokenAudience,
    });
    if (delivery.state === 'queued') throw new LatchkeyError('client_delivery_queued');
    if (delivery.state !== 'delivered') throw endOf(delivery);
    const { device, tokenHash } = delivery;
    return new DeviceSession({
      base: this.#address(`/devices/${encodeURIComponent(device)}/coap`),
      audience,
      tokenHash,
      key: requestKey(token),
      environment: this.#environment,
    });
  }

  /**
   * Has the hub tell when the delivery has ended. Where that does not come through, of a proxy or an earlier hub, it asks
   * again and again, ever more slowly.
   */
  async #settle(first: Delivery, deadline: number): Promise<Delivery> {
    let delivery = first;
    const { clock, random } = this.#environment;
    for (let pause = FIRST_POLL; delivery.state === 'queued'; pause = Math.min(pause * 2, SLOWEST_POLL)) {
      const left = deadline - clock.monotonic();
      if (left <= 0) return delivery;
      delivery = await this.#follow(delivery, left);
      if (delivery.state !== 'queued') break;
      const pauseLeft = deadline - clock.monotonic();
      if (pauseLeft <= 0) return delivery;
      await this.#pause(Math.min(pauseLeft, pause * (1 + random.fraction() / 4)));
    }
    if (delivery.state === 'delivered') return delivery;
    throw endOf(delivery);
  }

  /** The delivery once it has ended; as it was told last where no more is told, or `left` milliseconds are over. */
  async #follow(delivery: Delivery, left: number): Promise<Delivery> {
    let last = delivery;
    const ends = this.#environment.clock.monotonic() + left;
    try {
      const answer = await exchangeEvents(
        {
          method: 'GET',
          url: this.#address(`/deliveries/${encodeURIComponent(delivery.id)}`),
          headers: { accept: 'text/event-stream, application/json;q=0.9' },
          // Timers drop fractions of a millisecond, and come up to one early: an end that is not ours would be an error.
          deadline: Math.ceil(left) + 1,
        },
        this.#environment,
        (data) => {
          last = readDelivery({ body: utf8(data) });
          return last.state !== 'queued';
        },
      );
      return answer === undefined ? last : deliveryOf(answer);
    } catch (error) {
      if (isCoded(error, 'client_unreachable') && this.#environment.clock.monotonic() >= ends) return last;
      throw error;
    }
  }

  /** @throws {LatchkeyError} `client_argument_invalid` */
  #deadline(wait = 60_000): number {
    if (typeof wait !== 'number' || !(wait >= 0)) throw argumentError('wait: not a number of milliseconds');
    return this.#environment.clock.monotonic() + wait;
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => void this.#environment.timers.after(milliseconds, resolve));
  }

  #get(path: string): Promise<HttpAnswer> {
    const url = this.#address(path);
    return exchange({ method: 'GET', url, headers: {}, deadline: REQUEST_DEADLINE }, this.#environment);
  }

  #address(path: string): URL {
    return new URL(this.#base + path);
  }
}

/** @throws {HubRefusal} `client_delivery_failed` */
function deliveryOf(answer: HttpAnswer): Delivery {
  if (!isSuccess(answer)) throw readRefusal('client_delivery_failed', answer);
  return readDelivery(answer);
}

/** The error of a delivery that has ended without its device having the token. */
function endOf({ state, hubCode, deviceCode }: Delivery): HubRefusal {
  return new HubRefusal('client_delivery_failed', { status: 200, code: hubCode ?? `delivery_${state}`, deviceCode });
}

/** @throws {LatchkeyError} `client_answer_invalid` for a delivery to another device than was asked for */
function expected(delivery: Delivery, { device, audience }: Pick<DeliverOptions, 'device' | 'audience'>): Delivery {
  if (delivery.device === device && delivery.audience === audience) return delivery;
  throw new LatchkeyError('client_answer_invalid', 'the hub speaks of another device');
}

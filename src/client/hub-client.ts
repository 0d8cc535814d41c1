import { utf8 } from '../core/bytes.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import { type AccessToken, requestKey } from './access-token.ts';
import { audienceToSign } from './delivery-check.ts';
import { DeviceSession } from './device-session.ts';
import { type ClientEnvironment, systemEnvironment } from './environment.ts';
import { exchange, exchangeEvents, type HttpAnswer } from './http.ts';
import { type Delivery, HubRefusal, isSuccess, readDelivery, readRefusal } from './hub-answer.ts';
import { TokenPresenter } from './token-presenter.ts';

const REQUEST_DEADLINE = 30_000;
const FIRST_POLL = 250;
const SLOWEST_POLL = 10_000;

export interface HubClientOptions {
  /** The hub's public address, such as `https://hub.example`; a path is kept. */
  readonly url: string;
  readonly environment?: ClientEnvironment;
}

export interface DeliverOptions {
  /** The device's id at the hub. */
  readonly device: string;
  /**
   * The audience of that device, as the client knows it. Requests are signed for it and for nothing that a hub says: a
   * hub in bad hands could otherwise have them signed for a device elsewhere.
   */
  readonly audience: string;
  readonly token: AccessToken;
  /** Milliseconds to wait for a device that is away; 60 s by default, 0 to come back at once. */
  readonly wait?: number;
}

/** Talks to one hub. Keeps the newest DPoP nonce that the hub gave (RFC 9449 §9). */
export class HubClient {
  readonly #base: string;
  readonly #environment: ClientEnvironment;
  readonly #presenter: TokenPresenter;
  /** The audience that the caller named for a delivery. */
  readonly #named = new WeakMap<Delivery, string>();

  constructor(options: HubClientOptions) {
    this.#base = options.url.replace(/\/+$/, '');
    this.#environment = options.environment ?? systemEnvironment;
    this.#presenter = new TokenPresenter(this.#environment);
  }

  /**
   * Has the hub deliver a token to a device. Resolves once the device has it, or with `state: 'queued'` when `wait` is
   * over: the hub goes on by itself, and `delivery` asks about it later.
   * @throws {HubRefusal} `client_delivery_failed` where hub or device refuse, or the token expired while it waited
   * @throws {LatchkeyError} `client_unreachable`; `client_answer_invalid`, also where the hub speaks of another device
   */
  async deliver(options: DeliverOptions): Promise<Delivery> {
    const deadline = this.#environment.clock.monotonic() + (options.wait ?? 60_000);
    const url = this.#address(`/devices/${encodeURIComponent(options.device)}/authz-info`);
    const answer = await this.#presenter.present(url, options.token);
    if (answer.status !== 201 && answer.status !== 202) throw readRefusal('client_delivery_failed', answer);
    const delivery = expected(await this.#settle(readDelivery(answer), deadline), options);
    this.#named.set(delivery, options.audience);
    return delivery;
  }

  /**
   * What the hub says of a delivery now. All of it is the hub's own statement: `session` checks what it can.
   * @throws {HubRefusal} `client_delivery_failed` where the hub does not know the delivery
   */
  async delivery(id: string): Promise<Delivery> {
    const answer = await this.#get(`/deliveries/${encodeURIComponent(id)}`);
    return deliveryOf(answer);
  }

  /**
   * Requests to the device, with the key that the token is bound to. They are signed for the audience that the caller
   * named, here or to `deliver`; else for the token's own `aud`. A hub that names another one is refused.
   * @throws {LatchkeyError} `client_key_missing`; `client_audience_unknown` where neither caller nor token names one;
   *   `client_delivery_foreign`
   */
  session(delivery: Delivery, token: AccessToken, options: { readonly audience?: string } = {}): DeviceSession {
    const audience = audienceToSign(delivery, token, options.audience ?? this.#named.get(delivery));
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
    throw new HubRefusal('client_delivery_failed', {
      status: 200,
      code: delivery.hubCode ?? `delivery_${delivery.state}`,
      deviceCode: delivery.deviceCode,
    });
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

/** @throws {LatchkeyError} `client_answer_invalid` for a delivery to another device than was asked for */
function expected(delivery: Delivery, { device, audience }: DeliverOptions): Delivery {
  if (delivery.device === device && delivery.audience === audience) return delivery;
  throw new LatchkeyError('client_answer_invalid', 'the hub speaks of another device');
}

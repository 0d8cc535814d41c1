/**
 * How a device lets itself be paired: POST /provision, /unpair and /identify of docs/protocol.md, "Provisioning". It believes
 * the setup code on its label until it was paired, and from then on its hub alone, until it is reset by hand.
 */
import { codeText } from '../codec/coap/codes.ts';
import { type DeviceOrder, makeOrderAnswer, type OrderContext, openOrder, orderKey } from '../codec/device-order.ts';
import { COAP_CODE, COAP_METHOD, CONTENT_FORMAT } from '../codec/iana.ts';
import {
  decodeNonce,
  encodeNonce,
  openProvisionedTrust,
  PROVISION_NONCE_BYTES,
  type ProvisionNonces,
  sealConfirmation,
} from '../codec/provisioning.ts';
import { EMPTY, equal } from '../core/bytes.ts';
import type { Clock, Random } from '../core/clock.ts';
import type { CoapRequest, CoapResponse } from '../core/coap-exchange.ts';
import { isCoded } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import type { DeviceEvent } from './device-event.ts';
import type { DeviceMemory } from './device-memory.ts';
import type { ReceivedTrust } from './device-state.ts';
import { SETUP_REFUSALS, type SetupRefusal } from './setup-refusals.ts';

/** Milliseconds that nonces of an exchange are good for: a slow line carries all of it in a fraction. */
const EXCHANGE_LIFETIME = 60_000;

interface Exchange {
  readonly nonces: ProvisionNonces;
  /** Milliseconds of the monotonic clock. */
  readonly deadline: number;
}

export interface DeviceSetupOptions {
  /** The secret of the setup code, which was put into the device when it was made. */
  readonly secret: Secret<Uint8Array>;
  readonly memory: DeviceMemory;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly random: Pick<Random, 'bytes'>;
  readonly onEvent: (event: DeviceEvent) => void;
}

export class DeviceSetup {
  readonly memory: DeviceMemory;
  readonly #secret: Secret<Uint8Array>;
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #random: Pick<Random, 'bytes'>;
  readonly #onEvent: (event: DeviceEvent) => void;
  /** One of each at a time: a peer that begins anew ends what was begun before. */
  #provisioning: Exchange | undefined;
  #ordering: Exchange | undefined;
  /** What was asked goes one by one: each looks at the state that the one before left. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: DeviceSetupOptions) {
    this.memory = options.memory;
    this.#secret = options.secret;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#onEvent = options.onEvent;
  }

  /** Answers a request to /provision. */
  provision(request: CoapRequest): Promise<CoapResponse> {
    return this.inTurn(async () => {
      const fault = formFault(request);
      if (fault !== undefined) return fault;
      switch (request.contentFormat) {
        case CONTENT_FORMAT.cbor:
          return this.#begin(request.payload ?? EMPTY);
        case CONTENT_FORMAT.coseEncrypt0:
          return this.#receive(request.payload ?? EMPTY);
        case CONTENT_FORMAT.coseMac0:
          return this.#commit(request.payload ?? EMPTY);
        default:
          return this.#refuse('format_unsupported');
      }
    });
  }

  /** Answers a request to /unpair. */
  unpair(request: CoapRequest): Promise<CoapResponse> {
    return this.inTurn(async () => {
      const fault = formFault(request);
      if (fault !== undefined) return fault;
      const payload = request.payload ?? EMPTY;
      switch (request.contentFormat) {
        case CONTENT_FORMAT.cbor:
          return this.#beginOrder(payload, this.#owner);
        case CONTENT_FORMAT.coseMac0:
          return this.#giveUp(payload);
        default:
          return this.#refuse('format_unsupported');
      }
    });
  }

  /** Answers a request to /identify. */
  identify(request: CoapRequest): Promise<CoapResponse> {
    return this.inTurn(async () => {
      const fault = formFault(request);
      if (fault !== undefined) return fault;
      const payload = request.payload ?? EMPTY;
      switch (request.contentFormat) {
        case undefined:
          return this.#show(payload);
        case CONTENT_FORMAT.cbor:
          return this.#beginOrder(payload, this.#hub);
        case CONTENT_FORMAT.coseMac0:
          return this.#showToHub(payload);
        default:
          return this.#refuse('format_unsupported');
      }
    });
  }

  /** Step 1: nonces of both sides. A replay gets another nonce, which what follows in it does not fit. */
  #begin(payload: Uint8Array): CoapResponse {
    if (this.memory.state.setup === 'dead') return this.#refuse('setup_code_dead');
    const exchange = this.#exchange(payload);
    if (exchange === undefined) return this.#refuse('unparsable');
    this.#provisioning = exchange;
    this.#onEvent({ event: 'pairing_begun' });
    return nonceAnswer(exchange);
  }

  /**
   * Step 2: what the hub wants this device to trust. It is kept beside what the device trusts now and changes nothing yet.
   * The nonces are spent, whatever comes of it.
   */
  async #receive(message: Uint8Array): Promise<CoapResponse> {
    if (this.memory.state.setup === 'dead') return this.#refuse('setup_code_dead');
    const nonces = this.#spend(this.#provisioning);
    this.#provisioning = undefined;
    if (nonces === undefined) return this.#refuse('not_authentic');
    const exchange = { setup: this.#secret, nonces };
    let received: ReceivedTrust;
    try {
      received = { ...openProvisionedTrust(message, exchange), nonces };
    } catch (error) {
      if (!isCoded(error)) throw error;
      // What opens is of a peer that knows the code; it learns that the code cannot be used.
      const opened = error.code === 'device_trust_invalid' || error.code === 'provisioning_invalid';
      return this.#refuse(opened ? 'trust_unacceptable' : 'not_authentic');
    }
    await this.memory.keep({ ...this.memory.state, pending: received });
    this.#onEvent({ event: 'trust_received', version: received.trust.version });
    return {
      code: COAP_CODE.changed,
      contentFormat: CONTENT_FORMAT.coseEncrypt0,
      payload: sealConfirmation(received, exchange),
    };
  }

  /** Step 3: what was received is taken into use. */
  async #commit(message: Uint8Array): Promise<CoapResponse> {
    const { pending, trust } = this.memory.state;
    // The answer to the first one was lost. Bundles may have raised the version since.
    if (trust !== undefined && commitOf(trust, message) !== undefined) return orderAnswer(message, contextOf(trust));
    if (pending === undefined || commitOf(pending, message)?.version !== pending.trust.version)
      return this.#refuse('not_authentic');
    await this.memory.keep({ setup: 'dead', trust: pending });
    const { audience, device, version } = pending.trust;
    this.#onEvent({ event: 'paired', version, device, audience });
    return orderAnswer(message, contextOf(pending));
  }

  async #giveUp(message: Uint8Array): Promise<CoapResponse> {
    const owner = this.#owner;
    if (owner === undefined) return this.#refuse('not_paired');
    if (!this.#isOrdered('unpair', message, owner)) return this.#refuse('not_authentic');
    const { trust } = this.memory.state;
    if (trust !== undefined) {
      await this.memory.keep({ setup: 'dead', released: { audience: trust.trust.audience, rootKey: trust.rootKey } });
      this.#onEvent({ event: 'unpaired' });
    }
    return orderAnswer(message, owner);
  }

  /** A device that is not paired shows itself to every peer: an installer has nothing else to find it by. */
  #show(payload: Uint8Array): CoapResponse {
    if (payload.length > 0) return this.#refuse('format_unsupported');
    if (this.memory.state.setup === 'dead') return this.#refuse('not_authentic');
    this.#onEvent({ event: 'identified' });
    return { code: COAP_CODE.changed, payload: EMPTY };
  }

  /** @param context of the hub that may give such an order now */
  #beginOrder(payload: Uint8Array, context: OrderContext | undefined): CoapResponse {
    if (context === undefined) return this.#refuse('not_paired');
    const exchange = this.#exchange(payload);
    if (exchange === undefined) return this.#refuse('unparsable');
    this.#ordering = exchange;
    return nonceAnswer(exchange);
  }

  #showToHub(message: Uint8Array): CoapResponse {
    const hub = this.#hub;
    if (hub === undefined) return this.#refuse('not_paired');
    if (!this.#isOrdered('identify', message, hub)) return this.#refuse('not_authentic');
    this.#onEvent({ event: 'identified' });
    return orderAnswer(message, hub);
  }

  /** Whether that is the order of this hub, with the nonce that was given last: it serves for no other after that. */
  #isOrdered(operation: 'unpair' | 'identify', message: Uint8Array, hub: OrderContext): boolean {
    const order = authentic(message, hub);
    const nonces = this.#spend(this.#ordering);
    // A stranger's message must not end what the hub began.
    if (order?.operation !== operation || nonces === undefined || !sameNonces(order.nonces, nonces)) return false;
    this.#ordering = undefined;
    return true;
  }

  /** The hub that it trusts. */
  get #hub(): OrderContext | undefined {
    const { trust } = this.memory.state;
    return trust === undefined ? undefined : contextOf(trust);
  }

  /** The same, or else the one that it trusted last: the answer to the order to give that up may have been lost. */
  get #owner(): OrderContext | undefined {
    const { released } = this.memory.state;
    if (this.#hub !== undefined || released === undefined) return this.#hub;
    return { key: orderKey(released.rootKey), audience: released.audience };
  }

  #exchange(payload: Uint8Array): Exchange | undefined {
    try {
      const hub = decodeNonce(payload);
      const device = this.#random.bytes(PROVISION_NONCE_BYTES);
      return { nonces: { hub, device }, deadline: this.#clock.monotonic() + EXCHANGE_LIFETIME };
    } catch (error) {
      if (isCoded(error)) return undefined;
      throw error;
    }
  }

  #spend(exchange: Exchange | undefined): ProvisionNonces | undefined {
    return exchange === undefined || exchange.deadline <= this.#clock.monotonic() ? undefined : exchange.nonces;
  }

  #refuse(reason: SetupRefusal): CoapResponse {
    const code = SETUP_REFUSALS[reason];
    this.#onEvent({ event: 'setup_refused', reason, code: codeText(code) });
    return { code, payload: EMPTY };
  }

  /** Requests go one by one: each looks at the state that the one before left. */
  async inTurn(answer: () => Promise<CoapResponse>): Promise<CoapResponse> {
    const turn = this.#last.then(answer);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}

function formFault({ method, query }: CoapRequest): CoapResponse | undefined {
  if (method !== COAP_METHOD.POST) return { code: COAP_CODE.methodNotAllowed, payload: EMPTY };
  // Nothing covers a query.
  if (query !== undefined && query.length > 0) return { code: COAP_CODE.badOption, payload: EMPTY };
  return undefined;
}

function nonceAnswer({ nonces }: Exchange): CoapResponse {
  return { code: COAP_CODE.created, contentFormat: CONTENT_FORMAT.cbor, payload: encodeNonce(nonces.device) };
}

function orderAnswer(order: Uint8Array, context: OrderContext): CoapResponse {
  return { code: COAP_CODE.changed, contentFormat: CONTENT_FORMAT.coseMac0, payload: makeOrderAnswer(order, context) };
}

function authentic(message: Uint8Array, context: OrderContext): DeviceOrder | undefined {
  try {
    return openOrder(message, context);
  } catch (error) {
    if (isCoded(error)) return undefined;
    throw error;
  }
}

function contextOf({ rootKey, trust }: ReceivedTrust): OrderContext {
  return { key: orderKey(rootKey), audience: trust.audience };
}

/** The order to use what came in that exchange, of the hub that sent it. */
function commitOf(received: ReceivedTrust, message: Uint8Array): { readonly version: number } | undefined {
  const order = authentic(message, contextOf(received));
  return order?.operation === 'commit' && sameNonces(order.nonces, received.nonces) ? order : undefined;
}

function sameNonces(a: ProvisionNonces, b: ProvisionNonces): boolean {
  return equal(a.hub, b.hub) && equal(a.device, b.device);
}

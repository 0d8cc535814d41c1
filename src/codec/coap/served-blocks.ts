import { EMPTY, hex } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import type { CoapResponse } from '../../core/coap-exchange.ts';
import { LIMITS } from '../../core/limits.ts';
import { COAP_CODE, COAP_OPTION } from '../iana.ts';
import { Assembly, type Block, blockOption, fittingBlockSize, overhead, sliceBlock } from './block.ts';
import type { CoapOption } from './message.ts';
import { type KnownOptions, optionsOfResponse, uintOption } from './options.ts';

/** Code, options and payload of a response message. */
export interface ResponseParts {
  readonly code: number;
  readonly options: readonly CoapOption[];
  readonly payload: Uint8Array;
}

/** Requests with the same key are about the same thing, so their blocks belong together (RFC 7959 §2.1). */
export function blockKey(method: number, options: KnownOptions): string {
  const named = [COAP_OPTION.uriPath, COAP_OPTION.uriQuery, COAP_OPTION.accept];
  const parts = named.map((number) => (options.get(number) ?? []).map(hex).join('.'));
  return [method, ...parts].join('/');
}

/**
 * The server's memory between blocks: one request body being put together and one response body being handed out. The
 * peer has one exchange at a time, so a second transfer means that it gave up the first.
 */
export class ServedBlocks {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #lifetime: number;
  #incoming: { readonly key: string; readonly assembly: Assembly; touchedAt: number } | undefined;
  #outgoing: { readonly key: string; readonly response: CoapResponse; readonly since: number } | undefined;

  constructor(clock: Pick<Clock, 'monotonic'>, lifetime: number) {
    this.#clock = clock;
    this.#lifetime = lifetime;
  }

  /** Takes one block of a request: the answer to send at once, or the body when it is whole. */
  accept(key: string, block: Block, payload: Uint8Array): { reply: ResponseParts } | { body: Uint8Array } {
    const now = this.#clock.monotonic();
    const held = this.#incoming;
    const continues = held !== undefined && held.key === key && now - held.touchedAt <= this.#lifetime;
    if (block.number > 0 && !continues) return this.#abandon(COAP_CODE.requestEntityIncomplete, block);
    const transfer = continues && block.number > 0 ? held : { key, assembly: new Assembly(), touchedAt: now };
    this.#incoming = transfer;
    if (continues && block.more && transfer.assembly.repeats(block, payload)) return this.#goOn(block, transfer);
    switch (transfer.assembly.add(block, payload)) {
      case 'gap':
        return this.#abandon(COAP_CODE.requestEntityIncomplete, block);
      case 'size':
        return this.#abandon(COAP_CODE.badRequest, block);
      case 'limit':
        return this.#abandon(COAP_CODE.requestEntityTooLarge, block);
      case 'ok':
        break;
    }
    if (block.more) return this.#goOn(block, transfer);
    this.#incoming = undefined;
    return { body: transfer.assembly.body() };
  }

  /** The response that a peer is fetching block by block. */
  held(key: string): CoapResponse | undefined {
    const outgoing = this.#outgoing;
    if (outgoing === undefined || outgoing.key !== key) return undefined;
    return this.#clock.monotonic() - outgoing.since <= this.#lifetime ? outgoing.response : undefined;
  }

  /**
   * A response, or the block of it that was asked for, as a message of at most `maxMessageBytes`.
   * @param asked Block2 of the request; its size is an upper bound for ours
   * @param received Block1 of the request, echoed
   */
  cut(cut: {
    readonly key: string;
    readonly response: CoapResponse;
    readonly token: Uint8Array;
    readonly asked: Block | undefined;
    readonly received: Block | undefined;
    readonly maxMessageBytes: number;
  }): ResponseParts {
    const { key, response, token, asked, received, maxMessageBytes } = cut;
    const { code, payload } = response;
    if (payload.length > LIMITS.coapBodyBytes)
      return { code: COAP_CODE.internalServerError, options: [], payload: EMPTY };
    const echo = received === undefined ? [] : [blockOption(COAP_OPTION.block1, { ...received, more: false })];
    const options = [...optionsOfResponse(response), ...echo];
    const fitsWhole = overhead({ token }, options) + 1 + payload.length <= maxMessageBytes;
    if (fitsWhole && (asked === undefined || (asked.number === 0 && payload.length <= asked.size))) {
      return { code, options, payload };
    }
    const fitting = fittingBlockSize({ token }, options, maxMessageBytes);
    const size = Math.min(fitting, asked?.size ?? fitting);
    // The position counts in the size that the peer asked with; ours divides it (RFC 7959 §2.4).
    const number = asked === undefined ? 0 : (asked.number * asked.size) / size;
    if (number > 0 && number * size >= payload.length)
      return { code: COAP_CODE.badRequest, options: [], payload: EMPTY };
    const part = sliceBlock(payload, number, size);
    this.#outgoing = part.block.more ? { key, response, since: this.#clock.monotonic() } : undefined;
    return { code, options: [...options, blockOption(COAP_OPTION.block2, part.block)], payload: part.payload };
  }

  #goOn(block: Block, transfer: { touchedAt: number }): { reply: ResponseParts } {
    transfer.touchedAt = this.#clock.monotonic();
    const options = [blockOption(COAP_OPTION.block1, block)];
    return { reply: { code: COAP_CODE.continue, options, payload: EMPTY } };
  }

  #abandon(code: number, block: Block): { reply: ResponseParts } {
    this.#incoming = undefined;
    const limit = code === COAP_CODE.requestEntityTooLarge ? [uintOption(COAP_OPTION.size1, LIMITS.coapBodyBytes)] : [];
    const options = [blockOption(COAP_OPTION.block1, { ...block, more: false }), ...limit];
    return { reply: { code, options, payload: EMPTY } };
  }
}

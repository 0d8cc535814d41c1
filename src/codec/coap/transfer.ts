import { EMPTY, equal } from '../../core/bytes.ts';
import type { CoapRequest, CoapResponse } from '../../core/coap-exchange.ts';
import { LatchkeyError } from '../../core/errors.ts';
import { LIMITS } from '../../core/limits.ts';
import { COAP_CODE, COAP_OPTION } from '../iana.ts';
import { Assembly, type Block, blockOption, fittingBlockSize, overhead, readBlock, sliceBlock } from './block.ts';
import { codeText } from './codes.ts';
import { type CoapMessage, type CoapOption, codeClass } from './message.ts';
import {
  isRefused,
  type KnownOptions,
  optionsOfRequest,
  responseFrom,
  responseOptions,
  uintOption,
} from './options.ts';
import type { CoapSettings } from './settings.ts';

/** One request message of a transfer. */
export interface RequestPart {
  readonly options: readonly CoapOption[];
  readonly payload: Uint8Array;
  /** Whether it may be sent again, though the peer may have had it: a block that the peer only keeps or hands out. */
  readonly isRepeatable: boolean;
}

/** One request message and the response to it. */
export type RoundTrip = (part: RequestPart) => Promise<CoapMessage>;

/**
 * A request and its response, in as many round trips as blocks of either need (RFC 7959 §2.5 to §2.8 and §3).
 * @throws {LatchkeyError} `request_too_large`, `coap_message_invalid` for a request that has no encoding;
 *   `coap_option_refused`, `coap_block_invalid`, `device_answer_invalid` for what the peer answered
 */
export async function transfer(
  request: CoapRequest,
  settings: Pick<CoapSettings, 'maxMessageBytes' | 'tokenBytes'>,
  roundTrip: RoundTrip,
): Promise<CoapResponse> {
  const body = request.payload ?? EMPTY;
  if (body.length > LIMITS.coapBodyBytes) throw new LatchkeyError('request_too_large', `${body.length} bytes of body`);
  const options = optionsOfRequest(request);
  const message = { token: new Uint8Array(settings.tokenBytes) };
  const fitsWhole = overhead(message, options) + 1 + body.length <= settings.maxMessageBytes;
  let size = fitsWhole ? undefined : fittingBlockSize(message, options, settings.maxMessageBytes);
  for (;;) {
    const answer =
      size === undefined
        ? await roundTrip({ options, payload: body, isRepeatable: false })
        : await sendBlocks({ options, body, size, roundTrip });
    const smaller = smallerSizeAsked(answer, size ?? body.length);
    if (smaller === undefined) return receiveBlocks({ options, answer, roundTrip });
    // Sizes only shrink and end at 16 bytes, so this ends too (RFC 7959 §2.9.3).
    size = smaller;
  }
}

function smallerSizeAsked(answer: CoapMessage, sent: number): number | undefined {
  if (answer.code !== COAP_CODE.requestEntityTooLarge) return undefined;
  const block = readBlock(understood(answer), COAP_OPTION.block1);
  return block !== undefined && block.size < sent ? block.size : undefined;
}

interface Sending {
  readonly options: readonly CoapOption[];
  readonly body: Uint8Array;
  readonly size: number;
  readonly roundTrip: RoundTrip;
}

/** The response to the last block, or the first that is an error. */
async function sendBlocks({ options, body, size: firstSize, roundTrip }: Sending): Promise<CoapMessage> {
  let size = firstSize;
  let sent = 0;
  let startedAnew = false;
  for (;;) {
    const { block, payload } = sliceBlock(body, sent / size, size);
    const total = sent === 0 ? [uintOption(COAP_OPTION.size1, body.length)] : [];
    const answer = await roundTrip({
      options: [...options, blockOption(COAP_OPTION.block1, block), ...total],
      payload,
      isRepeatable: block.more,
    });
    if (answer.code === COAP_CODE.requestEntityIncomplete && sent > 0 && !startedAnew) {
      // The peer has lost the blocks before, as when it started anew: it did nothing with them yet (RFC 7959 §2.9.2).
      startedAnew = true;
      sent = 0;
      continue;
    }
    if (codeClass(answer.code) > 2) return answer;
    if (block.more !== (answer.code === COAP_CODE.continue)) {
      throw new LatchkeyError('coap_block_invalid', `${codeText(answer.code)} to block ${block.number}`);
    }
    if (!block.more) return answer;
    sent += size;
    size = sizeAfter(answer, block);
  }
}

/** The peer may ask for smaller blocks in any answer; larger ones are not its to ask (RFC 7959 §2.3). */
function sizeAfter(answer: CoapMessage, block: Block): number {
  const echo = readBlock(understood(answer), COAP_OPTION.block1);
  if (echo === undefined || echo.number !== block.number || echo.size > block.size) {
    throw new LatchkeyError('coap_block_invalid', `the answer to block ${block.number} is about another one`);
  }
  return echo.size;
}

interface Receiving {
  readonly options: readonly CoapOption[];
  readonly answer: CoapMessage;
  readonly roundTrip: RoundTrip;
}

async function receiveBlocks({ options, answer: first, roundTrip }: Receiving): Promise<CoapResponse> {
  const known = understood(first);
  let block = readBlock(known, COAP_OPTION.block2);
  if (block === undefined) return responseFrom(first.code, known, first.payload);
  const assembly = new Assembly();
  let answer = first;
  for (;;) {
    const fault = assembly.add(block, answer.payload);
    if (fault !== 'ok')
      throw new LatchkeyError('coap_block_invalid', `${fault} at block ${block.number} of the answer`);
    if (!block.more) return responseFrom(first.code, known, assembly.body());
    // The request's body is not repeated (RFC 7959 §3.3), and no Block1 with it.
    const next: Block = { number: assembly.length / block.size, more: false, size: block.size };
    answer = await roundTrip({
      options: [...options, blockOption(COAP_OPTION.block2, next)],
      payload: EMPTY,
      isRepeatable: true,
    });
    block = readBlock(understood(answer), COAP_OPTION.block2);
    if (block === undefined || answer.code !== first.code || !sameEntity(first, answer)) {
      throw new LatchkeyError('coap_block_invalid', `${codeText(answer.code)} at block ${next.number} of the answer`);
    }
  }
}

/** Blocks with different entity-tags are of different representations (RFC 7959 §2.4). */
function sameEntity(a: CoapMessage, b: CoapMessage): boolean {
  const one = understood(a).get(COAP_OPTION.etag)?.[0] ?? EMPTY;
  const other = understood(b).get(COAP_OPTION.etag)?.[0] ?? EMPTY;
  return equal(one, other);
}

function understood(answer: CoapMessage): KnownOptions {
  const options = responseOptions(answer);
  if (isRefused(options)) throw new LatchkeyError('coap_option_refused', `option ${options.refused} in the answer`);
  return options;
}

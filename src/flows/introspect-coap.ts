/** The CoAP front for connected devices, over any device link: POST /introspect (RFC 9200 §5.9). */
import { codeNumber } from '../codec/coap/codes.ts';
import { makeConciseProblem } from '../codec/concise-problem.ts';
import { COAP_CODE, COAP_METHOD, CONTENT_FORMAT } from '../codec/iana.ts';
import { EMPTY, hex } from '../core/bytes.ts';
import type { Random } from '../core/clock.ts';
import type { CoapRequest, CoapResponse } from '../core/coap-exchange.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { Log } from '../ports/log.ts';
import type { ProtectedIntrospection } from './protected-introspection.ts';

export interface IntrospectCoapOptions {
  /** Name of the line: a device may ask over the one that it is registered on. */
  readonly line: string;
  readonly introspection: ProtectedIntrospection;
  readonly random: Random;
  readonly log: Log;
}

/**
 * The handler of one line. What it throws becomes a bare CoAP code by the catalogue, so that nobody on the line learns
 * more than that; a device whose MAC is good, and which needs a nonce of the hub, gets that besides.
 */
export function introspectCoap(options: IntrospectCoapOptions): (request: CoapRequest) => Promise<CoapResponse> {
  const { introspection, line, random } = options;
  const log = options.log.child({ line });
  return async (request) => {
    const [resource, ...below] = request.path;
    if (resource !== 'introspect' || below.length > 0) throw new LatchkeyError('not_found');
    if (request.method !== COAP_METHOD.POST) throw new LatchkeyError('method_not_allowed');
    if (request.query !== undefined && request.query.length > 0) throw new LatchkeyError('request_invalid', 'a query');
    if (request.contentFormat !== CONTENT_FORMAT.aceCbor) throw new LatchkeyError('media_type_refused');
    if (request.accept !== undefined && request.accept !== CONTENT_FORMAT.aceCbor) {
      throw new LatchkeyError('media_type_not_offered');
    }
    const id = hex(random.bytes(8));
    const answer = await introspection.answer(request.payload ?? EMPTY, (device) => device.line === line, {
      id,
      log: log.child({ request: id }),
    });
    if (answer.kind === 'sealed') {
      return { code: COAP_CODE.created, contentFormat: CONTENT_FORMAT.aceCbor, payload: answer.message };
    }
    const error = new LatchkeyError('hub_nonce_required');
    return {
      code: codeNumber(error.entry.coap),
      contentFormat: CONTENT_FORMAT.conciseProblem,
      payload: makeConciseProblem(error, id, answer.nonce),
    };
  };
}

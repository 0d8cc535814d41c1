/** The CoAP front for connected devices, over any device link: POST /introspect (RFC 9200 §5.9). */
import { codeNumber } from '../codec/coap/codes.ts';
import { makeConciseProblem } from '../codec/concise-problem.ts';
import { COAP_CODE, COAP_METHOD, CONTENT_FORMAT } from '../codec/iana.ts';
import { EMPTY } from '../core/bytes.ts';
import type { CoapRequest, CoapResponse } from '../core/coap-exchange.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { Device } from '../devices/device.ts';
import type { RequestContext } from '../ports/northbound.ts';
import type { ProtectedIntrospection } from './protected-introspection.ts';

/**
 * What it throws becomes a bare CoAP code by the catalogue, so that nobody on the link learns more than that; a device whose
 * MAC is good, and which needs a nonce of the hub, gets that besides.
 */
export async function introspectOverCoap(
  request: CoapRequest,
  options: {
    readonly introspection: ProtectedIntrospection;
    readonly isExpected: (device: Device) => boolean;
    readonly context: RequestContext;
  },
): Promise<CoapResponse> {
  if (request.method !== COAP_METHOD.POST) throw new LatchkeyError('method_not_allowed');
  if (request.query !== undefined && request.query.length > 0) throw new LatchkeyError('request_invalid', 'a query');
  if (request.contentFormat !== CONTENT_FORMAT.aceCbor) throw new LatchkeyError('media_type_refused');
  if (request.accept !== undefined && request.accept !== CONTENT_FORMAT.aceCbor)
    throw new LatchkeyError('media_type_not_offered');
  const { context, introspection, isExpected } = options;
  const answer = await introspection.answer(request.payload ?? EMPTY, isExpected, context);
  if (answer.kind === 'sealed')
    return { code: COAP_CODE.created, contentFormat: CONTENT_FORMAT.aceCbor, payload: answer.message };
  const error = new LatchkeyError('hub_nonce_required');
  return {
    code: codeNumber(error.entry.coap),
    contentFormat: CONTENT_FORMAT.conciseProblem,
    payload: makeConciseProblem(error, context.id, answer.nonce),
  };
}

/** What the simulated tube can do: a thermometer to read and a lamp to switch. */
import { encodeCbor } from '../codec/cbor.ts';
import { COAP_CODE, COAP_METHOD, CONTENT_FORMAT } from '../codec/iana.ts';
import { fromUtf8 } from '../core/bytes.ts';
import type { CoapResponse } from '../core/coap-exchange.ts';
import { isCoded } from '../core/errors.ts';

export interface ResourceRequest {
  readonly method: number;
  readonly payload: Uint8Array;
  readonly contentFormat: number | undefined;
}

export interface Resource {
  /** `rt` of RFC 6690 §3.1. */
  readonly resourceType: string;
  /** `ct` of RFC 7252 §7.2.1: what it answers with. */
  readonly contentFormat: number;
  /** Answers a request that was permitted already. */
  serve(request: ResourceRequest): CoapResponse;
}

/** FETCH answers the CBOR map {"milliCelsius": integer}: deterministic CBOR here knows no floats. */
export class Thermometer implements Resource {
  readonly resourceType = 'temperature';
  readonly contentFormat = CONTENT_FORMAT.cbor;
  milliCelsius = 36_600;
  /** Readings given. */
  readings = 0;

  serve(request: ResourceRequest): CoapResponse {
    if (request.method !== COAP_METHOD.FETCH && request.method !== COAP_METHOD.GET)
      return empty(COAP_CODE.methodNotAllowed);
    this.readings += 1;
    return cborContent(new Map([['milliCelsius', this.milliCelsius]]));
  }
}

/** PUT takes the text `on` or `off`; FETCH answers the CBOR map {"on": true or false}. */
export class Lamp implements Resource {
  readonly resourceType = 'lamp';
  readonly contentFormat = CONTENT_FORMAT.cbor;
  isOn = false;
  /** PUTs that were carried out, whether or not they changed anything: what must never happen twice for one request. */
  switched = 0;

  serve(request: ResourceRequest): CoapResponse {
    if (request.method === COAP_METHOD.FETCH || request.method === COAP_METHOD.GET) {
      return cborContent(new Map([['on', this.isOn]]));
    }
    if (request.method !== COAP_METHOD.PUT) return empty(COAP_CODE.methodNotAllowed);
    if (request.contentFormat !== undefined && request.contentFormat !== CONTENT_FORMAT.text) {
      return empty(COAP_CODE.unsupportedContentFormat);
    }
    const word = textOf(request.payload);
    if (word !== 'on' && word !== 'off') return empty(COAP_CODE.badRequest);
    this.isOn = word === 'on';
    this.switched += 1;
    return empty(COAP_CODE.changed);
  }
}

function textOf(payload: Uint8Array): string | undefined {
  try {
    return fromUtf8(payload);
  } catch (error) {
    if (isCoded(error, 'utf8_invalid')) return undefined;
    throw error;
  }
}

function cborContent(value: ReadonlyMap<string, number | boolean>): CoapResponse {
  return { code: COAP_CODE.content, contentFormat: CONTENT_FORMAT.cbor, payload: encodeCbor(value) };
}

function empty(code: number): CoapResponse {
  return { code, payload: new Uint8Array(0) };
}

import { describe, expect, it } from 'vitest';
import { COAP_CODE, COAP_METHOD, CONTENT_FORMAT } from '../../../src/codec/iana.ts';
import { utf8 } from '../../../src/core/bytes.ts';
import type { CoapRequest } from '../../../src/core/coap-exchange.ts';
import { CoapPair } from '../../fakes/coap-pair.ts';

const get: CoapRequest = { method: COAP_METHOD.GET, path: ['temperature'] };

describe('CoapEndpoint, one exchange', () => {
  it('brings a request to the handler and its response back', async () => {
    const seen: CoapRequest[] = [];
    const pair = new CoapPair({
      handler: async (request) => {
        seen.push(request);
        return { code: COAP_CODE.content, contentFormat: CONTENT_FORMAT.text, payload: utf8('22.3 C') };
      },
    });
    const response = pair.client.request(
      { method: COAP_METHOD.POST, path: ['a', 'b'], query: ['c=d'], contentFormat: 61, accept: 60, payload: utf8('x') },
      { deadline: 10_000 },
    );
    await pair.time.advance(100);
    expect(await response).toEqual({ code: COAP_CODE.content, contentFormat: 0, payload: utf8('22.3 C') });
    expect(seen).toEqual([
      { method: 2, path: ['a', 'b'], query: ['c=d'], contentFormat: 61, accept: 60, payload: utf8('x') },
    ]);
    expect(pair.sent.map(({ message }) => message.type)).toEqual([0, 2]);
    expect(pair.time.pendingTimers).toBe(0);
  });

  it('carries a large body up and a large body down in blocks', async () => {
    const pair = new CoapPair({
      client: { maxMessageBytes: 160 },
      server: { maxMessageBytes: 200 },
      handler: async ({ payload }) => ({ code: COAP_CODE.changed, payload: (payload ?? utf8('')).toReversed() }),
    });
    const body = pair.time.bytes(2000);
    const response = pair.client.request({ ...get, method: COAP_METHOD.POST, payload: body }, { deadline: 60_000 });
    await pair.time.advance(1000);
    expect((await response).payload).toEqual(body.toReversed());
    expect(pair.from('client').every(({ bytes }) => bytes.length <= 160)).toBe(true);
    expect(pair.from('server').every(({ bytes }) => bytes.length <= 200)).toBe(true);
    expect(pair.time.pendingTimers).toBe(0);
  });
});

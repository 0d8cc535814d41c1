import { describe, expect, test } from 'vitest';
import { coapRequestOf, httpAnswerOf } from '../../../drivers/http/coap-mapping.ts';
import type { HttpRequest } from '../../../drivers/http/server.ts';
import { codeNumber } from '../../../src/codec/coap/codes.ts';
import { QuietLog } from '../../fakes/quiet-log.ts';
import { codeOf } from '../../fixtures/code-of.ts';

const COSE = 'application/cose; cose-type="cose-sign1"';

function request(parts: Partial<HttpRequest> = {}): HttpRequest {
  return {
    method: 'POST',
    url: '/',
    parameters: {},
    headers: { 'content-type': [COSE] },
    query: new URLSearchParams(),
    body: new Uint8Array([1]),
    peerCertificateThumbprint: undefined,
    id: 'r1',
    log: new QuietLog(),
    ...parts,
  };
}

describe('a request is refused', () => {
  test.each<[string, Partial<HttpRequest>, string]>([
    ['with two content types', { headers: { 'content-type': [COSE, COSE] } }, 'request_invalid'],
    ['with an unknown content type', { headers: { 'content-type': ['text/html'] } }, 'request_invalid'],
    ['with an unknown CoAP method', { headers: { 'coap-method': ['GRAB'] } }, 'request_invalid'],
    ['with two CoAP methods', { headers: { 'coap-method': ['FETCH', 'GET'] } }, 'request_invalid'],
    ['with CoAP-Method beside PUT', { method: 'PUT', headers: { 'coap-method': ['FETCH'] } }, 'request_invalid'],
  ])('%s', (_, parts, code) => {
    expect(codeOf(() => coapRequestOf(request(parts), 'tube-1', 'led'))).toBe(code);
  });

  test.each(['', 'a//b', '/a', 'a/', '.', 'a/../b', 'x'.repeat(256), 'é'.repeat(128)])('for the path "%s"', (path) => {
    expect(codeOf(() => coapRequestOf(request(), 'tube-1', path))).toBe('not_found');
  });
});

test('a POST may stand for another method', () => {
  const headers = { 'content-type': ['APPLICATION/COSE;cose-type=cose-sign1'], 'coap-method': ['FETCH'] };
  const query = new URLSearchParams('a=1&b');
  expect(coapRequestOf(request({ headers, query }), 'tube-1', 'a/b')).toMatchObject({
    device: 'tube-1',
    method: 5,
    path: ['a', 'b'],
    query: ['a=1', 'b'],
    contentFormat: 18,
  });
});

describe('the answer of a device', () => {
  const answer = (code: string, payload: readonly number[] = []) =>
    httpAnswerOf({ code: codeNumber(code), payload: Uint8Array.from(payload), verified: true }, { id: 'r1' });

  test.each<[string, readonly number[], number]>([
    ['2.01', [], 201],
    ['2.04', [], 204],
    ['2.05', [], 204],
    ['2.05', [1], 200],
    ['4.01', [], 403],
    ['4.04', [], 404],
    ['4.29', [], 502],
    ['5.00', [], 502],
    ['5.03', [], 503],
  ])('%s with %j is %i (RFC 8075 §7)', (code, payload, status) => {
    const mapped = answer(code, payload);
    expect(mapped.status).toBe(status);
    expect(mapped.headers?.['device-verified']).toBe('true');
  });

  test('that refuses is a problem with its code, and nothing of its payload', () => {
    expect(answer('4.03', [0x63]).body).toMatchObject({
      code: 'device_refused_request',
      device_code: '4.03',
      status: 403,
    });
  });

  test('without a content format is bytes', () => {
    expect(answer('2.05', [1]).headers?.['content-type']).toBe('application/octet-stream');
  });
});

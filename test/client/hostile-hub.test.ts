/** A hub in bad hands, which wants a request of the client for another device: it is to get no signature. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type AccessToken, bearerToken, dpopToken } from '../../src/client/access-token.ts';
import type { NamedAudience } from '../../src/client/delivery-check.ts';
import { DpopKey } from '../../src/client/dpop-key.ts';
import { HubClient } from '../../src/client/hub-client.ts';
import { exiSequence, exiTokenId } from '../../src/codec/exi-token-id.ts';
import { openSignedRequest } from '../../src/codec/signed-request.ts';
import { base64url, hex, sha256, utf8 } from '../../src/core/bytes.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { DELIVERED } from './scripted-hub.ts';

const TUBE = 'coap://tube-1';
const PUMP = 'coap://pump-7.other-ward';
const part = (text: string) => base64url(utf8(text));
const jwt = (claims: object) => `${part('{"alg":"ES256"}')}.${part(JSON.stringify(claims))}.${part('x')}`;
const FOR_TUBE = jwt({ aud: TUBE, exp: 1_700_000_600 });
const OPAQUE = 'an-opaque-token';
const idOf = (token: string, bytes = 16) => hex(sha256(token).subarray(0, bytes));

/** What the hub says of every delivery. */
let view: Record<string, unknown>;
/** Bodies of what was posted to devices. */
let posted: Buffer[];
let hub: HubClient;
let key: DpopKey;
let close: () => Promise<void>;

beforeEach(async () => {
  posted = [];
  view = { ...DELIVERED, device: 'tube-1', audience: TUBE, cti: idOf(FOR_TUBE) };
  key = await DpopKey.generate();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const isDelivery =
        request.url?.startsWith('/deliveries') === true || request.url?.endsWith('/authz-info') === true;
      if (!isDelivery) posted.push(Buffer.concat(chunks));
      if (isDelivery) response.writeHead(201, { 'content-type': 'application/json' }).end(JSON.stringify(view));
      else response.writeHead(201, { 'content-type': 'application/octet-stream' }).end(Buffer.alloc(16, 7));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  hub = new HubClient({ url: `http://127.0.0.1:${port}` });
  close = () => new Promise((resolve) => void server.close(() => resolve()).closeAllConnections());
});
afterEach(() => close());

const token = (value: string): AccessToken => dpopToken(value, key);
/** What `session` answers for the delivery as the hub tells it now. */
async function refusal(value: string, options?: NamedAudience): Promise<string> {
  const delivery = await hub.delivery('d-1');
  return codeOf(() => hub.session(delivery, token(value), options));
}

describe('a delivery that the hub tells of', () => {
  test('with another audience, device and token hash gets no signature', async () => {
    view = { ...view, device: 'pump-7', audience: PUMP, token_hash: base64url(Buffer.alloc(8, 9)) };
    expect(await refusal(FOR_TUBE)).toBe('client_delivery_foreign');
    expect(await refusal(FOR_TUBE, { audience: TUBE })).toBe('client_delivery_foreign');
    expect(posted).toEqual([]);
  });

  test('of another token gets none', async () => {
    view = { ...view, cti: idOf('another token') };
    expect(await refusal(FOR_TUBE)).toBe('client_delivery_foreign');
  });

  test.each(['', '0'.repeat(6), idOf(FOR_TUBE, 3), `${idOf(FOR_TUBE)}00`])('with the cti %j gets none', async (cti) => {
    view = { ...view, cti };
    expect(await refusal(FOR_TUBE)).toBe('client_delivery_foreign');
  });

  test.each([4, 8, 16])('is taken with a cti of %i bytes, which devices may have', async (bytes) => {
    view = { ...view, cti: idOf(FOR_TUBE, bytes) };
    expect(await refusal(FOR_TUBE)).toBe('none');
  });

  test('is taken with the cti of a token for a device without a clock', async () => {
    view = { ...view, cti: hex(exiTokenId('tube-1', exiSequence(1_700_000_000, sha256(FOR_TUBE)))) };
    expect(await refusal(FOR_TUBE)).toBe('none');
    view = { ...view, cti: hex(exiTokenId('tube-1', exiSequence(1_700_000_000, sha256('another')))) };
    expect(await refusal(FOR_TUBE)).toBe('client_delivery_foreign');
  });

  test('is signed for the audience that the client knows, and no other', async () => {
    const session = hub.session(await hub.delivery('d-1'), token(FOR_TUBE));
    await session.request({ method: 'FETCH', path: ['temperature'] }).catch(() => undefined);
    const [, signed] = posted;
    if (signed === undefined) throw new Error('nothing was signed');
    const open = (audience: string) => () =>
      openSignedRequest(signed, { key: key.coseKey, audience, method: 5, path: ['temperature'] });
    expect(codeOf(open(TUBE))).toBe('none');
    expect(codeOf(open(PUMP))).toBe('cose_verification_failed');
  });
});

describe('the audience', () => {
  test("that the caller named must be the token's own", async () => {
    view = { ...view, audience: PUMP };
    expect(await refusal(FOR_TUBE, { audience: PUMP })).toBe('client_delivery_foreign');
  });

  test('of a token with several has to be named, and be one of them', async () => {
    const several = jwt({ aud: [TUBE, PUMP] });
    view = { ...view, cti: idOf(several) };
    expect(await refusal(several)).toBe('client_audience_unknown');
    expect(await refusal(several, { audience: TUBE })).toBe('none');
    expect(await refusal(several, { audience: PUMP })).toBe('client_delivery_foreign');
    view = { ...view, audience: 'coap://third' };
    expect(await refusal(several, { audience: 'coap://third' })).toBe('client_delivery_foreign');
  });

  test.each([OPAQUE, jwt({ exp: 1 }), jwt({ aud: 7 }), 'a.b.c'])('of the token %s has to be named', async (value) => {
    view = { ...view, cti: idOf(value) };
    expect(await refusal(value)).toBe('client_audience_unknown');
  });

  test('of an opaque token is the one that the caller names', async () => {
    view = { ...view, cti: idOf(OPAQUE) };
    expect(await refusal(OPAQUE, { audience: TUBE })).toBe('none');
    expect(await refusal(OPAQUE, { audience: PUMP })).toBe('client_delivery_foreign');
  });

  test('of a whole site serves for a device of it where the caller names both', async () => {
    const site = jwt({ aud: 'https://ward.example' });
    view = { ...view, cti: idOf(site) };
    const tokenAudience = 'https://ward.example';
    expect(await refusal(site, { audience: TUBE })).toBe('client_delivery_foreign');
    expect(await refusal(site, { audience: TUBE, tokenAudience })).toBe('none');
    expect(await refusal(site, { audience: PUMP, tokenAudience })).toBe('client_delivery_foreign');
    expect(await refusal(site, { audience: TUBE, tokenAudience: 'https://else.example' })).toBe(
      'client_delivery_foreign',
    );
    const delivery = await hub.deliver({
      device: 'tube-1',
      audience: TUBE,
      tokenAudience,
      token: token(site),
      wait: 0,
    });
    expect(codeOf(() => hub.session(delivery, token(site)))).toBe('none');
  });

  test('that was named to deliver need not be named again', async () => {
    view = { ...view, cti: idOf(OPAQUE) };
    const delivery = await hub.deliver({ device: 'tube-1', audience: TUBE, token: bearerToken(OPAQUE), wait: 0 });
    expect(codeOf(() => hub.session(delivery, token(OPAQUE)))).toBe('none');
  });
});

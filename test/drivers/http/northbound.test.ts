import { describe, expect, test } from 'vitest';
import type { HttpAnswer } from '../../../drivers/http/http-answer.ts';
import { northboundRoutes } from '../../../drivers/http/northbound.ts';
import type { HttpRequest } from '../../../drivers/http/server.ts';
import { isCoded } from '../../../src/core/errors.ts';
import type { DeliveryView, Northbound, PresentedToken } from '../../../src/ports/northbound.ts';
import { QuietLog } from '../../fakes/quiet-log.ts';

const DELIVERY: DeliveryView = {
  delivery: 'd1',
  state: 'delivered',
  device: 'tube-1',
  audience: 'coap://tube-1',
  token_hash: 'q83vEjRWeJo',
  cti: '00',
  expires_at: 1,
  scope: 'read',
  bytes: { jwt: 1, cwt: 1 },
  freshness: { keys_age: 0, clock: 'sure' },
};

/** The route for a delivery, in front of a hub that has the given view of it; `seen` is what the hub was shown. */
function deliver(view: Partial<DeliveryView> = {}, origins = ['https://hub.example', 'http://127.0.0.1:1']) {
  const seen: PresentedToken[] = [];
  const northbound: Northbound = {
    deliver: async (_, presented) => {
      seen.push(presented);
      return { ...DELIVERY, ...view };
    },
    delivery: () => DELIVERY,
    watchDelivery: () => () => undefined,
    proxy: () => Promise.reject(new Error('not asked')),
    dpopNonce: () => 'fresh',
    publicKeys: () => ({ keys: [] }),
  };
  const routes = northboundRoutes({ northbound, origins: () => origins });
  const route = routes.find(({ path }) => path === '/devices/:id/authz-info');
  const ask = (headers: HttpRequest['headers']): Promise<HttpAnswer> => {
    const request: HttpRequest = {
      method: 'POST',
      url: '/devices/tube-1/authz-info',
      parameters: { id: 'tube-1' },
      headers,
      query: new URLSearchParams(),
      body: new Uint8Array(0),
      peerCertificateThumbprint: undefined,
      id: 'r1',
      log: new QuietLog(),
    };
    return route?.handle(request) ?? Promise.reject(new Error('no route'));
  };
  return { ask, seen };
}

describe('a request is refused', () => {
  test.each<[string, HttpRequest['headers'], string]>([
    ['without Authorization', {}, 'token_missing'],
    ['with two of them', { authorization: ['Bearer a', 'Bearer b'] }, 'request_invalid'],
    ['with another scheme', { authorization: ['Basic eDp5'] }, 'request_invalid'],
    ['with a scheme alone', { authorization: ['Bearer '] }, 'request_invalid'],
    ['with two tokens', { authorization: ['Bearer a b'] }, 'request_invalid'],
    ['with a list of schemes', { authorization: ['Bearer a, DPoP b'] }, 'request_invalid'],
    ['with two proofs', { authorization: ['DPoP a'], dpop: ['p', 'q'] }, 'proof_malformed'],
  ])('%s', async (_, headers, code) => {
    const { ask, seen } = deliver();
    const error: unknown = await ask(headers).catch((thrown: unknown) => thrown);
    expect(isCoded(error) && error.code).toBe(code);
    expect(seen).toEqual([]);
  });
});

test('token, proof, method and every address of the request reach the hub', async () => {
  const { ask, seen } = deliver();
  await ask({ authorization: ['dpop abc'], dpop: ['p'] });
  const [presented] = seen;
  expect(presented).toMatchObject({
    scheme: 'DPoP',
    method: 'POST',
    uris: ['https://hub.example/devices/tube-1/authz-info', 'http://127.0.0.1:1/devices/tube-1/authz-info'],
  });
  expect([presented?.token.expose(), presented?.proof?.expose()]).toEqual(['abc', 'p']);
});

test.each<[DeliveryView['state'], number, string | undefined]>([
  ['delivered', 201, undefined],
  ['queued', 202, undefined],
  ['refused', 502, 'device_refused_token'],
  ['expired', 410, 'delivery_expired'],
  ['cancelled', 410, 'delivery_cancelled'],
])('a delivery that is %s is answered with %i', async (state, status, code) => {
  const answer = await deliver({ state }).ask({ authorization: ['Bearer abc'] });
  expect(answer).toMatchObject({ status, headers: { location: '/deliveries/d1', 'dpop-nonce': 'fresh' } });
  expect((answer.body as { code?: string }).code).toBe(code);
});

test.each([
  ['https://hub.example', '/deliveries/d1'],
  ['https://hub.example/', '/deliveries/d1'],
  ['https://gate.example/lk', '/lk/deliveries/d1'],
  ['https://gate.example/a/b', '/a/b/deliveries/d1'],
])('where clients know the hub as %s, a delivery is at %s', async (origin, location) => {
  const answer = await deliver({ state: 'queued' }, [origin, 'http://127.0.0.1:1']).ask({
    authorization: ['Bearer abc'],
  });
  expect(answer.headers?.location).toBe(location);
});

describe('GET /deliveries/{id}', () => {
  /** The route in front of a delivery that waits; `change` is what becomes of it. */
  function deliveries(state: DeliveryView['state'] = 'queued') {
    const listeners = new Set<(view: DeliveryView) => void>();
    const northbound: Northbound = {
      deliver: () => Promise.reject(new Error('not asked')),
      delivery: () => ({ ...DELIVERY, state }),
      watchDelivery: (_, listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      proxy: () => Promise.reject(new Error('not asked')),
      dpopNonce: () => 'fresh',
      publicKeys: () => ({ keys: [] }),
    };
    const route = northboundRoutes({ northbound, origins: () => [] }).find(({ path }) => path === '/deliveries/:id');
    const ask = async (accept: readonly string[]): Promise<HttpAnswer | undefined> =>
      route?.handle({
        method: 'GET',
        url: '/deliveries/d1',
        parameters: { id: 'd1' },
        headers: { accept },
        query: new URLSearchParams(),
        body: new Uint8Array(0),
        peerCertificateThumbprint: undefined,
        id: 'r1',
        log: new QuietLog(),
      });
    return { ask, change: (view: DeliveryView) => [...listeners].map((listener) => listener(view)), listeners };
  }

  /** What a client that waits is sent. */
  function told(answer: HttpAnswer | undefined) {
    const sent: string[] = [];
    const stop = answer?.events?.({
      send: (event, data) => sent.push(`${event} ${(data as DeliveryView).state}`),
      end: () => sent.push('end'),
    });
    return { sent, stop };
  }

  test.each([[['application/json']], [['*/*']], [[]], [['text/event-streams']]])(
    'answers with the state where %j is wanted',
    async (accept) => {
      expect((await deliveries().ask(accept))?.body).toMatchObject({ delivery: 'd1', state: 'queued' });
    },
  );

  test('with Accept: text/event-stream it tells of each change up to the end', async () => {
    const { ask, change, listeners } = deliveries();
    const { sent, stop } = told(await ask(['text/event-stream, application/json;q=0.9']));
    expect(sent).toEqual(['delivery queued']);
    change({ ...DELIVERY, state: 'delivered' });
    expect(sent).toEqual(['delivery queued', 'delivery delivered', 'end']);
    stop?.();
    expect(listeners.size).toBe(0);
  });

  test('what has ended already is told of once', async () => {
    const { sent } = told(await deliveries('expired').ask(['text/event-stream']));
    expect(sent).toEqual(['delivery expired', 'end']);
  });
});

describe('GET /jwks', () => {
  const ask = async (query: string) => {
    const northbound: Northbound = {
      deliver: () => Promise.reject(new Error('not asked')),
      delivery: () => DELIVERY,
      watchDelivery: () => () => undefined,
      proxy: () => Promise.reject(new Error('not asked')),
      dpopNonce: () => 'fresh',
      publicKeys: (issuer) => ({ issuer: issuer ?? 'none' }),
    };
    const route = northboundRoutes({ northbound, origins: () => [] }).find(({ path }) => path === '/jwks');
    const answer = await route?.handle({
      method: 'GET',
      url: `/jwks?${query}`,
      parameters: {},
      headers: {},
      query: new URLSearchParams(query),
      body: new Uint8Array(0),
      peerCertificateThumbprint: undefined,
      id: 'r1',
      log: new QuietLog(),
    });
    return answer?.body;
  };

  test('asks for the key of the issuer that it names, or of none', async () => {
    expect(await ask('issuer=https%3A%2F%2Fas.example%2Frealms%2Fward')).toEqual({
      issuer: 'https://as.example/realms/ward',
    });
    expect(await ask('')).toEqual({ issuer: 'none' });
  });

  test('refuses to choose among several', async () => {
    await expect(ask('issuer=a&issuer=b')).rejects.toMatchObject({ code: 'request_invalid' });
  });
});

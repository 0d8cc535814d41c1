/** The hub's HTTP front for clients. Parses and prints; every decision is behind the Northbound port. */
import { LatchkeyError } from '../../src/core/errors.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { Secret } from '../../src/core/secret.ts';
import type { DeliveryView, Northbound, PresentedToken } from '../../src/ports/northbound.ts';
import { coapRequestOf, httpAnswerOf } from './coap-mapping.ts';
import type { EventSource } from './event-streams.ts';
import type { HttpAnswer } from './http-answer.ts';
import { type ProblemContext, problemAnswer } from './problem.ts';
import type { HttpRequest, Route } from './server.ts';

export interface NorthboundRoutes {
  readonly northbound: Northbound;
  /** Origins under which clients know this hub, such as `https://hub.example`: what `htu` may start with. */
  readonly origins: () => readonly string[];
}

export function northboundRoutes({ northbound, origins }: NorthboundRoutes): readonly Route[] {
  const deliver = async (request: HttpRequest): Promise<HttpAnswer> => {
    const view = await northbound.deliver(parameter(request, 'id'), presentedToken(request, origins()), request);
    return deliveryAnswer(view, { root: rootOf(origins()), nonce: northbound.dpopNonce(), request });
  };
  const proxy = async (request: HttpRequest): Promise<HttpAnswer> => {
    const answer = await northbound.proxy(
      coapRequestOf(request, parameter(request, 'id'), parameter(request, '*')),
      request,
    );
    return httpAnswerOf(answer, request);
  };
  const onRefusal = () => ({ 'dpop-nonce': northbound.dpopNonce() });
  return [
    { method: 'POST', path: '/devices/:id/authz-info', onRefusal, handle: deliver },
    {
      method: 'GET',
      path: '/deliveries/:id',
      handle: async (request) => {
        const view = northbound.delivery(parameter(request, 'id'));
        if (!wantsEvents(request)) return { status: 200, body: view };
        return { status: 200, events: eventsOf(view, northbound), about: view.delivery };
      },
    },
    {
      method: 'GET',
      path: '/jwks',
      handle: async ({ query }) => ({ status: 200, body: northbound.publicKeys(issuerNamed(query)) }),
    },
    ...(['POST', 'PUT', 'DELETE'] as const).map((method) => ({
      method,
      path: '/devices/:id/coap/*',
      bodyBytes: LIMITS.proxyBodyBytes,
      onRefusal,
      handle: proxy,
    })),
  ];
}

/** 201 with the receipt, 202 while the device is away, or the reason why it will not have the token. */
function deliveryAnswer(
  view: DeliveryView,
  { nonce, request, root }: { readonly root: string; readonly nonce: string; readonly request: ProblemContext },
): HttpAnswer {
  const headers = { location: `${root}/deliveries/${view.delivery}`, 'dpop-nonce': nonce };
  switch (view.state) {
    case 'delivered':
      return { status: 201, headers, body: view };
    case 'queued':
      return { status: 202, headers, body: view };
    case 'refused':
      return problemAnswer(new LatchkeyError('device_refused_token'), request, {
        headers,
        deviceCode: view.device_code,
        hints: view.creation_hints,
      });
    case 'expired':
      return problemAnswer(new LatchkeyError('delivery_expired'), request, { headers });
    case 'cancelled':
      return problemAnswer(new LatchkeyError('delivery_cancelled'), request, { headers });
  }
}

/** The path that `http.public_url` has, without a slash at its end: a proxy takes it off before requests come here. */
function rootOf([first]: readonly string[]): string {
  return first === undefined ? '' : new URL(first).pathname.replace(/\/$/, '');
}

function issuerNamed(query: URLSearchParams): string | undefined {
  const [issuer, ...others] = query.getAll('issuer');
  if (others.length > 0) throw new LatchkeyError('request_invalid', 'several issuers');
  return issuer;
}

function wantsEvents({ headers }: HttpRequest): boolean {
  return (headers.accept ?? []).some((value) => /(?:^|,)\s*text\/event-stream\s*(?:[;,]|$)/i.test(value));
}

/** The delivery as it stands, and then each change, up to its end. */
function eventsOf(view: DeliveryView, northbound: Northbound): EventSource {
  return (sink) => {
    const tell = (current: DeliveryView) => {
      sink.send('delivery', current);
      if (current.state !== 'queued') sink.end();
    };
    const stop = northbound.watchDelivery(view.delivery, tell);
    tell(view);
    return stop;
  };
}

function parameter(request: HttpRequest, name: string): string {
  const value = request.parameters[name];
  if (value === undefined) throw new LatchkeyError('not_found');
  return value;
}

/** Token and proof from the headers (RFC 6750 §2.1, RFC 9449 §4.3 and §7.1). */
export function presentedToken(request: HttpRequest, origins: readonly string[]): PresentedToken {
  const [authorization, ...others] = request.headers.authorization ?? [];
  if (authorization === undefined) throw new LatchkeyError('token_missing');
  if (others.length > 0) throw new LatchkeyError('request_invalid', 'several Authorization headers');
  const match = /^(DPoP|Bearer) +([A-Za-z0-9._~+/=-]+)$/i.exec(authorization);
  const [, scheme, token] = match ?? [];
  if (scheme === undefined || token === undefined)
    throw new LatchkeyError('request_invalid', 'Authorization: DPoP or Bearer, and a token');
  const [proof, ...otherProofs] = request.headers.dpop ?? [];
  if (otherProofs.length > 0) throw new LatchkeyError('proof_malformed', 'several DPoP headers');
  return {
    scheme: scheme.toLowerCase() === 'dpop' ? 'DPoP' : 'Bearer',
    token: new Secret(token),
    proof: proof === undefined ? undefined : new Secret(proof),
    method: request.method,
    uris: origins.map((origin) => origin + request.url),
  };
}

/** The HTTP front for connected devices: an introspection endpoint (RFC 7662). Every decision is behind the Relay port. */

import { readForm } from '../../src/codec/form.ts';
import { introspectionCbor, introspectionJson } from '../../src/codec/introspection-answer.ts';
import { readIntrospectionForm } from '../../src/codec/introspection-message.ts';
import { isCoded, LatchkeyError } from '../../src/core/errors.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { Secret } from '../../src/core/secret.ts';
import type { DeviceAuthentication, DeviceCredential } from '../../src/ports/device-authentication.ts';
import type { Relay } from '../../src/ports/relay.ts';
import { basicCredentials } from './basic-credentials.ts';
import type { HttpAnswer } from './http-answer.ts';
import { preferredType } from './media-types.ts';
import type { HttpRequest, Route } from './server.ts';

export interface IntrospectRoutes {
  readonly relay: Relay;
  readonly devices: DeviceAuthentication;
}

const FORM = /^application\/x-www-form-urlencoded *(; *charset *= *"?utf-8"? *)?$/i;
const JSON_TYPE = 'application/json';
const CBOR_TYPE = 'application/ace+cbor';

export function introspectRoutes({ relay, devices }: IntrospectRoutes): readonly Route[] {
  const handle = async (request: HttpRequest): Promise<HttpAnswer> => {
    const device = devices.authenticate(credentialOf(request));
    requireForm(request);
    const type = preferredType(request.headers.accept, [JSON_TYPE, CBOR_TYPE]);
    if (type === undefined) throw new LatchkeyError('media_type_not_offered');
    const question = readIntrospectionForm(request.body);
    const answer = await relay.relay({ device, ...question }, request);
    const options = { withProof: question.proof !== undefined };
    return {
      status: 200,
      headers: { 'content-type': type, vary: 'accept' },
      body: type === CBOR_TYPE ? introspectionCbor(answer, options) : introspectionJson(answer, options),
    };
  };
  return [{ method: 'POST', path: '/introspect', bodyBytes: LIMITS.introspectionRequestBytes, handle }];
}

/** A secret that was sent counts before a certificate: who names itself wrongly is not saved by the other. */
function credentialOf(request: HttpRequest): DeviceCredential {
  const { headers, peerCertificateThumbprint } = request;
  const [authorization, ...others] = headers.authorization ?? [];
  if (others.length > 0) throw new LatchkeyError('device_unauthenticated', 'several Authorization headers');
  if (authorization !== undefined) return { kind: 'secret', ...basicCredentials(authorization) };
  const posted = postedSecret(request);
  if (posted !== undefined) return posted;
  if (peerCertificateThumbprint === undefined) throw new LatchkeyError('device_unauthenticated', 'no credential');
  return { kind: 'certificate', thumbprint: peerCertificateThumbprint };
}

/** `client_secret_post` (RFC 6749 §2.3.1). A `client_id` alone goes with a certificate (RFC 8705 §2). */
function postedSecret(request: HttpRequest): DeviceCredential | undefined {
  if (!hasForm(request)) return undefined;
  let form: ReadonlyMap<string, string>;
  try {
    form = readForm(request.body, LIMITS.introspectionParameters);
  } catch (error) {
    // A form that cannot be read has no secret in it. What is wrong with it is for authenticated devices to learn.
    if (isCoded(error, 'request_invalid')) return undefined;
    throw error;
  }
  const secret = form.get('client_secret');
  if (secret === undefined) return undefined;
  return { kind: 'secret', device: form.get('client_id') ?? '', secret: new Secret(secret) };
}

function hasForm({ headers }: HttpRequest): boolean {
  const [type, ...others] = headers['content-type'] ?? [];
  return type !== undefined && others.length === 0 && FORM.test(type);
}

function requireForm(request: HttpRequest): void {
  if (!hasForm(request)) throw new LatchkeyError('media_type_refused');
}

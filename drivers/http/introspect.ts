/** The HTTP front for connected devices: an introspection endpoint (RFC 7662). Every decision is behind the Relay port. */
import { introspectionCbor, introspectionJson } from '../../src/codec/introspection-answer.ts';
import { readIntrospectionForm } from '../../src/codec/introspection-message.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import { LIMITS } from '../../src/core/limits.ts';
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
function credentialOf({ headers, peerCertificateThumbprint }: HttpRequest): DeviceCredential {
  const [authorization, ...others] = headers.authorization ?? [];
  if (others.length > 0) throw new LatchkeyError('device_unauthenticated', 'several Authorization headers');
  if (authorization !== undefined) return { kind: 'secret', ...basicCredentials(authorization) };
  if (peerCertificateThumbprint === undefined) throw new LatchkeyError('device_unauthenticated', 'no credential');
  return { kind: 'certificate', thumbprint: peerCertificateThumbprint };
}

function requireForm({ headers }: HttpRequest): void {
  const [type, ...others] = headers['content-type'] ?? [];
  if (type === undefined || others.length > 0 || !FORM.test(type)) throw new LatchkeyError('media_type_refused');
}

/**
 * `latchkey/client`: obtain a token, have the hub deliver it, prove possession of its key to the device, and talk to it.
 *
 *     const server = await AuthorizationServer.discover({ issuer, clientId, authentication });
 *     const token = await server.clientCredentials({ scope: 'read', resource: audience, key: await DpopKey.generate() });
 *     const hub = new HubClient({ url: 'https://hub.example' });
 *     const delivery = await hub.deliver({ device: 'tube-1', audience, token });
 *     if (delivery.state === 'delivered')
 *       const answer = await hub.session(delivery, token).request({ method: 'FETCH', path: ['temperature'] });
 *
 * A connected device is shown the token without a hub between:
 *
 *     const session = await new ConnectedDevice({ url, audience }).open('readings', token);
 *     const answer = await session.exchange(message);
 */
export { CONTENT_FORMAT } from '../codec/iana.ts';
export { SessionChannel, type SessionRole } from '../codec/session-message.ts';
export type { ErrorCode } from '../core/error-catalogue.ts';
export { LatchkeyError } from '../core/errors.ts';
export { Secret } from '../core/secret.ts';
export {
  type AccessToken,
  type BearerToken,
  bearerToken,
  type DpopToken,
  dpopToken,
  type RefreshToken,
} from './access-token.ts';
export {
  AuthorizationServer,
  type AuthorizationServerOptions,
  type PendingAuthorization,
} from './authorization-server.ts';
export type { ClientAuthentication, PrivateKeyAuthentication } from './client-authentication.ts';
export { ConnectedDevice, type ConnectedDeviceOptions, type ConnectedSession } from './connected-device.ts';
export { makeCoseProof } from './cose-proof.ts';
export type { NamedAudience } from './delivery-check.ts';
export type { PendingDeviceAuthorization } from './device-authorization.ts';
export { type DeviceAnswer, type DeviceMethod, type DeviceRequest, DeviceSession } from './device-session.ts';
export { type DpopAlgorithm, DpopKey } from './dpop-key.ts';
export { type ClientEnvironment, type ConnectionOptions, systemEnvironment } from './environment.ts';
export { type CreationHints, type Delivery, HubRefusal } from './hub-answer.ts';
export { type DeliverOptions, HubClient, type HubClientOptions } from './hub-client.ts';
export { isCoded } from './is-coded.ts';
export { ServerRefusal } from './server-refusal.ts';
export { deriveSessionKey, openSessionKey, type SessionContext } from './session-key.ts';
export { TokenKeeper, type TokenKeeperOptions } from './token-keeper.ts';
export type { TokenRequest } from './token-request.ts';

/** Tokens that their issuer bound to no key, and that the hub binds to the key of the client that presents them first. */
import type { VerifiedToken } from '../core/verified-token.ts';
import type { Device } from '../devices/device.ts';
import type { BindingRequest } from '../pop/token-bindings.ts';

/**
 * Whether a token is to be bound so. What the device was registered with goes before what its issuer has. A connected device that
 * takes bearer tokens takes them without a key.
 */
export function bindsToPresenter({ profile }: Device, token: Pick<VerifiedToken, 'bind' | 'confirmation'>): boolean {
  if (token.confirmation !== undefined || profile.bearer) return false;
  return (profile.bind === 'issuer' ? token.bind : profile.bind) === 'first-presenter';
}

/** @param thumbprint of the key that the presenter proved (RFC 7638) */
export function bindingOf(token: VerifiedToken, thumbprint: string): BindingRequest {
  const { clientId, expiresAt, identity, issuedAt, issuer, leeway, subject } = token;
  return { identity, thumbprint, issuer, clientId, subject, issuedAt, leeway, expiresAt };
}

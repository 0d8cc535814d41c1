/** Checks of what the caller handed in. Types do not hold in JavaScript, nor for what came out of a file. */
import { LatchkeyError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';

/** @param detail the argument, and what is wrong with it; never its value, which may be a secret */
export function argumentError(detail: string): LatchkeyError {
  return new LatchkeyError('client_argument_invalid', detail);
}

/** @throws {LatchkeyError} `client_argument_invalid` */
export function demandObject(name: string, value: unknown): void {
  if (typeof value !== 'object' || value === null) throw argumentError(`${name}: not an object`);
}

/** @throws {LatchkeyError} `client_argument_invalid` */
export function demandText(name: string, value: unknown): void {
  if (typeof value !== 'string') throw argumentError(`${name}: ${value === undefined ? 'missing' : 'not text'}`);
  if (value === '') throw argumentError(`${name}: empty`);
}

/** @throws {LatchkeyError} `client_argument_invalid` */
export function demandBytes(name: string, value: unknown): void {
  if (value instanceof Uint8Array) return;
  throw argumentError(`${name}: not a Uint8Array${typeof value === 'string' ? '; encode text first' : ''}`);
}

/** @throws {LatchkeyError} `client_argument_invalid` */
export function demandSecret(name: string, value: unknown): void {
  if (typeof value === 'string') throw argumentError(`${name}: text; hand it in as new Secret(text)`);
  if (!(value instanceof Secret)) throw argumentError(`${name}: ${value === undefined ? 'missing' : 'not a Secret'}`);
  if (typeof value.expose() !== 'string') throw argumentError(`${name}: a Secret that holds no text`);
  if (value.expose() === '') throw argumentError(`${name}: an empty Secret`);
}

/** @throws {LatchkeyError} `client_argument_invalid` */
export function demandToken(name: string, value: unknown): void {
  if (typeof value === 'string') throw argumentError(`${name}: text; use dpopToken(text, key) or bearerToken(text)`);
  demandObject(name, value);
  const { scheme, value: secret } = value as { readonly scheme?: unknown; readonly value?: unknown };
  if (scheme !== 'DPoP' && scheme !== 'Bearer') throw argumentError(`${name}: not an access token of this library`);
  demandSecret(`${name}.value`, secret);
}

/**
 * The address of a server. Tokens and secrets go there, so http is accepted on loopback only.
 * @throws {LatchkeyError} `client_argument_invalid`; `client_address_insecure`
 */
export function serverAddress(name: string, value: unknown, options: { readonly allowHttp?: boolean } = {}): URL {
  demandText(name, value);
  if (!URL.canParse(String(value))) throw argumentError(`${name}: not an address such as https://server.example`);
  const url = new URL(String(value));
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw argumentError(`${name}: neither https nor http`);
  if (url.username !== '' || url.password !== '') throw argumentError(`${name}: it holds a user name or password`);
  if (url.search !== '' || url.hash !== '') throw argumentError(`${name}: it has a query or a fragment`);
  if (!isSafeAddress(url) && options.allowHttp !== true)
    throw new LatchkeyError('client_address_insecure', `${name}: ${url.origin}`);
  return url;
}

/** Whether what is sent there stays unread on the way: https, or this very machine. */
export function isSafeAddress(url: URL): boolean {
  return url.protocol === 'https:' || isLoopback(url);
}

/** http on loopback. */
export function isLoopback({ protocol, hostname }: URL): boolean {
  return protocol === 'http:' && /^(127(\.\d{1,3}){3}|\[::1\]|localhost)$/.test(hostname);
}

/** The address as text without slashes at its end, for paths to be appended. */
export function withoutSlash(url: URL): string {
  return url.href.replace(/\/+$/, '');
}

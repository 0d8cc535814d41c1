/**
 * What a connected device shows to the hub, and what protects their words where the medium does not: all of it derived
 * from the device's root key, but for a certificate of the device's own, of which the registry holds the thumbprint.
 */
import type { CoseKey } from '../codec/cose/key.ts';
import { writeCredentialsFile } from '../codec/credentials-file.ts';
import { equal, hex, sha256 } from '../core/bytes.ts';
import type { WrapAlgorithm } from '../core/device-profile.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { Secret } from '../core/secret.ts';
import type { DeviceAuthentication, DeviceCredential } from '../ports/device-authentication.ts';
import type { Device } from './device.ts';
import { derivedKey } from './device-trust.ts';
import type { Registry } from './registry.ts';

const REQUEST_ALGORITHM: WrapAlgorithm = 'HMAC 256/64';
const ANSWER_ALGORITHM: WrapAlgorithm = 'AES-CCM-16-64-128';
/** The secret itself is text to whoever uses it; 256 bits of a key are what it is made from. */
const SECRET_ALGORITHM: WrapAlgorithm = 'HMAC 256/256';

/** What an unknown device is compared with: no text has this hash. */
const NOBODY = new Uint8Array(32);

/** The key of the MAC over the device's introspection requests. */
export function introspectKey(device: Device): CoseKey {
  return derivedKey(device, 'introspect', REQUEST_ALGORITHM).key;
}

/** The key that answers and session keys are sealed with for the device. */
export function sessionKey(device: Device): CoseKey {
  return derivedKey(device, 'session', ANSWER_ALGORITHM).key;
}

/** Password of the device for HTTP Basic: 43 characters of base64url. */
export function httpSecret(device: Device): Secret<string> {
  return new Secret(secretText(derivedKey(device, 'http-secret', SECRET_ALGORITHM).jwk));
}

/** What a connected device needs, as the text of a file. Holds its secret keys: mode 0600, and the way to the device only. */
export function credentialsFileOf(device: Device): string {
  return writeCredentialsFile({
    device: device.id,
    audience: device.audience,
    httpSecret: httpSecret(device),
    introspectKey: derivedKey(device, 'introspect', REQUEST_ALGORITHM).jwk,
    sessionKey: derivedKey(device, 'session', ANSWER_ALGORITHM).jwk,
  });
}

/** The device that a credential belongs to, by the registry. */
export class DeviceCredentials implements DeviceAuthentication {
  readonly #registry: Registry;
  readonly #digests = new WeakMap<Device, Uint8Array>();

  constructor(dependencies: { readonly registry: Registry }) {
    this.#registry = dependencies.registry;
  }

  authenticate(credential: DeviceCredential): string {
    const device =
      credential.kind === 'secret'
        ? this.#bySecret(credential.device, credential.secret)
        : this.#registry.byCertificate(credential.thumbprint);
    if (device === undefined) throw new LatchkeyError('device_unauthenticated', this.#whyNot(credential));
    return device.id;
  }

  isRegistered(id: string): boolean {
    return this.#registry.find(id) !== undefined;
  }

  /** Hashes are compared, so neither the secret's length nor its first difference shows in the time that it takes. */
  #bySecret(id: string, secret: Secret<string>): Device | undefined {
    const given = sha256(secret.expose());
    const device = this.#registry.find(id);
    const expected = device === undefined ? NOBODY : this.#digestOf(device);
    return equal(given, expected) ? device : undefined;
  }

  /** For the log of the hub: whoever asked learns the same in every case. */
  #whyNot(credential: DeviceCredential): string {
    if (credential.kind === 'certificate')
      return `the certificate ${hex(credential.thumbprint.subarray(0, 8))} is not registered`;
    const device = this.#registry.find(credential.device);
    return device === undefined ? 'no such device is registered' : `wrong secret of ${device.id}`;
  }

  #digestOf(device: Device): Uint8Array {
    const digest = this.#digests.get(device) ?? sha256(httpSecret(device).expose());
    this.#digests.set(device, digest);
    return digest;
  }
}

function secretText(jwk: Secret<JsonObject>): string {
  return String(jwk.expose().k);
}

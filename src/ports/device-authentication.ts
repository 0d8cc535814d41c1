/** How a front learns which device it is that asks, where the medium brings a credential. */
import type { Secret } from '../core/secret.ts';

export type DeviceCredential =
  | {
      readonly kind: 'secret';
      readonly device: string;
      /** The device's HTTP secret: 256 bits in base64url. */
      readonly secret: Secret<string>;
    }
  | {
      readonly kind: 'certificate';
      /** SHA-256 over the DER of the certificate that the device showed in its TLS handshake. 32 bytes. */
      readonly thumbprint: Uint8Array;
    };

export interface DeviceAuthentication {
  /**
   * The id of the device that this credential belongs to.
   * @throws {LatchkeyError} `device_unauthenticated`, the same whatever is wrong
   */
  authenticate(credential: DeviceCredential): string;
  /** Whether a device has this id. What else peers claim to be is for no log. */
  isRegistered(id: string): boolean;
}

/** Devices whose credentials do not count any more: what was opened with them has to end. */
export interface Revocations {
  /** Hears of each device that is removed, unpaired or has another key, right after. The answer ends that. */
  watch(listener: (device: string) => void): () => void;
}

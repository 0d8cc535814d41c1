/** What an operator can do, over the admin socket or, with no hub running, on the state folder itself. */
import type { JsonObject } from '../core/json.ts';

export interface NewDevice {
  readonly id: string;
  readonly audience: string;
  /** Undefined for a connected device, which is on no line and asks the hub itself. */
  readonly line?: string;
  /** Members of DeviceProfile to set; what is left out takes its default. */
  readonly profile: JsonObject;
  /** Issuers whose tokens are taken for this device; undefined for every configured one. */
  readonly issuers?: readonly string[];
  /** Certificate that the device shows in TLS: PEM, or DER in base64. */
  readonly certificate?: string;
}

/** A registered device. Holds no key. */
export interface DeviceView {
  readonly id: string;
  readonly audience: string;
  readonly line?: string;
  readonly profile: JsonObject;
  readonly issuers: readonly string[] | 'any';
  /** SHA-256 thumbprint of its certificate, base64url. */
  readonly certificate?: string;
  readonly trust_version: number;
  /** NumericDate. */
  readonly added_at: number;
  readonly waiting: number;
}

/** `trust` is the text of the trust file: it holds the device's keys, so it goes to a file of mode 0600 and nowhere else. */
export interface AddedDevice {
  readonly device: DeviceView;
  readonly trust: string;
}

/** What is wrong, with the catalogue's code and fix; empty means healthy. */
export interface HealthCondition {
  readonly code: string;
  readonly subject: string;
  readonly title: string;
  readonly fix: string;
}

export interface HubStatus {
  readonly version: string;
  /** Seconds since start. */
  readonly uptime: number;
  readonly clock: { readonly certainty: 'sure' | 'unsure'; readonly floor: number };
  readonly issuers: readonly JsonObject[];
  readonly lines: readonly {
    readonly name: string;
    readonly up: boolean;
    readonly counters: Readonly<Record<string, number>>;
  }[];
  readonly devices: number;
  readonly deliveries: Readonly<Record<string, number>>;
  readonly conditions: readonly HealthCondition[];
}

export interface Admin {
  status(): Promise<HubStatus>;
  listDevices(): Promise<readonly DeviceView[]>;
  showDevice(id: string): Promise<DeviceView>;
  addDevice(device: NewDevice): Promise<AddedDevice>;
  /** What a connected device needs to ask the hub, as the text of a file: it holds secret keys. */
  deviceCredentials(id: string): Promise<string>;
  removeDevice(id: string): Promise<void>;
}

/** What an operator can do, over the admin socket or, with no hub running, on the state folder itself. */
import type { JsonObject } from '../core/json.ts';

export interface NewDevice {
  readonly id: string;
  readonly audience: string;
  readonly line: string;
  /** Members of DeviceProfile to set; what is left out takes its default. */
  readonly profile: JsonObject;
  /** Issuers whose tokens are taken for this device; left out, the only configured one. `any` opens it to all, now and later. */
  readonly issuers?: readonly string[] | 'any';
}

/** A registered device. Holds no key. */
export interface DeviceView {
  readonly id: string;
  readonly audience: string;
  readonly line: string;
  readonly profile: JsonObject;
  readonly issuers: readonly string[] | 'any';
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

export interface IssuerView {
  readonly issuer: string;
  /** Where its keys come from: the address that is asked, or a file. */
  readonly address: string;
  readonly keys: readonly { readonly keyId?: string | undefined; readonly algorithms: readonly string[] }[];
  /** Keys that it published and that are not used, and why. */
  readonly skipped: readonly { readonly keyId?: string | undefined; readonly reason: string }[];
  /** Seconds since it confirmed its keys; undefined while none are held. */
  readonly age?: number | undefined;
  /** Seconds that the keys serve while it cannot be reached. */
  readonly offlineLimit: number;
  /** Code of why it could not be reached; undefined after a good answer. */
  readonly lastError?: string | undefined;
  /** Seconds until it is asked again; undefined for a file. */
  readonly nextRefresh?: number | undefined;
}

export interface LineView {
  readonly name: string;
  readonly path: string;
  readonly up: boolean;
  /** Code and words of why it is not open, or was lost. */
  readonly lastError?: string | undefined;
  readonly lastErrorDetail?: string | undefined;
  readonly counters: Readonly<Record<string, number>>;
}

export interface HubStatus {
  readonly version: string;
  /** Seconds since start. */
  readonly uptime: number;
  readonly clock: { readonly certainty: 'sure' | 'unsure'; readonly floor: number };
  readonly issuers: readonly IssuerView[];
  readonly lines: readonly LineView[];
  readonly devices: number;
  readonly deliveries: Readonly<Record<string, number>>;
  readonly conditions: readonly HealthCondition[];
}

export interface Admin {
  status(): Promise<HubStatus>;
  listDevices(): Promise<readonly DeviceView[]>;
  showDevice(id: string): Promise<DeviceView>;
  addDevice(device: NewDevice): Promise<AddedDevice>;
  removeDevice(id: string): Promise<void>;
}

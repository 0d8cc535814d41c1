/** What an operator can do, over the admin socket or, with no hub running, on the state folder itself. */
import type { JsonObject } from '../core/json.ts';
import type { AuditRecord } from './audit.ts';

export interface NewDevice {
  readonly id: string;
  readonly audience: string;
  /** Undefined for a connected device, which is on no line and asks the hub itself. */
  readonly line?: string;
  /** Members of DeviceProfile to set; what is left out takes its default. */
  readonly profile: JsonObject;
  /** Issuers whose tokens are taken for this device; left out, the only configured one. `any` opens it to all, now and later. */
  readonly issuers?: readonly string[] | 'any';
  /** Certificate that the device shows in TLS: PEM, or DER in base64. */
  readonly certificate?: string;
}

/** A registered device. Holds no key. */
export interface DeviceView {
  readonly id: string;
  readonly audience: string;
  readonly line?: string | undefined;
  readonly profile: JsonObject;
  readonly issuers: readonly string[] | 'any';
  /** SHA-256 thumbprint of its certificate, base64url. */
  readonly certificate?: string | undefined;
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
  /** Undefined where the hub does not ask it about tokens. */
  readonly introspection?: IntrospectionView | undefined;
}

export interface IntrospectionView {
  /** `suspended`: nothing is asked for now. `probing`: the next question decides. */
  readonly state: 'ready' | 'suspended' | 'probing';
  /** Failures in a row. */
  readonly failures: number;
  readonly lastError?: string | undefined;
  /** `unknown`: its metadata was not read yet. `none`: it offers none for the hub's way of authentication. */
  readonly endpoint: 'known' | 'unknown' | 'none';
  /** Seconds until it is asked again, while suspended. */
  readonly retryIn?: number | undefined;
  /** Verdicts in memory. */
  readonly verdicts: number;
  /** Questions under way. */
  readonly asking: number;
}

/** The MQTT broker by which connected devices ask. */
export interface BrokerView {
  readonly up: boolean;
  readonly lastError?: string | undefined;
  readonly lastErrorDetail?: string | undefined;
  readonly counters: Readonly<Record<string, number>>;
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
  /** Undefined where no broker is configured. */
  readonly broker?: BrokerView | undefined;
  readonly devices: number;
  readonly deliveries: Readonly<Record<string, number>>;
  /** `head` is worth noting elsewhere: `latchkey audit verify --head`. `lost` entries are not in the audit. */
  readonly audit: { readonly records: number; readonly head: string; readonly lost: number };
  readonly conditions: readonly HealthCondition[];
}

export interface AuditQuery {
  /** Records past this number, the oldest first; without it the newest ones that match. */
  readonly after?: number | undefined;
  /** Records at most. */
  readonly limit: number;
  readonly device?: string | undefined;
  /** NumericDate. */
  readonly since?: number | undefined;
  /** Needs the issuer too: the hub knows subjects by a keyed hash of both. */
  readonly subject?: { readonly issuer: string; readonly subject: string } | undefined;
  /** Whether the signed answers that records name are to come along, as far as they are kept. */
  readonly evidence?: boolean | undefined;
}

/** Heads are `<sequence>:<hash>`, the hash in base64url. */
export interface AuditPage {
  /** In their order, each with its own hash (base64url). */
  readonly records: readonly (AuditRecord & { readonly hash: string })[];
  /** Number of the last record that was looked at. */
  readonly through: number;
  /** Head of what was dropped: the oldest record that is kept follows on it. */
  readonly dropped: string;
  readonly head: string;
  /** Pages of the store that cannot be read; verifying says which. */
  readonly unreadable: number;
  /** Signed introspection answers under their SHA-256. */
  readonly evidence: Readonly<Record<string, string>>;
}

export interface AuditFault {
  readonly sequence: number;
  /**
   * `missing`: not there. `altered`: does not follow on the record before it. `out_of_order`: stands where it does not
   * belong. `unreadable`: is no record. `pin_differs`, `pin_missing`: not what was noted elsewhere; `pin_dropped`: what
   * was noted is too old to be held against anything. `evidence_altered`: the signed answer kept beside the record is not
   * the one that it names.
   */
  readonly fault:
    | 'missing'
    | 'altered'
    | 'out_of_order'
    | 'unreadable'
    | 'pin_differs'
    | 'pin_missing'
    | 'pin_dropped'
    | 'evidence_altered';
  /** Last one of a row. */
  readonly through?: number | undefined;
}

export interface AuditVerification {
  readonly records: number;
  readonly dropped: string;
  readonly head: string;
  /** In their order, the first 32; none means that the chain holds. */
  readonly faults: readonly AuditFault[];
}

export interface Admin {
  status(): Promise<HubStatus>;
  listDevices(): Promise<readonly DeviceView[]>;
  showDevice(id: string): Promise<DeviceView>;
  addDevice(device: NewDevice): Promise<AddedDevice>;
  /** What a connected device needs to ask the hub, as the text of a file: it holds secret keys. */
  deviceCredentials(id: string): Promise<string>;
  removeDevice(id: string): Promise<void>;
  audit(query: AuditQuery): Promise<AuditPage>;
  /**
   * Follows the chain through all records that are kept.
   * @param pin a head that was noted elsewhere
   * @throws {LatchkeyError} `audit_head_invalid`
   */
  verifyAudit(pin?: string): Promise<AuditVerification>;
}

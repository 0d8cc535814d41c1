/** What an operator can do, over the admin socket or, with no hub running, on the state folder itself. */
import type { ErrorCode } from '../core/error-catalogue.ts';
import type { JsonObject } from '../core/json.ts';
import type { AuditRecord } from './audit.ts';
import type { DeliveryView } from './northbound.ts';

export interface NewDevice {
  readonly id: string;
  /** Left out, that of the profile that `profileName` names, else `coap://` and the id. */
  readonly audience?: string | undefined;
  /** Of line and `ble` one at most; neither for a connected device, which asks the hub itself. */
  readonly line?: string;
  /** Found by radio, by the name that it advertises: its id, if no other one is given. */
  readonly ble?: { readonly name?: string };
  /** A profile of the configuration: it says what `profile`, `audience` and `issuers` leave out. */
  readonly profileName?: string | undefined;
  /** Members of DeviceProfile to set; what is left out takes its default. */
  readonly profile: JsonObject;
  /** Issuers whose tokens are taken for this device; left out, those of the profile, else the only configured one. `any` opens it to all, now and later. */
  readonly issuers?: readonly string[] | 'any';
  /** Certificate that the device shows in TLS: PEM, or DER in base64. */
  readonly certificate?: string;
}

/** A registered device. Holds no key. */
export interface DeviceView {
  readonly id: string;
  readonly audience: string;
  /** What people call it. */
  readonly name?: string | undefined;
  readonly line?: string | undefined;
  readonly ble?: { readonly name: string } | undefined;
  readonly profile: JsonObject;
  /** The profile of the configuration that it was registered with. */
  readonly profile_name?: string | undefined;
  /** Whether it has something else than what that profile says now, or the configuration has it no more. */
  readonly profile_differs?: boolean | undefined;
  /** Whether it was paired, and not given a trust file; undefined where its record is of an earlier version. */
  readonly paired?: boolean | undefined;
  readonly issuers: readonly string[] | 'any';
  /** SHA-256 thumbprint of its certificate, base64url. */
  readonly certificate?: string | undefined;
  readonly trust_version: number;
  /** NumericDate. */
  readonly added_at: number;
  readonly waiting: number;
  /** Paired, but for the device's word that it uses what it was sent; until then it takes no token. */
  readonly unfinished?: boolean | undefined;
}

/** A profile of the configuration. */
export interface ProfileView {
  readonly name: string;
  /** As of a device. */
  readonly profile: JsonObject;
  /** `{id}` stands for the id of the device. */
  readonly audience: string;
  /** Undefined for the only one that is configured. */
  readonly issuers?: readonly string[] | 'any' | undefined;
  /** Devices that were registered with it. */
  readonly devices: number;
  /** Of them, those that have something else than it says now. */
  readonly differing: number;
}

/** `trust` is the text of the trust file: it holds the device's keys, so it goes to a file of mode 0600 and nowhere else. */
export interface AddedDevice {
  readonly device: DeviceView;
  readonly trust: string;
}

/** What came of unpairing a device: `code` says why the device did not confirm it, where it was forgotten all the same. */
export interface Unpaired {
  readonly code?: string | undefined;
}

/** What a device trusts, and what it waits for. Holds no key. */
export interface TrustView {
  readonly device: string;
  /**
   * `current`: it holds what it should. `waiting`: a bundle is to be brought, or confirmed. `refused`: it answered that it
   * will not have it, or gave no answer that can be used. `by_hand`: it confirms nothing, so changes need a new trust file.
   * `lost`: the hub has no key any more that it trusts, or no version above its own.
   */
  readonly state: 'current' | 'waiting' | 'refused' | 'by_hand' | 'lost';
  /** Version that it holds: provisioned, or confirmed by the device. */
  readonly version: number;
  /** NumericDate. */
  readonly held_since: number;
  /** Version on its way. */
  readonly pending?: number | undefined;
  /** NumericDate. */
  readonly waiting_since?: number | undefined;
  /** What becomes different, in words. */
  readonly changes: readonly string[];
  /** Issuers that it should take tokens of, and has no room for. */
  readonly issuers_left_out?: readonly string[] | undefined;
  /** Why it is `refused` or `lost`. */
  readonly code?: ErrorCode | undefined;
  /** CoAP code that it answered with. */
  readonly device_code?: string | undefined;
  /** `kid` of the hub key that its tokens are signed with. */
  readonly signed_by?: string | undefined;
}

export interface RotatedHubKey {
  /** The new `kid` for each algorithm. */
  readonly keys: Readonly<Record<string, string>>;
  /** Devices that trust an older key until they get their bundle. */
  readonly waiting: readonly string[];
}

/** The time floor before and after a reset; NumericDate. */
export interface ClockResetView {
  readonly before: number;
  readonly after: number;
  /** What the clock of the machine reads, where that is before this version was built: then the reset did not help. */
  readonly clock?: number | undefined;
}

/** What is wrong, with the catalogue's code and fix; empty means healthy. */
export interface HealthCondition {
  readonly code: string;
  readonly subject: string;
  readonly title: string;
  readonly fix: string;
  /** What the system said, where it said something. */
  readonly detail?: string | undefined;
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
  /** Devices whose own questions are paused, since they failed. */
  readonly slowed: number;
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

/** The radio, and the devices that are found by it. */
export interface RadioView {
  /** As configured. */
  readonly adapter: string;
  /** Its own address, while it is there. */
  readonly address?: string | undefined;
  readonly up: boolean;
  /** Code and words of why it is not there. */
  readonly lastError?: string | undefined;
  readonly lastErrorDetail?: string | undefined;
  /** Links that are open, and how many there may be. */
  readonly links: number;
  readonly room: number;
  readonly counters: Readonly<Record<string, number>>;
  readonly devices: readonly {
    readonly device: string;
    /** What it advertises. */
    readonly name: string;
    /** Heard of late, or connected. */
    readonly up: boolean;
    readonly connected: boolean;
    readonly address?: string | undefined;
    /** dBm, of the last advertisement. */
    readonly rssi?: number | undefined;
    /** Others that advertise the same name. */
    readonly rivals: number;
  }[];
}

export interface HubStatus {
  readonly version: string;
  /** Seconds since start. */
  readonly uptime: number;
  readonly clock: { readonly certainty: 'sure' | 'unsure'; readonly floor: number };
  readonly issuers: readonly IssuerView[];
  readonly lines: readonly LineView[];
  /** Undefined where none is configured. */
  readonly radio?: RadioView | undefined;
  /** Undefined where no broker is configured. */
  readonly broker?: BrokerView | undefined;
  readonly devices: number;
  readonly deliveries: Readonly<Record<string, number>>;
  /** `head` is worth noting elsewhere: `latchkey audit verify --head`. `lost` entries are not in the audit. */
  readonly audit: { readonly records: number; readonly head: string; readonly lost: number };
  readonly conditions: readonly HealthCondition[];
}

export interface DeliveriesQuery {
  readonly device?: string | undefined;
  /** Whether only those that wait are wanted. */
  readonly waiting?: boolean | undefined;
  /** Deliveries at most: the newest ones, or with `after` those that follow. */
  readonly limit: number;
  /** Cursor: `next` of the page before. */
  readonly after?: string | undefined;
}

/** Why what waits is still waiting: how the last attempt at its device went. */
export interface Difficulty {
  /** Code of the catalogue. */
  readonly code: string;
  /** Attempts in a row that failed; 0 where none is made, since its link is down. */
  readonly failures: number;
}

/** `difficulty`: of a delivery that waits, where its device was tried since the hub was started. */
export interface ListedDelivery extends DeliveryView {
  readonly difficulty?: Difficulty | undefined;
}

export interface RetriedDelivery extends ListedDelivery {
  /** Tokens that go to the device before this one. */
  readonly before: number;
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

/** A part of a list: one answer is bounded, whatever the hub has. */
export interface Page<T> {
  readonly items: readonly T[];
  /** Cursor of the next page; undefined behind the last one. */
  readonly next?: string | undefined;
}

export interface PageQuery {
  /** Cursor: `next` of the page before. */
  readonly after?: string | undefined;
}

/** Public keys of an issuer, as the hub holds them. */
export interface IssuerKeysView {
  /** JWKs, none where the hub holds none. */
  readonly keys: readonly JsonObject[];
  /** Seconds since the issuer confirmed them; undefined where none are held. */
  readonly age?: number | undefined;
}

export interface Admin {
  status(): Promise<HubStatus>;
  /** In the order of their ids. */
  listDevices(query: PageQuery): Promise<Page<DeviceView>>;
  /** Of the configuration, in its order. */
  profiles(): Promise<readonly ProfileView[]>;
  /** What tokens of an issuer are verified with, without asking it. */
  issuerKeys(issuer: string): Promise<IssuerKeysView>;
  showDevice(id: string): Promise<DeviceView>;
  addDevice(device: NewDevice): Promise<AddedDevice>;
  /** What a connected device needs to ask the hub, as the text of a file: it holds secret keys. */
  deviceCredentials(id: string): Promise<string>;
  removeDevice(id: string): Promise<void>;
  /** What people call it; its id stays. */
  renameDevice(id: string, name: string): Promise<DeviceView>;
  /** Makes it show which one it is. Needs a hub that runs. */
  identifyDevice(id: string): Promise<void>;
  /** Has it give up what it trusts, and forgets it; with `force` even if it does not answer. */
  unpairDevice(id: string, options: { readonly force: boolean }): Promise<Unpaired>;
  /**
   * Ends a delivery that waits. The device may have the token all the same, where an attempt was under way.
   * @throws {LatchkeyError} `delivery_unknown`; `delivery_ended` where another end came first
   */
  cancelDelivery(id: string): Promise<ListedDelivery>;
  /**
   * Tries the device of a delivery at once. Needs a hub that runs. The answer is how it stands then: a device whose link is
   * down is not tried.
   * @throws {LatchkeyError} as `cancelDelivery`
   */
  retryDelivery(id: string): Promise<RetriedDelivery>;
  /** In the order of their arrival. */
  deliveries(query: DeliveriesQuery): Promise<Page<ListedDelivery>>;
  /** What each device that takes tokens trusts, in the order of their ids. */
  trust(query: PageQuery): Promise<Page<TrustView>>;
  /**
   * New signing keys for the hub; devices get them by bundles.
   * @throws {LatchkeyError} `hub_keys_in_use`
   */
  rotateHubKey(): Promise<RotatedHubKey>;
  /** Forgets what the hub holds for past, but for the date of its software. On record in the audit. */
  resetClock(): Promise<ClockResetView>;
  audit(query: AuditQuery): Promise<AuditPage>;
  /**
   * Follows the chain through all records that are kept.
   * @param pin a head that was noted elsewhere
   * @throws {LatchkeyError} `audit_head_invalid`
   */
  verifyAudit(pin?: string): Promise<AuditVerification>;
  /** The whole state as the text of a backup, a part at a time: it holds all keys in clear. */
  backup(): AsyncIterable<string>;
}

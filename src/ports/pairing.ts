/** Pairing: what the hub looks for, and what an operator does in an open window. */
import type { ErrorCode } from '../core/error-catalogue.ts';
import type { JsonObject } from '../core/json.ts';
import type { Secret } from '../core/secret.ts';
import type { DeviceView, NewDevice } from './admin.ts';
import type { DeviceLink } from './device-link.ts';

/** Something that may be a device that nobody has paired. */
export interface PairCandidate {
  /** What an operator chooses it by: the name of a line, or what it advertises. */
  readonly name: string;
  /** How it will be registered. */
  readonly place: Pick<NewDevice, 'line' | 'ble'>;
  /** dBm of what was last heard of it, by radio. */
  readonly signal?: number | undefined;
  /** Others that advertise the same name: one of them may be an impostor. */
  readonly rivals?: number | undefined;
  readonly link: DeviceLink;
}

/** One medium, as pairing needs it. */
export interface PairTargets {
  /**
   * Looks for candidates until the answer is called.
   * @param name that the device is known to have; others are found too, and never in its place
   */
  watch(name: string | undefined): () => void;
  /** Who is there now: no device that is registered, unless its pairing is unfinished. */
  list(): readonly PairCandidate[];
  /** Why nobody is seen where somebody may be. @param name of the only place that counts, configured or not */
  obstacles(name: string | undefined): readonly PairObstacle[];
}

/** What keeps the hub from seeing a device that nobody has paired. */
export interface PairObstacle {
  /** `line` or `ble` for all of that medium, else with a slash and the name, as the key of a candidate. */
  readonly place: string;
  /** What a link or the radio is down for, `link_unconfigured`, or `pairing_place_taken`. */
  readonly code: ErrorCode;
  readonly detail?: string | undefined;
}

export interface CandidateView {
  /** `line` or `ble`, a slash, and the name: no two candidates have one. */
  readonly key: string;
  readonly name: string;
  readonly medium: 'line' | 'ble';
  /** dBm. */
  readonly signal?: number | undefined;
  /** Others that advertise the same name; left out where there are none. */
  readonly rivals?: number | undefined;
}

/** As in `latchkey status`: what is wrong, and what to do. */
export interface ObstacleView {
  readonly place: string;
  readonly code: string;
  readonly detail?: string | undefined;
  /** Whether it stays until an operator changes the configuration, or lets a device go. */
  readonly lasting: boolean;
  readonly title: string;
  readonly fix: string;
}

export interface PairingView {
  /** Seconds until the window closes. */
  readonly closes_in: number;
  /** Wrong codes that are still taken before it closes. */
  readonly attempts_left: number;
  readonly candidates: readonly CandidateView[];
  readonly obstacles: readonly ObstacleView[];
}

export interface PairRequest extends Omit<NewDevice, 'id' | 'audience' | 'line' | 'ble' | 'certificate'> {
  /** QR text, or as typed. */
  readonly code: Secret<string>;
  /** Key of a candidate; left out, the one that has the id of the code for its name, or the only one. */
  readonly candidate?: string | undefined;
  /** Left out, that of the QR text, or the name by which it was heard. */
  readonly id?: string | undefined;
  /** Left out, that of the profile, else `coap://` and the id. */
  readonly audience?: string | undefined;
  /** What people are to call it. */
  readonly name?: string | undefined;
  /** Left out, and with nothing in `profile` that tokens may permit, that of the QR text. */
  readonly profileName?: string | undefined;
  readonly profile: JsonObject;
}

/** A request, but for what is found out in the window; a profile without scopes is one that is asked for there. */
export type PairDraft = Omit<PairRequest, 'code' | 'candidate'>;

export interface WindowRequest {
  readonly seconds: number;
  /** To look on that one alone. */
  readonly medium?: 'line' | 'ble' | undefined;
  /** Of the line, or what the device advertises: nothing else counts then. Only with a medium. */
  readonly name?: string | undefined;
  /** Checked before the window opens, as far as it goes without the device. */
  readonly device?: PairDraft | undefined;
}

/** `unfinished`: the device has what it needs and did not say that it uses it; the hub asks again whenever it can. */
export interface PairedDevice {
  readonly device: DeviceView;
  readonly state: 'paired' | 'unfinished';
  /** Why it is unfinished. */
  readonly reason?: { readonly code: ErrorCode; readonly detail?: string | undefined } | undefined;
}

export interface Pairing {
  /**
   * Opens a window; the hub has one at a time.
   * @throws {LatchkeyError} `pairing_window_open`; `request_invalid` for a time that is out of range; `link_unconfigured` and
   *   `pairing_place_taken` where nobody can show up as things are; `device_invalid`, `device_exists`, `audience_taken` for
   *   a device that could not be registered
   */
  open(request: WindowRequest): Promise<PairingView>;
  /** @throws {LatchkeyError} `pairing_window_closed` */
  view(): Promise<PairingView>;
  close(): Promise<void>;
  /** Makes a candidate show itself. @throws {LatchkeyError} `pairing_*`, what a link throws, `device_answer_invalid` */
  identify(candidate: string): Promise<void>;
  /**
   * @throws {LatchkeyError} `pairing_*`, `link_*`, `setup_code_*`, `device_invalid`, `device_exists`, `audience_taken`, what a link throws
   */
  pair(request: PairRequest): Promise<PairedDevice>;
}

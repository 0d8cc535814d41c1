/** What the hub keeps, and what an operator does with it: the same with a running hub and without. */
import { systemClock } from '../../drivers/system-clock.ts';
import { monotonic, systemRandom, systemTimers } from '../../drivers/system-time.ts';
import type { Config } from '../config/schema.ts';
import { bestGuess, certainty } from '../core/clock.ts';
import { LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import { RELEASED_AT, VERSION } from '../core/version.ts';
import { DeliveryQueue } from '../devices/delivery-queue.ts';
import type { Device } from '../devices/device.ts';
import { HubKeys } from '../devices/hub-keys.ts';
import type { NamedProfile } from '../devices/named-profile.ts';
import { profileToJson } from '../devices/profile.ts';
import { Registry } from '../devices/registry.ts';
import { TrustRecords } from '../devices/trust-records.ts';
import { AdministerFlow } from '../flows/administer.ts';
import { DeliveryAttempts } from '../flows/attempt-delivery.ts';
import { FinishPairing } from '../flows/finish-pairing.ts';
import { identifyDevice } from '../flows/identify.ts';
import type { NewDeviceSurroundings } from '../flows/new-device.ts';
import type { RefreshTrust } from '../flows/refresh-trust.ts';
import { resetClock } from '../flows/reset-clock.ts';
import { UnpairFlow } from '../flows/unpair.ts';
import { AuditTrail } from '../observe/audit.ts';
import { AuditReader } from '../observe/audit-reader.ts';
import { headText } from '../observe/audit-record.ts';
import { TokenBindings } from '../pop/token-bindings.ts';
import type { Admin, Difficulty, HubStatus, ProfileView } from '../ports/admin.ts';
import type { DeviceLink } from '../ports/device-link.ts';
import type { Log } from '../ports/log.ts';
import type { Store } from '../ports/store.ts';
import { backupLines } from '../store/backup-file.ts';
import { type OpenState, openState } from '../store/open-state.ts';
import { decodeRecord, recordKey } from '../trust/key-record.ts';
import { TimeFloor } from '../trust/time-floor.ts';
import { pairingTimeout, policyOf, profilesOf } from './settings.ts';
import { trustAtRest } from './trust.ts';

export interface OpenStateFolder {
  readonly admin: Admin;
  close(): Promise<void>;
}

/**
 * The state folder without a hub: for `latchkey devices` before the first start.
 * @throws {LatchkeyError} `store_missing` where there is none and `create` is false
 */
export async function openStateFolder(options: {
  readonly config: Config;
  readonly log: Log;
  readonly create: boolean;
}): Promise<OpenStateFolder> {
  const { config, log, create } = options;
  const stores = await openState(config.stateDir, { create, log });
  const state = await loadState(config, stores, log).catch(async (error: unknown) => {
    await stores.close();
    throw error;
  });
  const link = () => {
    throw new LatchkeyError('admin_unreachable', 'devices are reached by a hub that runs');
  };
  const admin = adminOf(config, state, log, {
    status: async () => statusOfState(state),
    issuerKeys: keysAtRest(config, state),
    difficulty: () => undefined,
    cancel: cancelAtRest(state, link, config, log),
    wake: () => {
      throw new LatchkeyError('admin_unreachable', 'devices are reached by a hub that runs');
    },
    link,
    finish: finishPairing(state, link, log),
    trust: trustAtRest(config, state, log),
  });
  return {
    admin,
    async close() {
      await state.audit.close();
      await state.clock.close();
      await stores.close();
    },
  };
}

/** The profiles of a configuration before there is any state. */
export function profilesAtRest(config: Config): readonly ProfileView[] {
  return profilesOf(config).map(({ members: _, profile, ...named }) => ({
    ...named,
    profile: profileToJson(profile),
    devices: 0,
    differing: 0,
  }));
}

export interface State {
  readonly store: Store;
  readonly stores: OpenState;
  readonly clock: TimeFloor;
  readonly hubKeys: HubKeys;
  readonly registry: Registry;
  readonly queue: DeliveryQueue;
  readonly audit: AuditTrail;
  readonly trust: TrustRecords;
  readonly bindings: TokenBindings;
  /** Of the configured lines; a reload changes it. */
  readonly lineNames: string[];
  /** Of the configuration; a reload changes them. */
  readonly profiles: NamedProfile[];
}

export async function loadState(config: Config, stores: OpenState, log: Log): Promise<State> {
  const { store } = stores;
  const clock = await openClock(config, store, log);
  const registry = new Registry({ store, log });
  const { maxOverall, maxPerDevice } = config.delivery;
  const queue = new DeliveryQueue({ store, log, clock, limits: { perDevice: maxPerDevice, overall: maxOverall } });
  const [hubKeys, audit] = await Promise.all([
    HubKeys.load(
      store,
      config.issuers.map(({ issuer }) => issuer),
      new Map(config.issuers.map(({ issuer, encryptionKey }) => [issuer, encryptionKey])),
    ),
    openAudit(config, { store: stores.audit, clock }, log),
    registry.load(),
    queue.load(),
  ]);
  await stores.auditBegan();
  const trust = new TrustRecords({ store, hubKeys, log });
  await trust.load();
  const bindings = await TokenBindings.open({ store, clock, log });
  const lineNames = config.lines.map((line) => line.name);
  const profiles = profilesOf(config);
  return { store, stores, clock, hubKeys, registry, queue, audit, trust, bindings, lineNames, profiles };
}

export function openClock(config: Config, store: Store, log: Log): Promise<TimeFloor> {
  return TimeFloor.open({
    store,
    observe: systemClock(),
    monotonic,
    timers: systemTimers,
    log,
    mode: config.clock.trust,
    initial: RELEASED_AT,
  });
}

export function openAudit(
  { audit }: Config,
  { clock, store }: Pick<State, 'clock' | 'store'>,
  log: Log,
): Promise<AuditTrail> {
  const { flushInterval, maxEvidence, maxRecords, maxSize, retention } = audit;
  const room = Math.min(maxRecords, maxSize / LIMITS.auditRecordBytes);
  const perDevice = Math.max(LIMITS.auditQuotaLeast, Math.floor(room / LIMITS.auditQuotas));
  return AuditTrail.open({
    store,
    clock,
    timers: systemTimers,
    random: systemRandom,
    log,
    settings: { maxRecords, maxBytes: maxSize, maxEvidenceBytes: maxEvidence, retention, flushInterval, perDevice },
  });
}

/** What only a hub that runs can do. */
export interface Running {
  readonly status: () => Promise<HubStatus>;
  readonly issuerKeys: Admin['issuerKeys'];
  readonly difficulty: (device: string) => Difficulty | undefined;
  readonly cancel: DeliveryAttempts['cancel'];
  /** @throws {LatchkeyError} `admin_unreachable` where none runs */
  readonly wake: (device: string) => void;
  /** @throws {LatchkeyError} `link_unconfigured`; `admin_unreachable` where none runs */
  readonly link: (device: Device) => DeviceLink;
  readonly finish: FinishPairing;
  readonly trust: RefreshTrust;
}

export function adminOf(config: Config, state: State, log: Log, running: Running): Admin {
  const { finish, link, status, trust } = running;
  const { audit, registry } = state;
  const flow = administerFlow(config, state, log, running);
  const attemptTimeout = pairingTimeout(config);
  const unpair = new UnpairFlow({
    registry,
    link,
    finish,
    remove: (id, record) => flow.removeDevice(id, record),
    random: systemRandom,
    audit,
    log,
    attemptTimeout,
  });
  const reader = new AuditReader({ store: state.stores.audit, trail: state.audit });
  return {
    status,
    listDevices: async (query) => flow.listDevices(query),
    profiles: async () => flow.profiles(),
    issuerKeys: running.issuerKeys,
    showDevice: async (id) => flow.showDevice(id),
    addDevice: (device) => flow.addDevice(device),
    deviceCredentials: async (id) => flow.deviceCredentials(id),
    removeDevice: (id) => flow.removeDevice(id),
    renameDevice: (id, name) => flow.renameDevice(id, name),
    identifyDevice: async (id) => {
      const device = registry.get(id);
      await identifyDevice(device, { link: link(device), random: systemRandom, deadline: attemptTimeout });
    },
    unpairDevice: (id, options) => unpair.unpair(id, options),
    deliveries: async (query) => flow.deliveries(query),
    cancelDelivery: (id) => flow.cancelDelivery(id),
    retryDelivery: async (id) => flow.retryDelivery(id),
    trust: async (query) => flow.trust(query),
    rotateHubKey: () => trust.rotateHubKey(),
    resetClock: () => resetClock(state, systemRandom),
    audit: (query) => reader.page(query),
    verifyAudit: (pin) => reader.verify(pin),
    backup: () => backupOf(state),
  };
}

/** What the last run of the hub kept. */
function keysAtRest(config: Config, { clock, store }: State): Running['issuerKeys'] {
  return async (issuer) => {
    const settings = config.issuers.find((one) => one.issuer === issuer);
    const bytes = settings === undefined ? undefined : await store.read(recordKey(issuer));
    const record = settings === undefined || bytes === undefined ? undefined : decodeRecord(bytes, policyOf(settings));
    if (record === undefined) return { keys: [] };
    return { keys: record.ring.jwks, age: Math.max(0, clock.certain() - record.confirmedAt) };
  };
}

/** With no hub running nothing is under way: what is left of an attempt is the end of its delivery. */
function cancelAtRest(
  { audit, clock, queue, registry }: State,
  link: Running['link'],
  config: Config,
  log: Log,
): Running['cancel'] {
  const { attemptTimeout } = config.delivery;
  const certain = () => clock.certain();
  const dependencies = { queue, registry, link, certain, random: systemRandom, log, audit, attemptTimeout };
  const attempts = new DeliveryAttempts(dependencies, new AbortController().signal);
  return (id) => attempts.cancel(id);
}

/** With all that was recorded and known until now. */
async function* backupOf({ audit, clock, stores }: State): AsyncGenerator<string> {
  await clock.flush();
  await audit.written();
  yield* backupLines(stores, bestGuess(clock.now()));
}

export function administerFlow(
  config: Config,
  state: State,
  log: Log,
  { cancel, difficulty, trust, wake }: Pick<Running, 'cancel' | 'difficulty' | 'trust' | 'wake'>,
): AdministerFlow {
  const { audit, hubKeys, queue, registry } = state;
  return new AdministerFlow({
    ...newDeviceSurroundings(config, state),
    registry,
    queue,
    hubKeys,
    log,
    audit,
    cancel,
    difficulty,
    trust,
    wake,
  });
}

/** The last step of pairings, which is given again and again. */
export function finishPairing({ audit, registry }: State, link: Running['link'], log: Log): FinishPairing {
  return new FinishPairing({ registry, link, audit, log });
}

/** What a new device is held against. */
export function newDeviceSurroundings(
  config: Config,
  { clock, lineNames, profiles }: Pick<State, 'clock' | 'lineNames' | 'profiles'>,
): NewDeviceSurroundings {
  return {
    clock,
    random: systemRandom,
    lines: lineNames,
    radio: config.ble.adapter !== undefined,
    issuers: config.issuers.map((issuer) => issuer.issuer),
    sharedAudiences: config.issuers.flatMap(({ sharedAudience }) => sharedAudience ?? []),
    profiles,
  };
}

/** What is known without a running hub; of one that runs it is the part that the state has. */
export function statusOfState({ audit, clock, queue, registry }: State): HubStatus {
  const { head, lost, records } = audit.status();
  return {
    version: VERSION,
    uptime: 0,
    clock: { certainty: certainty(clock.now()), floor: Math.floor(clock.status().floor) },
    issuers: [],
    lines: [],
    devices: registry.size,
    deliveries: queue.counts(),
    audit: { records, head: headText(head), lost },
    conditions: [],
  };
}

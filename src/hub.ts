/**
 * The composition root: configuration → store → services → flows → drivers. The only file that knows which class
 * stands behind which interface.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectAuthorizationServer } from '../drivers/as/authorization-server.ts';
import { openAdminSocket } from '../drivers/http/admin.ts';
import { northboundRoutes } from '../drivers/http/northbound.ts';
import { HttpServer } from '../drivers/http/server.ts';
import { openSerialLine, type SerialLine } from '../drivers/serial/serial-line.ts';
import { systemClock } from '../drivers/system-clock.ts';
import { monotonic, systemRandom, systemTimers } from '../drivers/system-time.ts';
import type { Config } from './config/schema.ts';
import { certainty } from './core/clock.ts';
import { LatchkeyError } from './core/errors.ts';
import { isJsonObject, type JsonObject } from './core/json.ts';
import { RELEASED_AT, VERSION } from './core/version.ts';
import { DeliveryQueue } from './devices/delivery-queue.ts';
import type { Device } from './devices/device.ts';
import { wrapKeys } from './devices/device-trust.ts';
import { HubKeys } from './devices/hub-keys.ts';
import { Registry } from './devices/registry.ts';
import { AdministerFlow } from './flows/administer.ts';
import { DeliverFlow, viewDelivery } from './flows/deliver.ts';
import { Dispatcher } from './flows/dispatch.ts';
import { healthOf } from './flows/health.ts';
import { ProxyFlow } from './flows/proxy.ts';
import { AuditTrail } from './observe/audit.ts';
import { AuditReader } from './observe/audit-reader.ts';
import { headText } from './observe/audit-record.ts';
import { judgeDpopProof } from './pop/dpop.ts';
import { DpopNonces } from './pop/dpop-nonces.ts';
import { ProofKeys } from './pop/proof-keys.ts';
import { ReplayWindow } from './pop/replay-window.ts';
import type { Admin, HubStatus } from './ports/admin.ts';
import type { Log } from './ports/log.ts';
import type { Northbound } from './ports/northbound.ts';
import type { Store } from './ports/store.ts';
import { openStore } from './store/open-store.ts';
import { translate } from './token/translate.ts';
import { type IssuerPolicy, issuerPolicy } from './trust/issuer-policy.ts';
import { Issuers } from './trust/issuers.ts';
import { TimeFloor } from './trust/time-floor.ts';
import { verifyJwt } from './trust/verify-jwt.ts';

export interface RunningHub {
  /** Origin of the HTTP API, such as `http://127.0.0.1:8430`. */
  readonly address: string;
  /** Address of the embedded MQTT broker, such as `mqtt://127.0.0.1:1883`; undefined without one. */
  readonly broker: string | undefined;
  readonly adminSocket: string;
  readonly admin: Admin;
  /** Answers what is under way, closes everything, and resolves inside the grace period. */
  stop(): Promise<void>;
}

export interface OpenStateFolder {
  readonly admin: Admin;
  close(): Promise<void>;
}

/** Requests under way get this long to be answered once the hub is told to stop; milliseconds. */
const STOP_GRACE = 3_000;

/** The hub, running. Resolves when it answers; authorization servers and lines are reached in the background. */
export async function startHub({ config, log }: { readonly config: Config; readonly log: Log }): Promise<RunningHub> {
  const store = await openStore(join(config.stateDir, 'db'));
  const state = await loadState(config, store, log);
  const { audit, clock, queue, registry } = state;
  clock.start();
  audit.start();
  const issuers = openIssuers(config, state, log);
  await issuers.start();
  const lines = new Map(config.lines.map((line) => [line.name, openLine(line, clock, log)]));
  const link = (device: Device) => {
    const line = device.line === undefined ? undefined : lines.get(device.line);
    if (line === undefined) throw new LatchkeyError('link_unconfigured', device.line);
    return line;
  };
  const dispatcher = new Dispatcher({
    queue,
    registry,
    link,
    clock,
    timers: systemTimers,
    random: systemRandom,
    log,
    audit,
    attemptTimeout: config.delivery.attemptTimeout,
    longestPause: config.delivery.retryMax,
  });
  for (const line of lines.values()) {
    line.onSighting(() => {
      for (const device of registry.list())
        if (device.line === line.name && queue.waiting(device.id) > 0) dispatcher.wake(device.id);
    });
  }
  const nonces = new DpopNonces({ random: systemRandom });
  const northbound = openNorthbound({ config, state, issuers, dispatcher, link, nonces });
  let origins: readonly string[] = [];
  const server = new HttpServer({
    routes: northboundRoutes({ northbound, origins: () => origins }),
    log,
    random: systemRandom,
    ...tlsOf(config),
    onRefusal: () => ({ 'dpop-nonce': northbound.dpopNonce() }),
  });
  const port = await listen(server, config);
  origins = originsOf(config, port);
  const administer = administerFlow(config, state, log);
  const started = monotonic();
  const admin = adminOf(administer, state, async () => ({
    ...offlineStatus(state),
    uptime: Math.round((monotonic() - started) / 1_000),
    issuers: issuers.status() as unknown as readonly JsonObject[],
    lines: [...lines.values()].map((line) => ({ name: line.name, up: line.isUp(), counters: line.counters() })),
    conditions: healthOf({
      clock: certainty(clock.now()),
      issuers: issuers.status(),
      lines: [...lines.values()].map((line) => ({ name: line.name, ...line.health() })),
      stranded: registry
        .list()
        .flatMap(({ id, line }) => (line === undefined || lines.has(line) ? [] : [{ device: id, line }])),
      audit: audit.status().code,
    }),
  }));
  const adminServer = await openAdminSocket({ socket: config.admin.socket, admin, log, random: systemRandom });
  dispatcher.start();
  return {
    address: origins[0] ?? '',
    broker: undefined,
    adminSocket: config.admin.socket,
    admin,
    async stop() {
      await dispatcher.stop();
      await Promise.all([server.close(STOP_GRACE), adminServer.close(STOP_GRACE)]);
      await Promise.all([...lines.values()].map((line) => line.close()));
      await issuers.close();
      await audit.close();
      await clock.close();
      await store.close();
    },
  };
}

/** The state folder without a hub: for `latchkey devices` before the first start. */
export async function openStateFolder(config: Config, log: Log): Promise<OpenStateFolder> {
  const store = await openStore(join(config.stateDir, 'db'));
  const state = await loadState(config, store, log);
  const admin = adminOf(administerFlow(config, state, log), state, async () => offlineStatus(state));
  return {
    admin,
    async close() {
      await state.audit.close();
      await state.clock.close();
      await store.close();
    },
  };
}

interface State {
  readonly store: Store;
  readonly clock: TimeFloor;
  readonly hubKeys: HubKeys;
  readonly registry: Registry;
  readonly queue: DeliveryQueue;
  readonly audit: AuditTrail;
}

async function loadState(config: Config, store: Store, log: Log): Promise<State> {
  const clock = await TimeFloor.open({
    store,
    observe: systemClock(),
    monotonic,
    timers: systemTimers,
    log,
    mode: config.clock.trust,
    initial: RELEASED_AT,
  });
  const registry = new Registry({ store, log });
  const queue = new DeliveryQueue({ store, log });
  const [hubKeys, audit] = await Promise.all([
    HubKeys.load(store),
    openAudit(config, { store, clock }, log),
    registry.load(),
    queue.load(),
  ]);
  return { store, clock, hubKeys, registry, queue, audit };
}

function openAudit({ audit }: Config, { clock, store }: Pick<State, 'clock' | 'store'>, log: Log): Promise<AuditTrail> {
  const { flushInterval, maxEvidence, maxRecords, maxSize, retention } = audit;
  return AuditTrail.open({
    store,
    clock,
    timers: systemTimers,
    random: systemRandom,
    log,
    settings: { maxRecords, maxBytes: maxSize, maxEvidenceBytes: maxEvidence, retention, flushInterval },
  });
}

function openIssuers(config: Config, { store, clock }: State, log: Log): Issuers {
  const settings = new Map(config.issuers.map((issuer) => [issuer.issuer, issuer]));
  return new Issuers({
    policies: config.issuers.map(policyOf),
    connect: ({ issuer }) => {
      const file = settings.get(issuer)?.caFile;
      return connectAuthorizationServer(file === undefined ? {} : { ca: readText(file) });
    },
    store,
    clock,
    timers: systemTimers,
    random: systemRandom,
    log,
  });
}

function policyOf(settings: Config['issuers'][number]): IssuerPolicy {
  const { issuer, discoveryUrl, jwksUrl, jwksFile } = settings;
  return issuerPolicy({
    issuer,
    source:
      jwksFile !== undefined
        ? { kind: 'file', jwks: readJson(jwksFile) }
        : jwksUrl !== undefined
          ? { kind: 'jwks', url: jwksUrl }
          : { kind: 'discovery', ...(discoveryUrl === undefined ? {} : { url: discoveryUrl }) },
    algorithms: settings.algorithms,
    tokenTypes: settings.tokenTypes,
    requireRfc9068: settings.requireRfc9068,
    offlineLimit: settings.offlineLimit,
    leeway: settings.leeway,
    refresh: { least: settings.refreshMin, most: settings.refreshMax },
    unknownKeyCooldown: settings.unknownKidCooldown,
  });
}

function openLine(line: Config['lines'][number], clock: TimeFloor, log: Log): SerialLine {
  return openSerialLine({
    name: line.name,
    path: line.path,
    baudRate: line.baudRate,
    timers: systemTimers,
    clock,
    random: systemRandom,
    log,
    coap: { ackTimeout: line.ackTimeout },
  });
}

function openNorthbound(parts: {
  readonly config: Config;
  readonly state: State;
  readonly issuers: Issuers;
  readonly dispatcher: Dispatcher;
  readonly link: (device: Device) => SerialLine;
  readonly nonces: DpopNonces;
}): Northbound {
  const { config, dispatcher, issuers, link, nonces } = parts;
  const { audit, clock, hubKeys, queue, registry } = parts.state;
  const window = config.dpop.window;
  const keys = new ProofKeys();
  const replay = new ReplayWindow({ lifetime: Math.max(DpopNonces.lifetime, 2 * window * 1_000) });
  const deliver = new DeliverFlow({
    registry,
    queue,
    dispatcher,
    random: systemRandom,
    verify: (jwt, device) =>
      verifyJwt(jwt, {
        issuers,
        audience: device.audience,
        time: clock.now(),
        whenUnsure: config.clock.whenUnsure,
        witness: (issuedAt) => clock.witness(issuedAt),
      }),
    judgeProof: (presented, token, thumbprint) =>
      judgeDpopProof(presented.proof?.expose(), {
        method: presented.method,
        uris: presented.uris,
        accessTokenDigest: token.digest,
        confirmationThumbprint: thumbprint,
        time: clock.now(),
        monotonic: monotonic(),
        window,
        nonces,
        replay,
        keys,
      }),
    translate: (token, device, proofKey) =>
      translate(token, {
        profile: device.profile,
        audience: device.audience,
        keys: wrapKeys(device, hubKeys),
        proofKey,
        hubKeys: token.confirmation?.jwe === undefined ? [] : hubKeys.decryptionKeys(),
        random: systemRandom,
      }),
    audit,
    wait: config.delivery.wait,
  });
  const proxy = new ProxyFlow({ registry, queue, link, clock, timeout: config.delivery.attemptTimeout });
  return {
    deliver: (device, presented, context) => deliver.deliver(device, presented, context),
    delivery: (id) => viewDelivery(queue.get(id)),
    proxy: (request, context) => proxy.proxy(request, context),
    dpopNonce: () => nonces.current(monotonic()),
    publicKeys: () => hubKeys.publicJwks(),
  };
}

function administerFlow(config: Config, { audit, clock, hubKeys, queue, registry }: State, log: Log): AdministerFlow {
  return new AdministerFlow({
    registry,
    queue,
    hubKeys,
    clock,
    random: systemRandom,
    log,
    audit,
    lines: config.lines.map((line) => line.name),
    issuers: config.issuers.map((issuer) => issuer.issuer),
  });
}

function adminOf(flow: AdministerFlow, { audit, store }: State, status: () => Promise<HubStatus>): Admin {
  const reader = new AuditReader({ store, trail: audit });
  return {
    status,
    listDevices: async () => flow.listDevices(),
    showDevice: async (id) => flow.showDevice(id),
    addDevice: (device) => flow.addDevice(device),
    deviceCredentials: async (id) => flow.deviceCredentials(id),
    removeDevice: (id) => flow.removeDevice(id),
    audit: (query) => reader.page(query),
    verifyAudit: (pin) => reader.verify(pin),
  };
}

function offlineStatus({ audit, clock, queue, registry }: State): HubStatus {
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

async function listen(server: HttpServer, config: Config): Promise<number> {
  const { host, port } = config.http.listen;
  try {
    return await server.listen({ host, port });
  } catch (error) {
    throw new LatchkeyError(
      'address_unavailable',
      `${host}:${port} (${(error as NodeJS.ErrnoException).code ?? 'failed'})`,
      { cause: error },
    );
  }
}

/** Where clients may say that they sent their request to (`htu`): the public address if there is one, else this very one. */
function originsOf(config: Config, port: number): readonly string[] {
  if (config.http.publicUrl !== undefined) return [config.http.publicUrl.replace(/\/$/, '')];
  const scheme = config.http.tlsCertFile === undefined ? 'http' : 'https';
  const { host } = config.http.listen;
  const literal = host.includes(':') ? `[${host}]` : host;
  return [
    `${scheme}://${literal}:${port}`,
    ...(host.startsWith('127.') || host === '::1' ? [`${scheme}://localhost:${port}`] : []),
  ];
}

function tlsOf({ http }: Config): { readonly tls?: { readonly cert: string; readonly key: string } } {
  if (http.tlsCertFile === undefined || http.tlsKeyFile === undefined) return {};
  return { tls: { cert: readText(http.tlsCertFile), key: readText(http.tlsKeyFile) } };
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new LatchkeyError('file_unreadable', `${file} (${(error as NodeJS.ErrnoException).code ?? 'failed'})`, {
      cause: error,
    });
  }
}

function readJson(file: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(readText(file));
  } catch (error) {
    throw error instanceof LatchkeyError ? error : new LatchkeyError('jwks_invalid', `${file} is not JSON`);
  }
  if (!isJsonObject(value)) throw new LatchkeyError('jwks_invalid', `${file} is not an object`);
  return value;
}

/**
 * The composition root: configuration → store → services → flows → drivers. With the files of hub/, the only ones that
 * know which class stands behind which interface.
 */
import { openAdminSocket } from '../drivers/http/admin.ts';
import { introspectRoutes } from '../drivers/http/introspect.ts';
import { metadataRoutes } from '../drivers/http/metadata.ts';
import { northboundRoutes } from '../drivers/http/northbound.ts';
import { HttpServer } from '../drivers/http/server.ts';
import type { SerialLine } from '../drivers/serial/serial-line.ts';
import { monotonic, systemRandom, systemTimers } from '../drivers/system-time.ts';
import type { LoadedConfig } from './config/load.ts';
import { originsOf } from './config/origins.ts';
import type { Config } from './config/schema.ts';
import { readServerCertificate } from './config/setting-files.ts';
import { LatchkeyError } from './core/errors.ts';
import type { Device } from './devices/device.ts';
import { deliveryFeed } from './flows/delivery-feed.ts';
import { type DispatchDependencies, Dispatcher } from './flows/dispatch.ts';
import { openNorthbound } from './hub/deliver.ts';
import { openIntrospectors, openIssuers, verifierOf } from './hub/issuers.ts';
import { deviceServer, linkOf, openLine, wakeAtSightings, wakeAtSightingsOf } from './hub/links.ts';
import { brokerAddress, openMqttFront } from './hub/mqtt.ts';
import { OpenParts } from './hub/open-parts.ts';
import { openPairing } from './hub/pairing.ts';
import { openRadio } from './hub/radio.ts';
import { openRelay, type RelayParts } from './hub/relay.ts';
import { Reload, type ReloadReport } from './hub/reload.ts';
import { connectionsOf } from './hub/settings.ts';
import { adminOf, finishPairing, loadState, type State } from './hub/state.ts';
import { type RunningParts, statusOf } from './hub/status.ts';
import { issuersForDevices, openTrust } from './hub/trust.ts';
import type { Admin } from './ports/admin.ts';
import type { Log } from './ports/log.ts';
import type { Northbound } from './ports/northbound.ts';
import { openState } from './store/open-state.ts';

export { askIssuer, issuerAt } from './hub/ask-issuer.ts';
export { decryptedNow } from './hub/decrypted-now.ts';
export { keysNow } from './hub/keys-now.ts';
export { policyOf } from './hub/settings.ts';
export { type OpenStateFolder, openStateFolder, profilesAtRest } from './hub/state.ts';

export interface RunningHub {
  /** Origin of the HTTP API, such as `http://127.0.0.1:8430`. */
  readonly address: string;
  /** Address of the embedded MQTT broker, such as `mqtt://127.0.0.1:1883`; undefined without one. */
  readonly broker: string | undefined;
  readonly adminSocket: string;
  readonly admin: Admin;
  /**
   * Takes over what can be taken over without a restart. The status names what cannot, and why a reload was refused.
   * @throws {LatchkeyError} what a start with that configuration would end with; then nothing has changed
   */
  reload(load: () => LoadedConfig): Promise<ReloadReport>;
  /** Answers what is under way, closes everything, and resolves inside the grace period. */
  stop(): Promise<void>;
}

/** Requests under way get this long to be answered once the hub is told to stop; milliseconds. */
const STOP_GRACE = 3_000;

/**
 * The hub, running. Resolves when it answers; authorization servers and lines are reached in the background. A start that
 * fails leaves nothing open.
 */
export async function startHub(options: { readonly config: Config; readonly log: Log }): Promise<RunningHub> {
  const opened = new OpenParts(options.log);
  try {
    return await start(options.config, options.log, opened);
  } catch (error) {
    await opened.close();
    throw error;
  }
}

async function start(given: Config, log: Log, opened: OpenParts): Promise<RunningHub> {
  // A reload changes the lines: what reads this list reads those of now.
  const lineSettings = [...given.lines];
  const config: Config = { ...given, lines: lineSettings };
  const stores = await openState(config.stateDir, { log });
  opened.add(() => stores.close());
  const state = await loadState(config, stores, log);
  const { audit, clock } = state;
  clock.start();
  opened.add(() => clock.close());
  audit.start();
  opened.add(() => audit.close());
  let issuerChanged: (issuer: string) => void = () => undefined;
  const issuers = openIssuers(config, state, log, (issuer) => issuerChanged(issuer));
  await issuers.start();
  opened.add(() => issuers.close());
  const verify = verifierOf(config, state, issuers);
  const introspectors = openIntrospectors(config, state, issuers, log);
  const relay = await openRelay({ config, state, verify, issuers, introspectors, log });
  opened.add(() => relay.close());
  opened.add(() => Promise.all(introspectors.map((each) => each.close())));
  const lines = new Map<string, SerialLine>();
  opened.add(() => Promise.all([...lines.values()].map((line) => line.close())));
  const link = (device: Device) => linkOf(device, running);
  const finish = finishPairing(state, link, log);
  const wake = (device: string) => dispatcher.wake(device);
  const trust = openTrust(state, { issuers: issuersForDevices(issuers), link, wake }, log);
  // What is paired goes before what is brought up to date.
  const dispatcher = openDispatcher(config, state, { link, errands: [finish, trust] }, log);
  const running: RunningParts = {
    config,
    state,
    issuers,
    introspectors,
    lines,
    radio: undefined,
    trust,
    dispatcher,
    trustWarnAfter: config.trust.warnAfter,
    startedAt: monotonic(),
    mqtt: undefined,
    reload: undefined,
  };
  const admin = adminOf(config, state, log, {
    status: () => statusOf(running),
    issuerKeys: async (issuer) => {
      const held = issuers.find(issuer)?.keys;
      return { keys: held?.ring()?.jwks ?? [], age: held?.status().age };
    },
    difficulty: (device) => dispatcher.difficulty(device),
    cancel: (id) => dispatcher.cancel(id),
    wake,
    link,
    finish,
    trust,
  });
  const pairing = openPairing({ config, state, trust, links: running, finish, dispatcher, log });
  opened.add(() => pairing.close());
  const northbound = openNorthbound({ config, state, verify, dispatcher, link });
  let origins: readonly string[] = [];
  const server = openServer({ config, state, northbound, relay, origins: () => origins, log });
  const adminServer = await openAdminSocket({ socket: config.admin.socket, admin, pairing, log, random: systemRandom });
  const servers = [adminServer];
  opened.add(() => Promise.all(servers.map((each) => each.close(STOP_GRACE))));
  // A hub that cannot listen touches no line: the one that has the port may have the lines too.
  const port = await listen(server, config);
  servers.push(server);
  origins = originsOf(config, port);
  const feed = deliveryFeed({ ...state, difficulty: (device) => dispatcher.difficulty(device) });
  running.mqtt = await openMqttFront(config, relay, feed, log);
  opened.add(async () => running.mqtt?.close(STOP_GRACE));
  const serve = deviceServer(state, relay);
  for (const line of config.lines) lines.set(line.name, openLine(line, state, serve, log));
  running.radio = await openRadio(config, state, serve, log);
  opened.add(async () => running.radio?.close());
  wakeAtSightings(running, dispatcher, state);
  // What changed until here is looked at by the start itself.
  issuerChanged = (issuer) => trust.issuerChanged(issuer);
  await trust.retire();
  const reload = new Reload({
    config: given,
    lineSettings,
    lineNames: state.lineNames,
    profiles: state.profiles,
    lines,
    openLine: (settings) => {
      const line = openLine(settings, state, serve, log);
      wakeAtSightingsOf(line, dispatcher, state);
      return line;
    },
    issuers,
    issuerChanged,
    server,
  });
  running.reload = reload;
  dispatcher.start();
  opened.add(() => dispatcher.stop());
  return {
    address: origins[0] ?? '',
    broker: brokerAddress(config, running.mqtt),
    adminSocket: config.admin.socket,
    admin,
    reload: (load) => reload.take(load),
    stop: () => opened.close(),
  };
}

function openDispatcher(
  config: Config,
  { audit, clock, queue, registry }: State,
  { errands, link }: Pick<DispatchDependencies, 'errands' | 'link'>,
  log: Log,
): Dispatcher {
  return new Dispatcher({
    queue,
    registry,
    link,
    errands: errands ?? [],
    certain: () => clock.certain(),
    earliest: () => clock.now().earliest,
    timers: systemTimers,
    monotonic,
    random: systemRandom,
    log,
    audit,
    attemptTimeout: config.delivery.attemptTimeout,
    longestPause: config.delivery.retryMax,
  });
}

function openServer(parts: {
  readonly config: Config;
  readonly state: State;
  readonly northbound: Northbound;
  readonly relay: RelayParts;
  readonly origins: () => readonly string[];
  readonly log: Log;
}): HttpServer {
  const { config, log, northbound, origins, relay } = parts;
  const { tls } = readServerCertificate(config);
  const { hasCertificates } = parts.state.registry;
  const metadata = metadataRoutes({ origins, takesCertificates: tls !== undefined && hasCertificates });
  return new HttpServer({
    routes: [...northboundRoutes({ northbound, origins }), ...introspectRoutes(relay), ...metadata],
    log,
    random: systemRandom,
    ...(tls === undefined ? {} : { tls: { ...tls, askForCertificate: hasCertificates } }),
    connections: connectionsOf(config),
    errorPagesAt: config.http.publicUrl?.replace(/\/$/, '') ?? '',
  });
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

/** The admin API: JSON over HTTP on a unix socket that only the hub's user can open. */
import { chmodSync, existsSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import type { Random } from '../../src/core/clock.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import { isJsonObject, type JsonValue } from '../../src/core/json.ts';
import { LIMITS } from '../../src/core/limits.ts';
import type { Admin, AuditQuery, DeliveriesQuery, NewDevice } from '../../src/ports/admin.ts';
import type { Log } from '../../src/ports/log.ts';
import type { Pairing } from '../../src/ports/pairing.ts';
import { issuersOf, optionalText, parse, text } from './admin-body.ts';
import { pairingRoutes } from './pairing-routes.ts';
import { type HttpRequest, HttpServer, type Route } from './server.ts';

/** Listens on the socket, replacing one that a killed hub left behind. */
export async function openAdminSocket(options: {
  readonly socket: string;
  readonly admin: Admin;
  readonly pairing: Pairing;
  readonly log: Log;
  readonly random: Random;
}): Promise<HttpServer> {
  const { admin, pairing, socket } = options;
  if (existsSync(socket)) {
    if (await answers(socket)) throw new LatchkeyError('store_locked', socket);
    unlinkSync(socket);
  }
  const server = new HttpServer({
    routes: [...adminRoutes(admin), ...deviceRoutes(admin), ...pairingRoutes(pairing)],
    log: options.log,
    random: options.random,
    tellDetail: true,
    errorPagesAt: '',
    connections: { overall: LIMITS.adminConnections, perNetwork: LIMITS.adminConnections },
  });
  // The socket is created under this mask, so it is never open to others, not even for a moment.
  const mask = process.umask(0o177);
  try {
    await server.listen({ socket });
  } catch (error) {
    throw new LatchkeyError('file_unwritable', socket, { cause: error });
  } finally {
    process.umask(mask);
  }
  chmodSync(socket, 0o600);
  return server;
}

function deviceRoutes(admin: Admin): readonly Route[] {
  return [
    {
      method: 'POST',
      path: '/devices/:id/name',
      bodyBytes: LIMITS.adminBodyBytes,
      handle: async ({ body, parameters }) => ({
        status: 200,
        body: await admin.renameDevice(parameters.id ?? '', text(parse(body).name, 'name')),
      }),
    },
    {
      method: 'POST',
      path: '/devices/:id/identify',
      handle: async ({ parameters }) => {
        await admin.identifyDevice(parameters.id ?? '');
        return { status: 204 };
      },
    },
    {
      method: 'POST',
      path: '/devices/:id/unpair',
      bodyBytes: LIMITS.adminBodyBytes,
      handle: async ({ body, parameters }) => ({
        status: 200,
        body: await admin.unpairDevice(parameters.id ?? '', { force: parse(body).force === true }),
      }),
    },
  ];
}

function adminRoutes(admin: Admin): readonly Route[] {
  return [
    { method: 'GET', path: '/status', handle: async () => ({ status: 200, body: await admin.status() }) },
    {
      method: 'GET',
      path: '/devices',
      handle: async ({ query }) => ({ status: 200, body: await admin.listDevices({ after: words(query, 'after') }) }),
    },
    {
      method: 'POST',
      path: '/devices',
      bodyBytes: LIMITS.adminBodyBytes,
      handle: async (request) => ({ status: 201, body: await admin.addDevice(newDeviceOf(request)) }),
    },
    { method: 'GET', path: '/profiles', handle: async () => ({ status: 200, body: await admin.profiles() }) },
    {
      method: 'GET',
      path: '/issuers/keys',
      handle: async ({ query }) => ({ status: 200, body: await admin.issuerKeys(words(query, 'issuer') ?? '') }),
    },
    {
      method: 'GET',
      path: '/devices/:id',
      handle: async (request) => ({ status: 200, body: await admin.showDevice(request.parameters.id ?? '') }),
    },
    {
      method: 'GET',
      path: '/devices/:id/credentials',
      handle: async (request) => ({
        status: 200,
        body: { credentials: await admin.deviceCredentials(request.parameters.id ?? '') },
      }),
    },
    {
      method: 'DELETE',
      path: '/devices/:id',
      handle: async (request) => {
        await admin.removeDevice(request.parameters.id ?? '');
        return { status: 204 };
      },
    },
    {
      method: 'GET',
      path: '/deliveries',
      handle: async ({ query }) => ({ status: 200, body: await admin.deliveries(deliveriesQueryOf(query)) }),
    },
    {
      method: 'POST',
      path: '/deliveries/:id/cancel',
      handle: async ({ parameters }) => ({ status: 200, body: await admin.cancelDelivery(parameters.id ?? '') }),
    },
    {
      method: 'POST',
      path: '/deliveries/:id/retry',
      handle: async ({ parameters }) => ({ status: 202, body: await admin.retryDelivery(parameters.id ?? '') }),
    },
    {
      method: 'GET',
      path: '/trust',
      handle: async ({ query }) => ({ status: 200, body: await admin.trust({ after: words(query, 'after') }) }),
    },
    {
      method: 'POST',
      path: '/trust/hub-key',
      handle: async () => ({ status: 201, body: await admin.rotateHubKey() }),
    },
    { method: 'POST', path: '/clock/reset', handle: async () => ({ status: 200, body: await admin.resetClock() }) },
    {
      method: 'GET',
      path: '/audit',
      handle: async ({ query }) => ({ status: 200, body: await admin.audit(auditQueryOf(query)) }),
    },
    {
      method: 'GET',
      path: '/audit/verification',
      handle: async ({ query }) => ({ status: 200, body: await admin.verifyAudit(query.get('head') ?? undefined) }),
    },
    { method: 'GET', path: '/backup', handle: async () => ({ status: 200, text: admin.backup() }) },
  ];
}

function deliveriesQueryOf(query: URLSearchParams): DeliveriesQuery {
  return {
    device: words(query, 'device'),
    waiting: words(query, 'waiting') === 'true',
    limit: count(query, 'limit') ?? LIMITS.deliveriesAnswered,
    after: words(query, 'after'),
  };
}

function words(query: URLSearchParams, name: string): string | undefined {
  return query.get(name) ?? undefined;
}

/** @throws {LatchkeyError} `request_invalid` */
function count(query: URLSearchParams, name: string): number | undefined {
  const written = words(query, name);
  if (written !== undefined && !/^\d{1,15}$/.test(written)) throw new LatchkeyError('request_invalid', name);
  return written === undefined ? undefined : Number(written);
}

function auditQueryOf(query: URLSearchParams): AuditQuery {
  const [issuer, subject] = [words(query, 'issuer'), words(query, 'subject')];
  if ((issuer === undefined) !== (subject === undefined))
    throw new LatchkeyError('request_invalid', 'issuer and subject go together');
  return {
    after: count(query, 'after'),
    device: words(query, 'device'),
    since: count(query, 'since'),
    subject: issuer === undefined || subject === undefined ? undefined : { issuer, subject },
    limit: Math.min(count(query, 'limit') ?? LIMITS.auditAnswerRecords, LIMITS.auditAnswerRecords),
    evidence: words(query, 'evidence') === 'true',
  };
}

function newDeviceOf(request: HttpRequest): NewDevice {
  const body = parse(request.body);
  const { id, audience, line, ble, profile, profileName, issuers, certificate } = body;
  if (typeof id !== 'string' || !isJsonObject(profile) || (audience === undefined && profileName === undefined)) {
    throw new LatchkeyError('request_invalid', 'id, profile, and audience or profileName are needed');
  }
  return {
    id,
    audience: optionalText(audience, 'audience'),
    profile,
    profileName: optionalText(profileName, 'profileName'),
    ...(line === undefined ? {} : { line: text(line, 'line') }),
    ...(ble === undefined ? {} : { ble: bleOf(ble) }),
    ...(issuers === undefined ? {} : { issuers: issuersOf(issuers) }),
    ...(certificate === undefined ? {} : { certificate: text(certificate, 'certificate') }),
  };
}

function bleOf(value: JsonValue): { readonly name?: string } {
  if (!isJsonObject(value)) throw new LatchkeyError('request_invalid', 'ble');
  return value.name === undefined ? {} : { name: text(value.name, 'ble') };
}

function answers(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(socket);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
}

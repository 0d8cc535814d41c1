import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { introspectRoutes } from '../../drivers/http/introspect.ts';
import { HttpServer } from '../../drivers/http/server.ts';
import type { MqttFront } from '../../drivers/mqtt/open-mqtt.ts';
import { openSerialLine, type SerialLine } from '../../drivers/serial/serial-line.ts';
import { monotonic, systemRandom, systemTimers } from '../../drivers/system-time.ts';
import { base64url, hex } from '../../src/core/bytes.ts';
import type { IntrospectedToken } from '../../src/core/introspected-token.ts';
import { isJsonObject } from '../../src/core/json.ts';
import { Secret } from '../../src/core/secret.ts';
import { DeviceCredentials } from '../../src/devices/device-credentials.ts';
import { profileFromJson } from '../../src/devices/profile.ts';
import { Registry } from '../../src/devices/registry.ts';
import { ProtectedIntrospection } from '../../src/flows/protected-introspection.ts';
import { RelayFlow } from '../../src/flows/relay.ts';
import { serveDevices } from '../../src/flows/serve-devices.ts';
import { TellTime } from '../../src/flows/tell-time.ts';
import { TokenJudge } from '../../src/flows/token-judge.ts';
import { DurableReplayWindow } from '../../src/pop/durable-replay-window.ts';
import { demandTokenForm } from '../../src/pop/introspection/token-form.ts';
import { ProofKeys } from '../../src/pop/proof-keys.ts';
import { TokenBindings } from '../../src/pop/token-bindings.ts';
import { StaticKeys } from '../../src/trust/issuer-keys.ts';
import { issuerPolicy } from '../../src/trust/issuer-policy.ts';
import { verifyJwt } from '../../src/trust/verify-jwt.ts';
import { AuditList } from '../fakes/audit-list.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { FaultyStore } from '../fakes/faulty-store.ts';
import { QuietLog } from '../fakes/quiet-log.ts';
import { AskingLine } from '../fixtures/asking-line.ts';
import { connectedDevice } from '../fixtures/connected-device.ts';
import { signingKey, signJwt } from '../fixtures/jwt-signing.ts';
import { connected, openMqttRig } from '../fixtures/mqtt-front.ts';
import { RELAY_CASES, type TokenSpec } from '../fixtures/relay-cases.ts';
import { coapFront, httpFront, mqttJsonFront, mqttProtectedFront, type RelayFront } from '../fixtures/relay-fronts.ts';

const WINDOW = 60;
const ISSUER = 'https://as.example';
const device = connectedDevice('ekg-1', {
  line: 'ward-3',
  profile: profileFromJson({ bearer: true }, { takesTokens: false }),
});
const time = new FakeTime();
const tokens = new Map<string, TokenSpec>();
const fronts: RelayFront[] = [];
let server: HttpServer;
let replay: DurableReplayWindow;
let mqtt: MqttFront;
let deviceEnd: AskingLine;
let line: SerialLine;
const audit = new AuditList();

const KEY = signingKey('P-256', 'k1');
/** Another key of the same name: somebody says to be the issuer. */
const FORGED = signingKey('P-256', 'k1');
const JWKS = { keys: [KEY.jwk] };
const POLICY = issuerPolicy({ issuer: ISSUER, source: { kind: 'file', jwks: JWKS } });
const issuers = new Map([[ISSUER, { policy: POLICY, keys: new StaticKeys(POLICY, JWKS) }]]);

function mint(spec: TokenSpec): string {
  return spec.form === 'jwt' ? signedToken(spec) : opaqueToken(spec);
}

/** Of an AS that never forgets what it gave. */
function opaqueToken(spec: TokenSpec): string {
  const token = base64url(systemRandom.bytes(16));
  tokens.set(token, spec);
  return token;
}

function signedToken({ audience, confirmation, state }: TokenSpec): string {
  const now = time.now().earliest;
  const claims = {
    iss: ISSUER,
    sub: 'doctor-7',
    aud: audience,
    client_id: 'doctor-app',
    iat: now - 700,
    exp: state === 'expired' ? now - 10 : now + 600,
    jti: hex(systemRandom.bytes(8)),
    ...(confirmation === undefined ? {} : { cnf: confirmation }),
  };
  const header = { alg: 'ES256', typ: 'at+jwt', kid: 'k1' };
  return signJwt({ key: state === 'disowned' ? FORGED : KEY, header, claims });
}

async function introspect(token: Secret<string>): Promise<IntrospectedToken> {
  demandTokenForm(token.expose());
  const freshness = { source: 'introspection', age: 0, stale: false } as const;
  const spec = tokens.get(token.expose());
  if (spec === undefined || spec.state !== 'good') {
    return { active: false, code: 'token_inactive', freshness, evidence: undefined };
  }
  const jwk = spec.confirmation?.jwk;
  const isShared = isJsonObject(jwk) && jwk.kty === 'oct';
  return {
    active: true,
    freshness,
    evidence: undefined,
    members: { active: true, aud: spec.audience },
    expiresAt: time.now().earliest + 600,
    audience: [spec.audience],
    scope: [],
    subject: 'doctor-7',
    clientId: 'doctor-app',
    confirmation: isShared ? { ...spec.confirmation, jwk: { kty: 'oct' } } : spec.confirmation,
    confirmationKey: isShared ? new Secret(jwk) : undefined,
  };
}

beforeAll(async () => {
  replay = await DurableReplayWindow.open({
    store: new FaultyStore(),
    bootId: 'boot-1',
    monotonic: 0,
    window: WINDOW,
  });
  const log = new QuietLog();
  const registry = new Registry({ store: new FaultyStore(), log });
  await registry.add(device);
  const tokensOf = new TokenJudge({
    names: { has: () => false, withAudience: () => undefined },
    issuers: [{ issuer: ISSUER, policy: 'opaque', introspector: { introspect } }],
    verify: (jwt, asking) =>
      verifyJwt(jwt, {
        issuers: { find: (issuer) => issuers.get(issuer) },
        audience: asking.audience,
        time: time.now(),
        whenUnsure: 'deny',
      }),
    readSigned: async () => undefined,
    clock: time,
  });
  const relay = new RelayFlow({
    bindings: await TokenBindings.open({ store: new FaultyStore(), clock: time, log }),
    registry,
    tokens: tokensOf,
    replay,
    keys: new ProofKeys(),
    clock: time,
    random: systemRandom,
    audit,
    log,
    window: WINDOW,
  });
  const devices = new DeviceCredentials({ registry });
  server = new HttpServer({
    routes: introspectRoutes({ relay, devices }),
    log,
    random: systemRandom,
    connections: { overall: 64, perNetwork: 64 },
  });
  const origin = `http://127.0.0.1:${await server.listen({ host: '127.0.0.1', port: 0 })}`;
  const introspection = new ProtectedIntrospection({ registry, relay, clock: time, random: systemRandom });
  deviceEnd = await AskingLine.open();
  line = openSerialLine({
    name: 'ward-3',
    path: deviceEnd.path,
    timers: systemTimers,
    clock: { monotonic },
    random: systemRandom,
    log,
    handler: serveDevices({
      isExpected: (device) => device.line === 'ward-3',
      introspection,
      time: new TellTime({ registry, clock: time }),
      random: systemRandom,
      log,
    }),
  });
  const { front } = await openMqttRig({
    relay,
    devices,
    answerProtected: (message, id, context) => introspection.answer(message, (asking) => asking.id === id, context),
    log,
  });
  mqtt = front;
  await connected(front);
  const broker = front.port ?? 0;
  fronts.push(
    mqttJsonFront(broker, device),
    mqttProtectedFront(broker, device),
    httpFront(origin, device, 'application/json'),
    httpFront(origin, device, 'application/ace+cbor'),
    coapFront(device, (request) => deviceEnd.request(request)),
  );
});

afterAll(async () => {
  for (const front of fronts) await front.close?.();
  await line.close();
  await deviceEnd.close();
  await mqtt.close(100);
  await server.close(100);
});

const FRONTS = ['HTTP, application/json', 'HTTP, application/ace+cbor', 'CoAP', 'MQTT, JSON', 'MQTT, CBOR'];

describe.each(FRONTS)('over %s', (name) => {
  // One connection a device: whoever asks next over MQTT takes the place of the one before.
  afterAll(() => fronts.find((front) => front.name === name)?.close?.());

  it.each(RELAY_CASES.map((each) => [`${each.kind}, ${each.form}: ${each.name}`, each] as const))(
    '%s',
    async (_, { ask, expected, recorded }) => {
      const front = fronts.find((candidate) => candidate.name === name);
      if (front === undefined) throw new Error(name);
      audit.entries.length = 0;
      const questions = await ask({ audience: device.audience, now: time.now().earliest, mint });
      const seen = [];
      for (const question of questions) seen.push(await front.ask(question));
      const last = seen.at(-1);
      const fits = last !== undefined && front.matches(last, expected);
      expect(fits ? expected : last).toEqual(expected);
      const verdicts = audit.entries.filter(({ verdict }) => verdict !== 'refused');
      expect(verdicts.map(({ verdict }) => verdict)).toEqual(
        seen.map(({ kind }) => kind).filter((kind) => kind !== 'refused'),
      );
      if (recorded !== undefined) expect(verdicts.at(-1)?.code).toBe(recorded);
      expect(seen.slice(0, -1).every(({ kind }) => kind === 'active')).toBe(true);
    },
  );
});

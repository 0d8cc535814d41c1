import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { introspectRoutes } from '../../drivers/http/introspect.ts';
import { HttpServer } from '../../drivers/http/server.ts';
import { systemRandom } from '../../drivers/system-time.ts';
import { base64url, sha256 } from '../../src/core/bytes.ts';
import { coded } from '../../src/core/errors.ts';
import type { RelayAnswer } from '../../src/core/introspection.ts';
import { DeviceCredentials } from '../../src/devices/device-credentials.ts';
import { Registry } from '../../src/devices/registry.ts';
import { introspectCoap } from '../../src/flows/introspect-coap.ts';
import { ProtectedIntrospection } from '../../src/flows/protected-introspection.ts';
import { DurableReplayWindow } from '../../src/pop/durable-replay-window.ts';
import { judgeProof } from '../../src/pop/judge-proof.ts';
import { ProofKeys } from '../../src/pop/proof-keys.ts';
import type { RelayRequest } from '../../src/ports/relay.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { FaultyStore } from '../fakes/faulty-store.ts';
import { QuietLog } from '../fakes/quiet-log.ts';
import { activeAnswer, ScriptedRelay } from '../fakes/scripted-relay.ts';
import { connectedDevice } from '../fixtures/connected-device.ts';
import { RELAY_CASES, type TokenSpec } from '../fixtures/relay-cases.ts';
import { coapFront, httpFront, type RelayFront } from '../fixtures/relay-fronts.ts';

const WINDOW = 60;
const device = connectedDevice('ekg-1', { line: 'ward-3' });
const time = new FakeTime();
const tokens = new Map<string, TokenSpec>();
const fronts: RelayFront[] = [];
let server: HttpServer;
let replay: DurableReplayWindow;
const keys = new ProofKeys();

/** An AS that never forgets what it gave. */
function mint(spec: TokenSpec): string {
  const token = base64url(systemRandom.bytes(16));
  tokens.set(token, spec);
  return token;
}

/** The real judges of proofs, over what the AS knows. */
async function judge({ proof, token }: RelayRequest): Promise<RelayAnswer> {
  const spec = tokens.get(token.expose());
  if (spec === undefined || spec.state !== 'good') return inactive('token_inactive');
  if (spec.audience !== device.audience) return inactive('jwt_audience_mismatch');
  try {
    const { kind } = await judgeProof(proof, {
      confirmation: spec.confirmation,
      confidential: true,
      tokenDigest: sha256(token.expose()),
      audience: device.audience,
      time: time.now(),
      monotonic: time.monotonic(),
      window: WINDOW,
      replay,
      keys,
      bearer: true,
    });
    return activeAnswer({ proof: kind });
  } catch (error) {
    return inactive(coded(error).code);
  }
}

function inactive(code: Extract<RelayAnswer, { active: false }>['code']): RelayAnswer {
  return { active: false, code, freshness: undefined };
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
  const relay = new ScriptedRelay(judge);
  server = new HttpServer({
    routes: introspectRoutes({ relay, devices: new DeviceCredentials({ registry }) }),
    log,
    random: systemRandom,
    connections: { overall: 64, perNetwork: 64 },
  });
  const origin = `http://127.0.0.1:${await server.listen({ host: '127.0.0.1', port: 0 })}`;
  const introspection = new ProtectedIntrospection({ registry, relay, clock: time, random: systemRandom });
  const handler = introspectCoap({ line: 'ward-3', introspection, random: systemRandom, log });
  fronts.push(
    httpFront(origin, device, 'application/json'),
    httpFront(origin, device, 'application/ace+cbor'),
    coapFront(device, async (request) => {
      try {
        return await handler(request);
      } catch (error) {
        const [major = '', minor = ''] = coded(error).entry.coap.split('.');
        return { code: (Number(major) << 5) | Number(minor), payload: new Uint8Array(0) };
      }
    }),
  );
});

afterAll(() => server.close(100));

describe.each(['HTTP, application/json', 'HTTP, application/ace+cbor', 'CoAP'])('over %s', (name) => {
  it.each(RELAY_CASES.map((relayCase) => [`${relayCase.kind}: ${relayCase.name}`, relayCase] as const))(
    '%s',
    async (_, { ask, expected }) => {
      const front = fronts.find((candidate) => candidate.name === name);
      if (front === undefined) throw new Error(name);
      const questions = await ask({ audience: device.audience, now: time.now().earliest, mint });
      const seen = [];
      for (const question of questions) seen.push(await front.ask(question));
      const last = seen.at(-1);
      const fits = last !== undefined && expected.some((one) => front.matches(last, one));
      expect(fits ? expected[0] : last).toEqual(expected[0]);
      expect(seen.slice(0, -1).every(({ kind }) => kind === 'active')).toBe(true);
    },
  );
});

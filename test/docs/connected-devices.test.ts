/** The examples of docs/protocol.md, "Connected devices": each is made anew, or sent, and compared. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { introspectRoutes } from '../../drivers/http/introspect.ts';
import { HttpServer } from '../../drivers/http/server.ts';
import { systemRandom } from '../../drivers/system-time.ts';
import { type CborValue, decodeCbor, encodeCbor, isCborMap } from '../../src/codec/cbor.ts';
import { codeNumber } from '../../src/codec/coap/codes.ts';
import { openDeviceAnswer, readDeviceRequest } from '../../src/codec/device-request.ts';
import { COAP_METHOD, CONTENT_FORMAT, INTROSPECTION, INTROSPECTION_PRIVATE } from '../../src/codec/iana.ts';
import { PARAMETERS } from '../../src/codec/introspection-parameters.ts';
import { fromHex, hex } from '../../src/core/bytes.ts';
import type { RelayAnswer } from '../../src/core/introspection.ts';
import { Secret } from '../../src/core/secret.ts';
import { credentialsFileOf, DeviceCredentials } from '../../src/devices/device-credentials.ts';
import { Registry } from '../../src/devices/registry.ts';
import { ProtectedIntrospection } from '../../src/flows/protected-introspection.ts';
import { serveDevices } from '../../src/flows/serve-devices.ts';
import { TellTime } from '../../src/flows/tell-time.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { FaultyStore } from '../fakes/faulty-store.ts';
import { QuietLog } from '../fakes/quiet-log.ts';
import { ScriptedRelay } from '../fakes/scripted-relay.ts';
import { AskingDevice, connectedDevice } from '../fixtures/connected-device.ts';

const text = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');
const [, section = ''] = /^(## 12\. Connected devices\n[\s\S]*?)(?=^## |(?![\s\S]))/m.exec(text) ?? [];
const examples = new Map(
  [...section.matchAll(/^```\S+ (\S+)\n([\s\S]*?)^```$/gm)].map(([, name = '', body = '']) => [name, body]),
);
const example = (name: string) => {
  const body = examples.get(name);
  if (body === undefined) throw new Error(`no example ${name}`);
  return body;
};
const bytesOf = (name: string) => fromHex(example(name).replaceAll(/\s/g, ''));

const counting = (length: number, from = 0) => Uint8Array.from({ length }, (_, index) => from + index);
const device = connectedDevice('ekg-1', { line: 'ward-3', rootKey: new Secret(counting(32)) });
const { credentials } = new AskingDevice(device);

/** What the relay answers in the examples. */
const GOOD: RelayAnswer = {
  active: true,
  members: {
    iss: 'https://as.example',
    sub: 'doctor-7',
    aud: 'https://ekg-1.ward.example',
    exp: 1_795_491_045,
    scope: 'read',
    client_id: 'doctors-app',
  },
  proof: 'none',
  freshness: { source: 'introspection', age: 0, stale: false, clock: 'sure' },
  sessionKey: undefined,
};
const REPLAYED: RelayAnswer = {
  active: false,
  code: 'proof_replayed',
  freshness: { source: 'introspection', age: 12, stale: false, clock: 'sure' },
};

const relay = new ScriptedRelay(({ proof }) => (proof === undefined ? GOOD : REPLAYED));
let registry: Registry;
let server: HttpServer;
let origin: string;

beforeAll(async () => {
  const log = new QuietLog();
  registry = new Registry({ store: new FaultyStore(), log });
  await registry.add(device);
  const routes = introspectRoutes({ relay, devices: new DeviceCredentials({ registry }) });
  const connections = { overall: 64, perNetwork: 64 };
  server = new HttpServer({ routes, log, random: systemRandom, connections, errorPagesAt: '' });
  origin = `http://127.0.0.1:${await server.listen({ host: '127.0.0.1', port: 0 })}`;
});

afterAll(() => server.close(100));

describe('over HTTP', () => {
  it.each(['introspect-plain', 'introspect-proof', 'introspect-unauthenticated'])(
    '%s is what happens',
    async (name) => {
      const [requestHead = '', form = '', answerHead = '', body = ''] = example(name).split('\n\n');
      const [requestLine = '', ...requestHeaders] = requestHead.split('\n');
      const [statusLine = '', ...answerHeaders] = answerHead.split('\n');
      const [method = '', path = ''] = requestLine.split(' ');
      const answer = await fetch(origin + path, { method, headers: requestHeaders.map(header), body: form.trim() });
      expect(statusLine).toContain(` ${answer.status} `);
      for (const [field, value] of answerHeaders.map(header)) expect(answer.headers.get(field)).toBe(value);
      const { id, ...members } = (await answer.json()) as Record<string, unknown>;
      const { id: anyId, ...documented } = JSON.parse(body) as Record<string, unknown>;
      expect(members).toEqual(documented);
      expect(typeof id).toBe(typeof anyId);
    },
  );
});

describe('over CoAP', () => {
  const nonce = counting(12);

  const hubNonce = fromHex('61c461ffa9d665e9');

  it.each([
    ['coap-first-message', undefined],
    ['coap-request-message', hubNonce],
  ])('the request is what its message holds: %s', (message, given) => {
    const request = readDeviceRequest(bytesOf(message));
    expect(request).toMatchObject({ device: 'ekg-1', nonce });
    expect(request.hubNonce).toEqual(given);
    expect(diagnostic(decodeCbor(request.open(credentials.introspectKey)))).toBe(plain('coap-request'));
  });

  it.each([
    ['coap-first-message', undefined],
    ['coap-request-message', hubNonce],
  ])('the request is the one that a device makes: %s', (message, given) => {
    const question = { token: new Secret('mF_9.B5f-4.1JqM'), proof: undefined, wantsSessionKey: false } as const;
    const asking = new AskingDevice(device);
    asking.hubNonce = given;
    expect(hex(asking.request({ ...question, clientFormat: 'jose' }, nonce).message)).toBe(hex(bytesOf(message)));
  });

  it.each([
    ['coap-first-message', '4.01', CONTENT_FORMAT.conciseProblem, 'coap-refusal-message'],
    ['coap-request-message', '2.01', CONTENT_FORMAT.aceCbor, 'coap-answer-message'],
  ])('%s is answered as the hub answers, byte for byte', async (message, code, contentFormat, answerMessage) => {
    const random = { bytes: (length: number) => counting(length, 0xf0), fraction: () => 0 };
    const clock = { monotonic: () => 0 };
    const introspection = new ProtectedIntrospection({ registry, relay, clock, random });
    const handler = serveDevices({
      isExpected: (device) => device.line === 'ward-3',
      introspection,
      time: new TellTime({ registry, clock: new FakeTime() }),
      random,
      log: new QuietLog(),
    });
    const answer = await handler({
      method: COAP_METHOD.POST,
      path: ['introspect'],
      contentFormat: CONTENT_FORMAT.aceCbor,
      payload: bytesOf(message),
    });
    expect([answer.code, answer.contentFormat]).toEqual([codeNumber(code), contentFormat]);
    expect(hex(answer.payload)).toBe(hex(bytesOf(answerMessage)));
  });

  it('the refusal is what its message holds', () => {
    expect(diagnostic(decodeCbor(bytesOf('coap-refusal-message')))).toBe(plain('coap-refusal'));
  });

  it('the answer is what its message holds', () => {
    const { device: id, sessionKey } = credentials;
    const answer = openDeviceAnswer(bytesOf('coap-answer-message'), { device: id, nonce, key: sessionKey });
    const opened = answer.payload;
    expect(answer.hubNonce).toEqual(hubNonce);
    expect(diagnostic(decodeCbor(opened))).toBe(plain('coap-answer'));
    expect(encodeCbor(decodeCbor(opened))).toEqual(opened);
  });
});

describe('the tables', () => {
  it.each(Object.entries(PARAMETERS))('have the number of %s', (name, { label }) => {
    const row = section.split('\n').find((line) => line.startsWith('|') && line.split('|')[1]?.includes(`\`${name}\``));
    expect(row?.split('|')[2]).toContain(String(label).replace('-', '−'));
  });

  it.each(Object.entries(INTROSPECTION).filter(([name]) => !name.startsWith('token')))(
    'have the number of %s',
    (name, label) => {
      expect(section.replaceAll('`', '')).toMatch(new RegExp(`\\b${name} ${label}\\b`));
    },
  );

  it('have the number of latchkey', () => {
    expect(section).toContain(`(−${-INTROSPECTION_PRIVATE.latchkey})`);
  });
});

it('the credentials are those of the device in the examples', () => {
  expect(JSON.parse(example('credentials'))).toEqual(JSON.parse(credentialsFileOf(device)));
});

function header(line: string): [string, string] {
  const at = line.indexOf(':');
  return [line.slice(0, at), line.slice(at + 1).trim()];
}

function plain(name: string): string {
  return example(name).replaceAll(/\s+/g, ' ').trim();
}

/** Diagnostic notation (RFC 8949 §8) of what occurs in the examples. */
function diagnostic(value: CborValue): string {
  if (value instanceof Uint8Array) return `h'${hex(value)}'`;
  if (isCborMap(value)) {
    return `{${Array.from(value, ([key, item]) => `${JSON.stringify(key)}: ${diagnostic(item)}`).join(', ')}}`;
  }
  return JSON.stringify(value);
}

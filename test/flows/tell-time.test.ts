import { beforeEach, describe, expect, it } from 'vitest';
import { codeText } from '../../src/codec/coap/codes.ts';
import { COAP_METHOD, CONTENT_FORMAT } from '../../src/codec/iana.ts';
import { openTimeAnswer, timeQuery } from '../../src/codec/time-answer.ts';
import type { CoapRequest } from '../../src/core/coap-exchange.ts';
import { timeKey } from '../../src/devices/device-trust.ts';
import { Registry } from '../../src/devices/registry.ts';
import { ProtectedIntrospection } from '../../src/flows/protected-introspection.ts';
import { serveDevices } from '../../src/flows/serve-devices.ts';
import { TellTime } from '../../src/flows/tell-time.ts';
import { CoapPair } from '../fakes/coap-pair.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { FaultyStore } from '../fakes/faulty-store.ts';
import { QuietLog } from '../fakes/quiet-log.ts';
import { ScriptedRelay } from '../fakes/scripted-relay.ts';
import { connectedDevice } from '../fixtures/connected-device.ts';

const NOW = 1_700_000_000;
const tube = connectedDevice('tube-1', { line: 'ward-3' });
const nonce = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);

let time: FakeTime;
let pair: CoapPair;

beforeEach(async () => {
  time = new FakeTime({ now: NOW });
  const log = new QuietLog();
  const registry = new Registry({ store: new FaultyStore(), log });
  await registry.add(tube);
  await registry.add(connectedDevice('tube-2', { line: 'ward-4' }));
  const introspection = new ProtectedIntrospection({ registry, relay: new ScriptedRelay(), clock: time, random: time });
  const handler = serveDevices({
    isExpected: (device) => device.line === 'ward-3',
    introspection,
    time: new TellTime({ registry, clock: time }),
    random: time,
    log,
  });
  pair = new CoapPair({ time, handler });
});

async function get(changes: Partial<CoapRequest> = {}) {
  const answer = pair.client.request(
    { method: COAP_METHOD.GET, path: ['time'], query: timeQuery({ device: 'tube-1', nonce }), ...changes },
    { deadline: 10_000 },
  );
  await time.advance(10_000);
  return answer;
}

async function refusal(changes: Partial<CoapRequest> = {}): Promise<string> {
  const answer = await get(changes);
  expect(answer.payload).toHaveLength(0);
  return codeText(answer.code);
}

describe('GET /time', () => {
  it('tells the time under the key of the device that asks', async () => {
    const answer = await get();
    expect([codeText(answer.code), answer.contentFormat]).toEqual(['2.05', CONTENT_FORMAT.coseMac0]);
    expect(openTimeAnswer(answer.payload, { device: 'tube-1', nonce, key: timeKey(tube) })).toBe(NOW);
  });

  it('is 5.03 while the hub does not know the time itself', async () => {
    time.forgetLatest();
    expect(await refusal()).toBe('5.03');
  });

  it.each([
    ['4.01 for a device that is not known', { query: timeQuery({ device: 'tube-9', nonce }) }, '4.01'],
    ['4.01 for a device of another line', { query: timeQuery({ device: 'tube-2', nonce }) }, '4.01'],
    ['4.00 without a query', { query: [] }, '4.00'],
    ['4.05 for another method', { method: COAP_METHOD.POST }, '4.05'],
    ['4.06 for another format', { accept: CONTENT_FORMAT.json }, '4.06'],
    ['4.04 below', { path: ['time', 'x'] }, '4.04'],
  ] as [string, Partial<CoapRequest>, string][])('is %s', async (_, changes, code) => {
    expect(await refusal(changes)).toBe(code);
  });
});

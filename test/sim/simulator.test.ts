import { afterEach, expect, test } from 'vitest';
import { decodeCbor, isCborMap } from '../../src/codec/cbor.ts';
import { codeText } from '../../src/codec/coap/codes.ts';
import { COAP_METHOD, CONTENT_FORMAT } from '../../src/codec/iana.ts';
import type { CoapRequest } from '../../src/core/coap-exchange.ts';
import type { DeviceLink } from '../../src/ports/device-link.ts';
import {
  openStrangersLine,
  type RunningSimulator,
  type SimulatorOptions,
  startSimulator,
} from '../../src/simulator.ts';
import { claims, MAC_KEY, macToken, trustFile } from './tube.ts';

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const part of opened.splice(0).reverse()) await part.close();
});

async function start(more: Partial<SimulatorOptions> = {}): Promise<{ simulator: RunningSimulator; line: DeviceLink }> {
  const simulator = await startSimulator({ listen: 'tcp://127.0.0.1:0', trust: trustFile(), ...more });
  opened.push(simulator);
  const line = await openStrangersLine(simulator.device);
  opened.push(line);
  return { simulator, line };
}

const status: CoapRequest = { method: COAP_METHOD.GET, path: ['status'] };
const authzInfo = (payload: Uint8Array): CoapRequest => ({
  method: COAP_METHOD.POST,
  path: ['authz-info'],
  contentFormat: CONTENT_FORMAT.cwt,
  payload,
});

test('a port of 0 becomes a real one', async () => {
  const { simulator } = await start();
  expect(simulator.address).toMatch(/^tcp:\/\/127\.0\.0\.1:[1-9]\d*$/);
});

test('a token arrives over a real line, in blocks where it is long', async () => {
  const { simulator, line } = await start();
  const token = macToken({ ...claims(), expiresAt: 4_000_000_000, subject: 'x'.repeat(600) }, MAC_KEY);
  const answer = await line.request(authzInfo(token), { deadline: 5_000 });
  expect(codeText(answer.code)).toBe('2.01');
  expect(simulator.device.acceptedTokens).toBe(1);
});

test('a device without a clock says so and takes no token', async () => {
  const { line } = await start({ clock: 'unset' });
  const told = decodeCbor((await line.request(status, { deadline: 5_000 })).payload);
  expect(isCborMap(told) && told.get('time')).toBe(false);
  const answer = await line.request(authzInfo(macToken({ expiresAt: 4_000_000_000 })), { deadline: 5_000 });
  expect(codeText(answer.code)).toBe('4.01');
});

test('a port that is taken is refused', async () => {
  const { simulator } = await start();
  await expect(startSimulator({ listen: simulator.address, trust: trustFile() })).rejects.toMatchObject({
    code: 'address_unavailable',
  });
});

test('a tty that does not exist is refused', async () => {
  await expect(startSimulator({ listen: '/dev/latchkey-no-such-tty', trust: trustFile() })).rejects.toMatchObject({
    code: 'link_down',
  });
});

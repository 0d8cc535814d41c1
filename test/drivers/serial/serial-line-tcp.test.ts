import { type AddressInfo, createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { DevicePort } from '../../../drivers/serial/device-end.ts';
import { serveDevice } from '../../../drivers/serial/device-port.ts';
import { openSerialLine, type SerialLine } from '../../../drivers/serial/serial-line.ts';
import { monotonic, systemRandom, systemTimers } from '../../../drivers/system-time.ts';
import type { CoapHandler } from '../../../src/codec/coap/responder.ts';
import { COAP_CODE, COAP_METHOD } from '../../../src/codec/iana.ts';
import { utf8 } from '../../../src/core/bytes.ts';
import { QuietLog } from '../../fakes/quiet-log.ts';

const system = { timers: systemTimers, random: systemRandom, clock: { monotonic } };
const post = { method: COAP_METHOD.POST, path: ['authz-info'], payload: utf8('token') };
const echo: CoapHandler = async ({ payload }) => ({ code: COAP_CODE.created, payload: payload ?? utf8('') });

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function line(path: string, more: { handler?: CoapHandler; log?: QuietLog } = {}): SerialLine {
  const opened = openSerialLine({
    ...system,
    name: 'tube-line',
    path,
    log: more.log ?? new QuietLog(),
    handler: more.handler,
    settings: { reopenAfter: 5, reopenCap: 20 },
  });
  closers.push(() => opened.close());
  return opened;
}

async function device(handler: CoapHandler = echo): Promise<DevicePort> {
  const port = await serveDevice({ ...system, listen: 'tcp://127.0.0.1:0', handler });
  closers.push(() => port.close());
  return port;
}

function sighting(of: SerialLine): Promise<void> {
  return new Promise((resolve) => {
    const stop = of.onSighting(() => {
      stop();
      resolve();
    });
  });
}

describe('openSerialLine over TCP', () => {
  it('brings a request of the device to the hub', async () => {
    const port = await device();
    const hub = line(port.address, { handler: async () => ({ code: COAP_CODE.content, payload: utf8('12:00') }) });
    await sighting(hub);
    await hub.request(post, { deadline: 10_000 });
    const response = await port.request({ method: COAP_METHOD.GET, path: ['time'] }, { deadline: 10_000 });
    expect(response.payload).toEqual(utf8('12:00'));
  });

  it('serves several lines at once', async () => {
    const ports = await Promise.all([device(), device(), device()]);
    const hubs = ports.map((port) => line(port.address));
    await Promise.all(hubs.map(sighting));
    const answers = await Promise.all(
      hubs.map((hub, index) => hub.request({ ...post, payload: utf8(`${index}`) }, { deadline: 10_000 })),
    );
    expect(answers.map(({ payload }) => payload)).toEqual([utf8('0'), utf8('1'), utf8('2')]);
  });

  it('takes no more of a flood than a line can bring', async () => {
    const sent = Buffer.alloc(65_536);
    const server = createServer((socket) => {
      const flood = () => {
        while (socket.write(sent));
      };
      socket.on('drain', flood).on('error', () => undefined);
      flood();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(() => new Promise((resolve) => server.close(resolve)));
    const { port } = server.address() as AddressInfo;
    const hub = line(`tcp://127.0.0.1:${port}`);
    const received = () => hub.counters().bytesReceived ?? 0;
    const waited = () => hub.counters().slowedDown ?? 0;
    while (waited() < 2) await new Promise((resolve) => setTimeout(resolve, 10));
    // What one read of a socket brings is taken whole; nothing comes while it is paid for.
    expect(received()).toBeLessThanOrEqual(4 * sent.length);
    await hub.close();
  });

  it('puts diagnostics into the log, escaped', async () => {
    const log = new QuietLog();
    const port = await device();
    const hub = line(port.address, { log });
    await sighting(hub);
    port.sendDiagnostic('\u001b[31mlow battery\n');
    await hub.request(post, { deadline: 10_000 });
    expect(log.lines.map(({ fields }) => fields.text)).toContain('\\u001b[31mlow battery');
  });
});

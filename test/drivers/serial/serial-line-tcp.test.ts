import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { DevicePort } from '../../../drivers/serial/device-end.ts';
import { serveDevice } from '../../../drivers/serial/device-port.ts';
import { openSerialLine, type SerialLine } from '../../../drivers/serial/serial-line.ts';
import { monotonic, systemRandom, systemTimers } from '../../../drivers/system-time.ts';
import type { CoapHandler } from '../../../src/codec/coap/responder.ts';
import { COAP_CODE, COAP_METHOD } from '../../../src/codec/iana.ts';
import { encodeSlipmux } from '../../../src/codec/slipmux.ts';
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
  it('delivers a POST to the device and its answer back', async () => {
    const port = await device();
    const hub = line(port.address);
    await sighting(hub);
    const response = await hub.request(post, { deadline: 10_000 });
    expect(response).toEqual({ code: COAP_CODE.created, payload: utf8('token') });
    expect(hub.counters()).toMatchObject({ opened: 1, framesSent: 1, framesReceived: 1, framesBadChecksum: 0 });
  });

  it('carries bodies of full size both ways', async () => {
    const port = await device();
    const hub = line(port.address);
    await sighting(hub);
    const body = systemRandom.bytes(16_384);
    const response = await hub.request({ ...post, payload: body }, { deadline: 20_000 });
    expect(response.payload).toEqual(body);
  });

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

  it('puts diagnostics into the log, escaped', async () => {
    const log = new QuietLog();
    const port = await device();
    const hub = line(port.address, { log });
    await sighting(hub);
    port.sendDiagnostic('\u001b[31mlow battery\n');
    await hub.request(post, { deadline: 10_000 });
    expect(log.lines.map(({ fields }) => fields.text)).toContain('\\u{1b}[31mlow battery');
  });

  it('opens again after the socket was destroyed in the middle of a frame, and delivers then', async () => {
    const raw = await rawServer();
    const hub = line(raw.address);
    await sighting(hub);
    const first = await raw.connection();
    const lost = hub.request(post, { deadline: 10_000 });
    await once(first, 'data');
    const frame = encodeSlipmux(Uint8Array.of(0x60, 0x41, 0x12, 0x34));
    const sightedAgain = sighting(hub);
    first.write(frame.subarray(0, 4), () => first.destroy());
    await expect(lost).rejects.toMatchObject({ code: 'link_down' });
    const second = await raw.connection();
    await sightedAgain;
    second.on('data', (chunk: Buffer) => answerCreated(second, chunk));
    const response = await hub.request(post, { deadline: 10_000 });
    expect(response.code).toBe(COAP_CODE.created);
    expect(hub.counters()).toMatchObject({ opened: 2, lost: 1, framesBadChecksum: 0 });
  });

  it('lets a new hub connection replace the old one', async () => {
    const port = await device();
    const first = line(port.address);
    await sighting(first);
    await first.request(post, { deadline: 10_000 });
    await first.close();
    const second = line(port.address);
    await sighting(second);
    expect((await second.request(post, { deadline: 10_000 })).code).toBe(COAP_CODE.created);
  });
});

describe('openSerialLine refuses', () => {
  it.each(['tcp://127.0.0.1', 'tcp://:1', 'tcp://a:99999', 'ttyUSB0', 'udp://a:1', 'tcp://u@a:1', 'tcp://a:1/b'])(
    'the path %s',
    (path) => {
      expect(() => line(path)).toThrow(expect.objectContaining({ code: 'config_invalid' }));
    },
  );
});

interface RawServer {
  readonly address: string;
  connection(): Promise<Socket>;
}

/** A network serial server of which the test holds the sockets. */
async function rawServer(): Promise<RawServer> {
  const sockets: Socket[] = [];
  const waiting: ((socket: Socket) => void)[] = [];
  const server: Server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    const next = waiting.shift();
    if (next === undefined) sockets.push(socket);
    else next(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => new Promise((resolve) => server.close(resolve)));
  const bound = server.address();
  if (bound === null || typeof bound !== 'object') throw new Error('no address');
  return {
    address: `tcp://127.0.0.1:${bound.port}`,
    connection: () =>
      new Promise((resolve) => {
        const ready = sockets.shift();
        if (ready === undefined) waiting.push(resolve);
        else resolve(ready);
      }),
  };
}

function once(socket: Socket, event: 'data'): Promise<Buffer> {
  return new Promise((resolve) => socket.once(event, resolve));
}

/** Bytes 5 and 6 of an unescaped frame are the message id, and the token follows: enough for a device of ten lines. */
function answerCreated(socket: Socket, chunk: Buffer): void {
  const frame = Buffer.from(
    chunk.subarray(1, -1).toString('latin1').replaceAll('\xdb\xdc', '\xc0').replaceAll('\xdb\xdd', '\xdb'),
    'latin1',
  );
  const tokenLength = (frame[1] ?? 0) & 0x0f;
  const answer = Uint8Array.of(0x60 | tokenLength, COAP_CODE.created, ...frame.subarray(3, 5 + tokenLength));
  socket.write(encodeSlipmux(answer));
}

import { createConnection, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { DevicePort } from '../../../drivers/serial/device-end.ts';
import { serveDevice } from '../../../drivers/serial/device-port.ts';
import { decodeMessage, emptyMessage, encodeMessage } from '../../../src/codec/coap/message.ts';
import { COAP_CODE, COAP_METHOD, COAP_TYPE } from '../../../src/codec/iana.ts';
import { encodeSlipmux, SlipmuxDecoder } from '../../../src/codec/slipmux.ts';
import { EMPTY, utf8 } from '../../../src/core/bytes.ts';
import { system } from '../../fixtures/line-rig.ts';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function serve(listen = 'tcp://127.0.0.1:0'): Promise<DevicePort> {
  const port = await serveDevice({
    ...system,
    listen,
    handler: async () => ({ code: COAP_CODE.content, payload: utf8('21') }),
  });
  closers.push(() => port.close());
  return port;
}

async function connect(port: DevicePort): Promise<Socket> {
  const socket = createConnection({ host: '127.0.0.1', port: Number(port.address.split(':').at(-1)) });
  closers.push(async () => socket.destroy());
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  return socket;
}

/** Sends a ping and waits for the reset that answers it. */
async function ping(socket: Socket, messageId: number): Promise<void> {
  const heard = new Promise<number>((resolve) => {
    const decoder = new SlipmuxDecoder();
    socket.on('data', (chunk) =>
      decoder.push(chunk, {
        onCoap: (bytes) => resolve(decodeMessage(bytes).messageId),
        onDiagnostic: () => undefined,
        onNoise: () => undefined,
      }),
    );
  });
  socket.write(encodeSlipmux(encodeMessage(emptyMessage(COAP_TYPE.CON, messageId))));
  expect(await heard).toBe(messageId);
}

describe('serveDevice over TCP', () => {
  it('lets a new connection replace the old one', async () => {
    const port = await serve();
    const first = await connect(port);
    await ping(first, 1);
    const gone = new Promise((resolve) => first.once('close', resolve));
    const second = await connect(port);
    await gone;
    await ping(second, 2);
    expect(port.isConnected()).toBe(true);
    expect(port.counters()).toMatchObject({ opened: 2, lost: 1, coapReceived: 2 });
  });

  it('sends nothing and says link_down while no hub is connected', async () => {
    const port = await serve();
    const request = port.request({ method: COAP_METHOD.GET, path: ['time'] }, { deadline: 1_000 });
    await expect(request).rejects.toMatchObject({ code: 'link_down' });
    port.sendDiagnostic('to nobody');
    expect(port.isConnected()).toBe(false);
    expect(port.counters().framesSent).toBe(0);
  });

  it('ignores diagnostics of a hub', async () => {
    const port = await serve();
    const socket = await connect(port);
    socket.write(Uint8Array.of(0xc0, 0x0a, 0x68, 0x69, 0xc0));
    await ping(socket, 3);
    expect(port.counters()).toMatchObject({ diagnostics: 1, framesReceived: 1 });
  });

  it('does not start on a port that is taken: address_unavailable', async () => {
    const port = await serve();
    await expect(serve(port.address)).rejects.toMatchObject({ code: 'address_unavailable' });
  });

  it('does not start on a tty that is not there: link_down', async () => {
    await expect(serve('/dev/latchkey-no-such-tty')).rejects.toMatchObject({ code: 'link_down' });
  });

  it('closes with a hub connected', async () => {
    const port = await serve();
    const socket = await connect(port);
    await ping(socket, 4);
    const gone = new Promise((resolve) => socket.once('close', resolve));
    await port.close();
    await gone;
    expect(port.isConnected()).toBe(false);
  });

  it('gives up a request of its own when the hub goes: device_answer_lost', async () => {
    const port = await serve();
    const socket = await connect(port);
    await ping(socket, 5);
    const request = port.request({ method: COAP_METHOD.GET, path: ['time'], payload: EMPTY }, { deadline: 60_000 });
    socket.destroy();
    await expect(request).rejects.toMatchObject({ code: 'device_answer_lost' });
  });
});

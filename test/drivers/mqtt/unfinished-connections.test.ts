/** Connections to the embedded broker that end in the middle, and packets that come byte by byte: neither costs more than its share. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { PACKET } from '../../../src/codec/mqtt/registry.ts';
import { MqttDevice } from '../../fixtures/mqtt-device.ts';
import { connected, openMqttRig, secretOf } from '../../fixtures/mqtt-front.ts';
import { CONTENT_TYPE, connect, properties, publish, RESPONSE_TOPIC, subscribe } from '../../fixtures/mqtt-packets.ts';
import { RawMqttClient } from '../../fixtures/raw-mqtt-client.ts';

const PROBE = fileURLToPath(new URL('../../fixtures/children/broker-probe.ts', import.meta.url));

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

describe('a CONNECT with the end of the connection right behind it leaves nothing in memory', {
  timeout: 60_000,
}, () => {
  async function probe(): Promise<{ readonly port: number; alive(): Promise<number> }> {
    const child = fork(PROBE);
    cleanUp.push(async () => {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    });
    const [port] = (await once(child, 'message')) as [number];
    const alive = async () => {
      child.send('count');
      const [count] = (await once(child, 'message')) as [number];
      return count;
    };
    return { port, alive };
  }

  const end = (socket: Socket, bytes: Uint8Array) => socket.end(bytes);
  const reset = (socket: Socket, bytes: Uint8Array) => socket.write(bytes, () => socket.resetAndDestroy());

  test.each([
    ['FIN, and a login that is good at once', 'good 0', end],
    ['FIN, and a login that is good after the end', 'good 100', end],
    ['FIN, and a login that is bad at once', 'bad 0', end],
    ['FIN, and a login that is bad after the end', 'bad 100', end],
    ['FIN, and a login that the hub never answers', 'never', end],
    ['RST, and a login that is good at once', 'good 0', reset],
    ['RST, and a login that is good after the end', 'good 100', reset],
    ['RST, and a login that is bad after the end', 'bad 100', reset],
  ])('%s', async (_, password, finish) => {
    const { alive, port } = await probe();
    const before = await alive();
    const round = async (number: number) => {
      const sockets = Array.from({ length: 25 }, () => connectTcp({ host: '127.0.0.1', port }));
      await Promise.all(
        sockets.map(async (socket, index) => {
          const closed = new Promise((resolve) => socket.once('close', resolve));
          socket.on('error', () => undefined).resume();
          await once(socket, 'connect');
          finish(socket, connect({ username: `d-${number}-${index}`, password, will: { topic: 'a', payload: 'b' } }));
          await closed;
        }),
      );
    };
    for (let number = 0; number < 8; number += 1) await round(number);
    await vi.waitFor(async () => expect(await alive()).toBeLessThanOrEqual(before), { timeout: 15_000, interval: 250 });
  });
});

describe('the running broker goes on for the others', { timeout: 60_000 }, () => {
  async function open() {
    const rig = await openMqttRig();
    cleanUp.push(() => rig.front.close(1_000));
    await connected(rig.front);
    const port = rig.front.port ?? 0;
    const honest = await MqttDevice.connect({ port, device: 'ekg-1', password: secretOf('ekg-1') });
    cleanUp.push(() => honest.close());
    return { rig, port, honest, pid: rig.front.brokerPid() ?? 0 };
  }

  const files = (pid: number) => readdirSync(`/proc/${pid}/fd`).length;
  const memory = (pid: number) =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1_024;

  test('while others send a CONNECT and end, more often than it takes logins', async () => {
    const { honest, pid, port, rig } = await open();
    const before = files(pid);
    for (let round = 0; round < 12; round += 1) {
      const sockets = Array.from({ length: 100 }, () => connectTcp({ host: '127.0.0.1', port }));
      for (const socket of sockets) {
        socket.on('error', () => undefined).resume();
        socket.end(connect({ username: 'rogue-1', password: round % 2 === 0 ? secretOf('rogue-1') : 'wrong' }));
      }
      await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve))));
      expect((await honest.ask('{"token":"honest"}')).contentType).toBe('application/json');
    }
    await vi.waitFor(() => expect(files(pid)).toBeLessThanOrEqual(before), { timeout: 10_000 });
    expect(rig.front.counters().brokerRestarts).toBe(0);
  });

  /** Each byte in a packet of TCP, as far as the system lets it. This process has its turns between them. */
  async function trickle(send: (byte: Uint8Array) => unknown, bytes: Uint8Array): Promise<void> {
    for (const byte of bytes) {
      send(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  test('while strangers send a large CONNECT byte by byte', async () => {
    const { honest, pid, port, rig } = await open();
    const before = memory(pid);
    const bytes = connect({ username: 'rogue-1', password: 'x'.repeat(4_000) });
    const sockets = Array.from({ length: 32 }, () => connectTcp({ host: '127.0.0.1', port, noDelay: true }));
    cleanUp.push(() => sockets.forEach((socket) => void socket.destroy()));
    for (const socket of sockets) socket.on('error', () => undefined).resume();
    const flood = Promise.all(
      sockets.map((socket) => trickle((byte) => !socket.destroyed && socket.write(byte), bytes)),
    );
    let isOver = false;
    void flood.then(() => {
      isOver = true;
    });
    const times: number[] = [];
    while (!isOver) {
      const began = performance.now();
      await honest.ask('{"token":"honest"}');
      times.push(performance.now() - began);
    }
    expect(Math.max(...times)).toBeLessThan(2_000);
    expect(memory(pid) - before).toBeLessThan(67_108_864);
    expect(rig.front.counters().brokerRestarts).toBe(0);
  });

  test('while a device sends a large question byte by byte, which is answered', async () => {
    const { honest, port, rig } = await open();
    const payload = JSON.stringify({ token: 'x'.repeat(8_000) });
    const rogues = await Promise.all(
      Array.from({ length: 4 }, async (_, index) => {
        const client = await RawMqttClient.logIn(port, `rogue-${index}`);
        cleanUp.push(() => client.destroy());
        const topic = `latchkey/v1/rogue-${index}`;
        client.send(subscribe(1, `${topic}/answer`));
        await client.received(PACKET.SUBACK);
        const wish = properties(CONTENT_TYPE('application/json'), RESPONSE_TOPIC(`${topic}/answer`));
        return { client, bytes: publish({ topic: `${topic}/introspect`, properties: wish, payload }) };
      }),
    );
    const flood = Promise.all(
      rogues.map(async ({ bytes, client }) => {
        await trickle((byte) => client.send(byte), bytes);
        await client.received(PACKET.PUBLISH);
      }),
    );
    let isOver = false;
    void flood.then(() => {
      isOver = true;
    });
    const times: number[] = [];
    while (!isOver) {
      const began = performance.now();
      await honest.ask('{"token":"honest"}');
      times.push(performance.now() - began);
    }
    await flood;
    expect(Math.max(...times)).toBeLessThan(2_000);
    expect(rig.front.counters().brokerRestarts).toBe(0);
  });
});

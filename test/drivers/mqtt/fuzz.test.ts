/**
 * Packets without sense in both roles. `MQTT_FUZZ_PACKETS=500000 npx vitest run --config test/vitest.config.ts --project unit
 * test/drivers/mqtt/fuzz.test.ts` takes longer; `MQTT_FUZZ_SEED` repeats or varies a run.
 */
import { afterEach, expect, test, vi } from 'vitest';
import { QUICK } from '../../fixtures/aedes-broker.ts';
import { MqttDevice } from '../../fixtures/mqtt-device.ts';
import { connected, openMqttRig, secretOf } from '../../fixtures/mqtt-front.ts';
import { MqttFuzz } from '../../fixtures/mqtt-fuzz.ts';
import { CONTENT_TYPE, connect, PINGREQ, properties, publish, RESPONSE_TOPIC } from '../../fixtures/mqtt-packets.ts';
import { RawBroker } from '../../fixtures/raw-broker.ts';
import { RawMqttClient } from '../../fixtures/raw-mqtt-client.ts';

const PACKETS = Number(process.env.MQTT_FUZZ_PACKETS ?? 4_000);
const SEED = Number(process.env.MQTT_FUZZ_SEED ?? 20_261_124);
const PER_CONNECTION = 20;
const TIMEOUT = 60_000 + PACKETS * 20;

const cleanUp: (() => Promise<unknown>)[] = [];
const escaped: unknown[] = [];
const note = (error: unknown) => escaped.push(error);
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
  process.off('uncaughtException', note).off('unhandledRejection', note);
  expect(escaped.splice(0)).toEqual([]);
});

test('the embedded broker stays the same process, and goes on for the others', { timeout: TIMEOUT }, async () => {
  process.on('uncaughtException', note).on('unhandledRejection', note);
  const rig = await openMqttRig();
  cleanUp.push(() => rig.front.close(1_000));
  await connected(rig.front);
  const port = rig.front.port ?? 0;
  const pid = rig.front.brokerPid();
  const honest = await MqttDevice.connect({ port, device: 'ekg-1', password: secretOf('ekg-1') });
  cleanUp.push(() => honest.close());
  // Several devices, since the logins of one have a limit.
  const fuzzes = [1, 2, 3, 4].map((number) => ({
    name: `rogue-${number}`,
    fuzz: new MqttFuzz(SEED + number, `rogue-${number}`),
  }));
  const attack = async ({ fuzz, name }: (typeof fuzzes)[number]) => {
    const rogue = await RawMqttClient.open(port);
    const login = connect({ username: name, password: secretOf(name), clean: fuzz.below(2) === 0 });
    // What ends the connection comes last, and sometimes first.
    const packets = Array.from({ length: PER_CONNECTION }, () => fuzz.goodClientPacket());
    packets.splice(fuzz.below(8) === 0 ? 0 : -3, 3, fuzz.clientPacket(), fuzz.clientPacket(), fuzz.clientPacket());
    rogue.send(Buffer.concat([login, ...packets.slice(0, 3)]));
    await Promise.race([rogue.closed(), rogue.received(2)]);
    for (const each of packets.slice(3)) await rogue.sendAll(each);
    // Whichever comes: the end, or the answer to what asks for one.
    rogue.send(PINGREQ);
    await Promise.race([rogue.closed(), new Promise((resolve) => setTimeout(resolve, 20))]);
    rogue.destroy();
  };
  for (let sent = 0; sent < PACKETS; sent += 4 * PER_CONNECTION) {
    await Promise.allSettled(fuzzes.map(attack));
    if (sent % (40 * PER_CONNECTION) === 0) await honest.ask('{"token":"honest"}');
  }
  expect((await honest.ask('{"token":"honest"}')).contentType).toBe('application/json');
  expect(rig.front.brokerPid()).toBe(pid);
  expect(rig.front.counters().brokerRestarts).toBe(0);
  // Some of it kept the rules: else aedes would have seen none.
  expect(rig.front.counters().requests).toBeGreaterThan(PACKETS / 100);
});

test('the hub at a hostile broker goes on', { timeout: TIMEOUT }, async () => {
  process.on('uncaughtException', note).on('unhandledRejection', note);
  const broker = await RawBroker.start();
  cleanUp.push(() => broker.close());
  const access = { host: '127.0.0.1', port: broker.port, tls: undefined, clientId: 'hub' };
  const settings = { ...QUICK, reconnectAfter: 1, reconnectCap: 2 };
  const rig = await openMqttRig({ broker: { ...access, username: undefined, password: undefined }, settings });
  cleanUp.push(() => rig.front.close(1_000));
  const fuzz = new MqttFuzz(SEED, 'ekg-1');
  for (let sent = 0; sent < PACKETS; sent += PER_CONNECTION) {
    await connected(rig.front);
    for (let count = 0; count < PER_CONNECTION; count += 1) broker.send(fuzz.serverPacket());
    await new Promise((resolve) => setImmediate(resolve));
    // Else what follows may be the rest of a packet that was announced longer than it is.
    if (sent % (5 * PER_CONNECTION) === 0) broker.drop();
  }
  expect(rig.front.counters().malformed).toBeGreaterThan(PACKETS / 100);
  expect(rig.front.counters().requests).toBeGreaterThan(PACKETS / 100);
  broker.drop();
  const topic = 'latchkey/v1/ekg-1/introspect';
  const asks = properties(CONTENT_TYPE('application/json'), RESPONSE_TOPIC('latchkey/v1/ekg-1/answer'));
  await vi.waitFor(
    async () => {
      await connected(rig.front);
      broker.send(publish({ topic, properties: asks, payload: '{"token":"afterwards"}' }));
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(rig.relay.requests.map(({ token }) => token.expose())).toContain('afterwards');
    },
    { timeout: 10_000 },
  );
});

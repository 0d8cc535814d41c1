/** A broker that serves others already, with the files that we ship beside their configuration. */
import { connectAsync, type MqttClient } from 'mqtt';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { freePort } from '../fixtures/free-port.ts';
import { brokerCa, Mosquitto } from '../fixtures/mosquitto.ts';

const HUB = { username: '@hub', password: 'hub-password' };

let broker: Mosquitto;
let otherPort: number;
const clients: MqttClient[] = [];

beforeEach(async () => {
  otherPort = await freePort();
  broker = await Mosquitto.start({
    users: { [HUB.username]: HUB.password, 'ekg-1': 'ekg-password' },
    // As the documentation of zigbee2mqtt has it.
    others: `listener ${otherPort} 127.0.0.1\nallow_anonymous true\n`,
  });
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.endAsync(true);
  await broker.remove();
});

async function connect(url: string, options: object): Promise<MqttClient> {
  const client = await connectAsync(url, { reconnectPeriod: 0, protocolVersion: 5, ...options });
  client.on('error', () => undefined);
  clients.push(client);
  return client;
}

const asOther = (options: object = {}) =>
  connect(`mqtt://127.0.0.1:${otherPort}`, { clientId: 'zigbee2mqtt', ...options });
const asDevice = (options: object = {}) =>
  connect(`mqtts://localhost:${broker.port}`, {
    ca: brokerCa(),
    username: 'ekg-1',
    password: 'ekg-password',
    ...options,
  });

describe('another user of the broker', () => {
  test('logs in as before, with its own client id, and reads what it writes, large messages too', async () => {
    const client = await asOther();
    await client.subscribeAsync('zigbee2mqtt/#', { qos: 1 });
    const came = new Promise<[string, number]>((resolve) => {
      client.once('message', (topic, payload) => resolve([topic, payload.length]));
    });
    await client.publishAsync('zigbee2mqtt/bridge/devices', Buffer.alloc(200_000), { qos: 1 });
    expect(await came).toEqual(['zigbee2mqtt/bridge/devices', 200_000]);
    // Two of them need names of their own.
    const second = await asOther({ clientId: 'home-assistant' });
    expect(client.connected && second.connected).toBe(true);
  });

  test('is still kept out of the listener of Latchkey', async () => {
    await expect(asDevice({ username: undefined, password: undefined })).rejects.toThrow(/[Nn]ot authorized/);
    expect((await asDevice()).connected).toBe(true);
  });
});

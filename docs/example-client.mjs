// Shows a connected device the token of example-token.mjs, comes to a key with it, and asks it for a reading under that key.
// Takes the folder with token.jwt and client.jwk, the address of the device, and the audience of its tokens.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { decode } from 'cbor-x';
import { ConnectedDevice, DpopKey, dpopToken } from 'latchkey/client';

const [, , folder, url, audience] = process.argv;
const read = (name) => readFileSync(join(folder, name), 'utf8');
const token = dpopToken(read('token.jwt'), await DpopKey.fromJwk(JSON.parse(read('client.jwk'))));
const device = new ConnectedDevice({ url, audience });

let session;
for (let attempt = 1; session === undefined; attempt += 1) {
  try {
    session = await device.open('readings', token);
  } catch (error) {
    // Device, hub or broker may still be starting.
    const isStarting = error.code === 'client_unreachable' || error.hubCode === 'hub_no_answer';
    if (!isStarting || attempt === 9) throw error;
    await setTimeout(1_000);
  }
}
process.stdout.write(`${JSON.stringify(decode(await session.exchange(Buffer.from('read'))))}\n`);

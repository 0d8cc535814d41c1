/**
 * The built hub over a state folder that was filled beforehand: many devices, many waiting tokens, on lines that are all down.
 * A part that is loaded before the hub measures, in the hub's own process, how long its event loop stood still.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { systemRandom } from '../drivers/system-time.ts';
import { adminRequest } from '../src/cli/admin-client.ts';
import { hex } from '../src/core/bytes.ts';
import type { JsonObject, JsonValue } from '../src/core/json.ts';
import { Secret } from '../src/core/secret.ts';
import { encodeDelivery } from '../src/devices/delivery.ts';
import type { Device } from '../src/devices/device.ts';
import { trustOf } from '../src/devices/device-trust.ts';
import { HubKeys } from '../src/devices/hub-keys.ts';
import { profileFromJson } from '../src/devices/profile.ts';
import { Registry } from '../src/devices/registry.ts';
import { TrustRecords } from '../src/devices/trust-records.ts';
import { createLog } from '../src/observe/log.ts';
import type { Store } from '../src/ports/store.ts';
import { openStore } from '../src/store/open-store.ts';
import { type SigningKey, signingKey, signJwt } from '../test/fixtures/jwt-signing.ts';

/** Beside this file once both are built. */
const PROGRAM = fileURLToPath(new URL('../bin/latchkey.js', import.meta.url));
export const LINES = 64;
const DAY = 86_400;

/** Answers each message with the longest stall since the one before, in milliseconds. */
const PROBE = `
import { monitorEventLoopDelay } from 'node:perf_hooks';
const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
process.on('message', () => {
  process.send(delay.max / 1e6);
  delay.reset();
});
process.channel?.unref();
`;

/** An authorization server of which there are only its keys; they can be replaced. */
export class KeyServer {
  readonly #server: Server;
  #key: SigningKey = signingKey('P-256', 'as-1');

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<KeyServer> {
    const server = createServer();
    const keys = new KeyServer(server);
    server.on('request', (_, response) => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ keys: [keys.publicKey()] }));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return keys;
  }

  get issuer(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  publicKey(): JsonObject {
    return { ...this.#key.jwk, alg: 'ES256' };
  }

  rotate(): void {
    this.#key = signingKey('P-256', `as-${hex(systemRandom.bytes(4))}`);
  }

  token(device: string): string {
    const now = Math.floor(Date.now() / 1_000);
    const { kid: _, ...jwk } = this.#key.jwk;
    return signJwt({
      key: this.#key,
      header: { alg: 'ES256', typ: 'at+jwt', kid: this.#key.kid },
      claims: {
        iss: this.issuer,
        sub: 'doctor-7',
        aud: audienceOf(device),
        client_id: 'doctor-app',
        scope: 'read',
        iat: now,
        exp: now + DAY,
        jti: hex(systemRandom.bytes(16)),
        cnf: { jwk },
      },
    });
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

export interface Filling {
  readonly devices: number;
  /** Tokens that wait, spread over the devices. */
  readonly waiting: number;
}

export class ScaledHub {
  readonly #folder = mkdtempSync(join(tmpdir(), 'latchkey-bench-'));
  readonly #keys: KeyServer;
  #child: ChildProcess | undefined;
  #address = '';

  private constructor(keys: KeyServer) {
    this.#keys = keys;
  }

  /** A state folder that is full, and no hub yet. */
  static async fill(keys: KeyServer, filling: Filling): Promise<ScaledHub> {
    const hub = new ScaledHub(keys);
    hub.#configure();
    const store = await openStore(join(hub.#folder, 'state', 'db'));
    await fillStore(unflushed(store), keys, filling);
    await store.close();
    return hub;
  }

  /** Starts the hub. @returns milliseconds until it was ready */
  async start(): Promise<number> {
    const log = openSync(join(this.#folder, 'log'), 'w');
    const began = performance.now();
    const probe = `data:text/javascript,${encodeURIComponent(PROBE)}`;
    const child = spawn(process.execPath, ['--import', probe, PROGRAM, 'run', '--config', this.#config], {
      stdio: ['ignore', log, log, 'ipc'],
    });
    closeSync(log);
    this.#child = child;
    for (;;) {
      const text = readFileSync(join(this.#folder, 'log'), 'utf8');
      const ready = text.split('\n').find((line) => line.includes('"event":"ready"'));
      if (ready !== undefined) {
        this.#address = String((JSON.parse(ready) as JsonObject).address);
        return performance.now() - began;
      }
      if (child.exitCode !== null) throw new Error(`the hub ended before it was ready:\n${text}`);
      await sleep(2);
    }
  }

  /** Milliseconds of the longest stall since this was last asked. */
  async longestStall(): Promise<number> {
    const child = this.#running();
    const answer = once(child, 'message');
    child.send('stall');
    const [milliseconds] = (await answer) as [number];
    return milliseconds;
  }

  /** Seconds of processor time that the hub used so far. */
  processorSeconds(): number {
    // Behind the name, which may hold blanks: utime and stime are the 12th and 13th field there, in ticks of 10 ms.
    const fields = readFileSync(`/proc/${this.#running().pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }

  admin(method: 'GET' | 'POST', path: string): Promise<JsonValue> {
    return adminRequest({ sockets: [join(this.#folder, 'state', 'admin.sock')], method, path });
  }

  /** @returns milliseconds until the hub answered that the token waits */
  async deliver(device: string): Promise<number> {
    const headers = { authorization: `Bearer ${this.#keys.token(device)}` };
    const began = performance.now();
    const answer = await fetch(`${this.#address}/devices/${device}/authz-info`, { method: 'POST', headers });
    const text = await answer.text();
    if (answer.status !== 202) throw new Error(`${answer.status} ${text}`);
    return performance.now() - began;
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    await exit;
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #config(): string {
    return join(this.#folder, 'latchkey.toml');
  }

  #running(): ChildProcess {
    if (this.#child === undefined) throw new Error('no hub is running');
    return this.#child;
  }

  #configure(): void {
    const lines = Array.from(
      { length: LINES },
      (_, line) => `[[lines]]\nname = "line-${line}"\npath = ${JSON.stringify(join(this.#folder, `tty-${line}`))}\n`,
    );
    writeFileSync(
      this.#config,
      `state_dir = ${JSON.stringify(join(this.#folder, 'state'))}
[http]
listen = "127.0.0.1:0"
[clock]
trust = "system"
[delivery]
wait = "0s"
max_per_device = 1024
max_overall = 65536
[[issuers]]
issuer = "${this.#keys.issuer}"
jwks_url = "${this.#keys.issuer}/jwks"
unknown_kid_cooldown = "1s"
${lines.join('')}`,
    );
  }
}

export function deviceId(index: number): string {
  return `tube-${index}`;
}

function audienceOf(device: string): string {
  return `coap://${device}`;
}

/** As hundreds of operators would have left it, half of the devices with tokens that the hub signs. */
async function fillStore(store: Store, keys: KeyServer, { devices, waiting }: Filling): Promise<void> {
  const log = createLog({ level: 'error' });
  const hubKeys = await HubKeys.load(store);
  const registry = new Registry({ store, log });
  const records = new TrustRecords({ store, hubKeys, log });
  const addedAt = Math.floor(Date.now() / 1_000);
  const { kty, crv, x, y, kid } = keys.publicKey();
  const issuers = [{ issuer: keys.issuer, keys: [{ kty, crv, x, y, kid, alg: 'ES256' } as JsonObject] }];
  for (let index = 0; index < devices; index += 1) {
    const id = deviceId(index);
    const device: Device = {
      id,
      audience: audienceOf(id),
      line: `line-${index % LINES}`,
      profile: profileFromJson({
        wrap: index % 2 === 0 ? 'mac0' : 'sign1',
        permissions: { read: [['temperature', 1]] },
      }),
      issuers: undefined,
      rootKey: new Secret(systemRandom.bytes(32)),
      trustVersion: 1,
      addedAt,
    };
    const { change } = records.provisioned(id, trustOf(device, hubKeys, { issuers, time: undefined }), addedAt);
    await registry.add(device, [change]);
  }
  for (let number = 1; number <= waiting; number += 1) {
    const id = hex(systemRandom.bytes(16));
    const device = deviceId(number % devices);
    const value = encodeDelivery({
      id,
      sequence: number,
      device,
      audience: audienceOf(device),
      state: 'queued',
      cwt: new Secret(systemRandom.bytes(160)),
      tokenHash: systemRandom.bytes(8),
      cti: systemRandom.bytes(16),
      expiresAt: addedAt + DAY + number,
      scope: 'read',
      jwtBytes: 600,
      cwtBytes: 160,
      keysAge: 0,
      clock: 'sure',
      request: 'bench',
      deviceCode: undefined,
      code: undefined,
      receipt: false,
    });
    await store.write([{ put: `delivery/${id}`, value }]);
  }
}

/** What fills a folder for a bench need not survive a power cut. */
function unflushed(store: Store): Store {
  return {
    read: (key) => store.read(key),
    list: (prefix) => store.list(prefix),
    write: (changes) => store.write(changes, { flush: false }),
    forget: (prefix) => store.forget(prefix),
    close: () => store.close(),
  };
}

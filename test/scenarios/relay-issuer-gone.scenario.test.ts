/** An authorization server that is gone for good, hubs that are restarted meanwhile, and the day on which it is back. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { AuthorizationServer, DpopKey, type DpopToken, Secret } from '../../src/client/index.ts';
import type { Credentials } from '../../src/codec/credentials-file.ts';
import { utf8 } from '../../src/core/bytes.ts';
import { openStore } from '../../src/store/open-store.ts';
import { recordKey } from '../../src/trust/key-record.ts';
import {
  type DemoAuthorizationServer,
  EKG_AUDIENCE,
  HUB_CLIENT,
  MACHINE_CLIENT,
  startAuthorizationServer,
} from '../fixtures/authorization-server.ts';
import { startFaultyServer } from '../fixtures/faulty-server.ts';
import { HubFolder, type HubProcess } from '../fixtures/hub-process.ts';
import { askOverHttp, auditRecords, type HttpReply, registerDevice, shown } from '../fixtures/relay-asking.ts';

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

/** An OAuth server that can be switched off: it comes back at its address, with its keys and without its tokens. */
class Switchable {
  #running: DemoAuthorizationServer;
  #isOn = true;

  constructor(running: DemoAuthorizationServer) {
    this.#running = running;
  }

  get issuer(): string {
    return this.#running.issuer;
  }

  requests(path: string): number {
    return this.#running.requests(path);
  }

  async off(): Promise<void> {
    if (this.#isOn) await this.#running.close();
    this.#isOn = false;
  }

  async on(): Promise<void> {
    const { keys, port } = this.#running;
    this.#running = await startAuthorizationServer({ keys, port });
    this.#isOn = true;
  }

  async token(): Promise<DpopToken> {
    const server = await AuthorizationServer.discover({
      issuer: this.issuer,
      clientId: MACHINE_CLIENT.id,
      authentication: { method: 'client_secret_basic', secret: new Secret(MACHINE_CLIENT.secret) },
    });
    const key = await DpopKey.generate();
    return (await server.clientCredentials({ scope: 'read', resource: EKG_AUDIENCE, key })) as DpopToken;
  }
}

class Site {
  readonly as: Switchable;
  readonly folder: HubFolder;
  readonly ekg: Credentials;
  hub!: HubProcess;

  private constructor(as: Switchable, folder: HubFolder, ekg: Credentials) {
    this.as = as;
    this.folder = folder;
    this.ekg = ekg;
  }

  /** The hub is not started yet. */
  static async open(settings = ''): Promise<Site> {
    const as = new Switchable(await startAuthorizationServer());
    cleanUp.push(() => as.off());
    const folder = new HubFolder();
    cleanUp.push(() => folder.remove());
    writeFileSync(join(folder.path, 'secret'), HUB_CLIENT.secret);
    const client = `client_id = "${HUB_CLIENT.id}"\nclient_secret_file = "secret"`;
    folder.configure(`[[issuers]]\nissuer = "${as.issuer}"\n${client}\nintrospection_cache = "0s"\n${settings}`);
    return new Site(as, folder, await registerDevice(folder, 'ekg-1', EKG_AUDIENCE));
  }

  async start(): Promise<void> {
    this.hub = await this.folder.start();
  }

  async restart(signal: NodeJS.Signals): Promise<void> {
    await this.hub.stop(signal);
    await this.start();
  }

  async show(token: DpopToken): Promise<HttpReply> {
    return askOverHttp(this.hub, await shown(token), this.ekg);
  }
}

const GONE = { status: 503, body: { code: 'as_unreachable' } };
const METADATA = ['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration'];

describe('while the server is gone', () => {
  test('a hub that is restarted denies, and serves the first question once it is back, without looking anything up', async () => {
    const site = await Site.open();
    await site.start();
    const token = await site.as.token();
    expect((await site.show(token)).body).toMatchObject({ active: true });
    await site.as.off();
    expect(await site.show(token)).toMatchObject(GONE);
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      await site.restart(signal);
      expect(await site.show(token)).toMatchObject(GONE);
      expect((await auditRecords(site.folder)).at(-1)).toMatchObject({ verdict: 'refused', code: 'as_unreachable' });
    }
    await site.as.on();
    const renewed = await site.as.token();
    const lookups = () => METADATA.reduce((sum, path) => sum + site.as.requests(path), 0);
    const before = lookups();
    expect(await site.show(renewed)).toMatchObject({ status: 200, body: { active: true } });
    expect(lookups()).toBe(before);
    // It has no word on what it issued before: that is no token any more.
    expect((await site.show(token)).body).toMatchObject({ active: false, latchkey: { code: 'token_inactive' } });
  });

  test('a grace serves no longer than the hub that heard the last word', async () => {
    const site = await Site.open('stale_grace = "10m"');
    await site.start();
    const token = await site.as.token();
    expect((await site.show(token)).body).toMatchObject({ active: true, latchkey: { freshness: { stale: false } } });
    await site.as.off();
    expect((await site.show(token)).body).toMatchObject({ active: true, latchkey: { freshness: { stale: true } } });
    await site.restart('SIGTERM');
    expect(await site.show(token)).toMatchObject(GONE);
    await site.as.on();
    const renewed = await site.as.token();
    expect((await site.show(renewed)).body).toMatchObject({ active: true, latchkey: { freshness: { stale: false } } });
  });

  test('a hub that never reached it denies, and serves when it is there', async () => {
    const site = await Site.open('unknown_kid_cooldown = "1s"');
    const token = await site.as.token();
    await site.as.off();
    await site.start();
    expect(await site.show(token)).toMatchObject(GONE);
    const { out } = await site.folder.command('status', '-c', site.folder.config);
    expect(out).toMatch(/^! introspection at http:.*\[as_unreachable\]$/m);
    expect(out).toContain('endpoint not known yet');
    await site.as.on();
    const renewed = await site.as.token();
    await vi.waitFor(async () => expect((await site.show(renewed)).body).toMatchObject({ active: true }), {
      timeout: 10_000,
      interval: 50,
    });
  });

  test('a changed disk brings no token to another server', async () => {
    const site = await Site.open('unknown_kid_cooldown = "1s"');
    await site.start();
    const token = await site.as.token();
    expect((await site.show(token)).body).toMatchObject({ active: true });
    await site.hub.stop();
    await site.as.off();
    const thief = await startFaultyServer();
    cleanUp.push(() => thief.close());
    thief.answers.set('/introspect', { body: JSON.stringify({ active: true, aud: EKG_AUDIENCE }) });
    await changeRecord(site, { introspection_endpoint: `${thief.origin}/introspect` });
    await site.start();
    expect(await site.show(token)).toMatchObject(GONE);
    expect(thief.requests).toEqual([]);
    expect(await site.hub.event('keys_set_aside')).toMatchObject({ level: 'error', code: 'store_corrupt' });
    await site.as.on();
    const renewed = await site.as.token();
    await vi.waitFor(async () => expect((await site.show(renewed)).body).toMatchObject({ active: true }), {
      timeout: 10_000,
      interval: 50,
    });
    expect(thief.requests).toEqual([]);
  });
});

test('a secret that the server does not know shows with the first question, and is gone with the first good one', async () => {
  const site = await Site.open();
  writeFileSync(join(site.folder.path, 'secret'), 'a-secret-that-the-server-does-not-know');
  await site.start();
  const status = async () => (await site.folder.command('status', '-c', site.folder.config)).out;
  expect(await status()).toContain('Nothing is wrong.');
  const token = await site.as.token();
  expect(await site.show(token)).toMatchObject({ status: 503, body: { code: 'introspection_client_refused' } });
  expect(await status()).toMatch(/^! introspection at http:.*\[introspection_client_refused\]$/m);
  writeFileSync(join(site.folder.path, 'secret'), HUB_CLIENT.secret);
  await site.restart('SIGTERM');
  expect((await site.show(token)).body).toMatchObject({ active: true });
  expect(await status()).toContain('Nothing is wrong.');
});

/** Writes to the disk of a hub that is switched off. */
async function changeRecord({ as, folder }: Site, members: Readonly<Record<string, unknown>>): Promise<void> {
  const store = await openStore(join(folder.path, 'state', 'db'));
  const key = recordKey(as.issuer);
  const record = JSON.parse(Buffer.from((await store.read(key)) ?? []).toString()) as object;
  expect(record).toMatchObject({ introspection_endpoint: expect.stringContaining(as.issuer) });
  await store.write([{ put: key, value: utf8(JSON.stringify({ ...record, ...members })) }]);
  await store.close();
}

import { beforeEach, describe, expect, it } from 'vitest';
import { readCredentialsFile } from '../../src/codec/credentials-file.ts';
import { deriveDeviceKey } from '../../src/codec/device-keys.ts';
import { Secret } from '../../src/core/secret.ts';
import { decodeDevice, encodeDevice } from '../../src/devices/device.ts';
import {
  credentialsFileOf,
  DeviceCredentials,
  httpSecret,
  introspectKey,
  sessionKey,
} from '../../src/devices/device-credentials.ts';
import { Registry } from '../../src/devices/registry.ts';
import { FaultyStore } from '../fakes/faulty-store.ts';
import { QuietLog } from '../fakes/quiet-log.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { connectedDevice } from '../fixtures/connected-device.ts';

const THUMBPRINT = new Uint8Array(32).fill(7);
const ekg = connectedDevice('ekg-1', { certificate: THUMBPRINT });
const pump = connectedDevice('pump-1');

const open = async (store = new FaultyStore()) => {
  const registry = new Registry({ store, log: new QuietLog() });
  await registry.load();
  return registry;
};

let registry: Registry;
let credentials: DeviceCredentials;

beforeEach(async () => {
  registry = await open();
  await registry.add(ekg);
  await registry.add(pump);
  credentials = new DeviceCredentials({ registry });
});

const bySecret = (device: string, secret: string) =>
  codeOf(() => credentials.authenticate({ kind: 'secret', device, secret: new Secret(secret) }));

describe('the keys of a connected device', () => {
  it('are each of their own use and algorithm', () => {
    const { rootKey } = ekg;
    expect(introspectKey(ekg)).toMatchObject({ algorithm: 'HMAC 256/64' });
    expect(sessionKey(ekg)).toMatchObject({ algorithm: 'AES-CCM-16-64-128' });
    expect(introspectKey(ekg).key.equals(deriveDeviceKey(rootKey, 'introspect', 'HMAC 256/64').key.key)).toBe(true);
    expect(httpSecret(ekg).expose()).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(httpSecret(ekg).expose()).not.toBe(httpSecret(pump).expose());
  });

  it('are all in its credentials file', () => {
    const file = readCredentialsFile(credentialsFileOf(ekg));
    expect(file).toMatchObject({ device: 'ekg-1', audience: ekg.audience });
    expect(file.httpSecret.expose()).toBe(httpSecret(ekg).expose());
    expect(file.introspectKey.key.equals(introspectKey(ekg).key)).toBe(true);
    expect(file.sessionKey.key.equals(sessionKey(ekg).key)).toBe(true);
  });

  it('never are the root key', () => {
    const root = Buffer.from(ekg.rootKey.expose()).toString('base64url');
    expect(credentialsFileOf(ekg)).not.toContain(root);
  });
});

describe('a device', () => {
  it('is known by its secret', () => {
    expect(credentials.authenticate({ kind: 'secret', device: 'ekg-1', secret: httpSecret(ekg) })).toBe('ekg-1');
  });

  it('is known by its certificate', () => {
    expect(credentials.authenticate({ kind: 'certificate', thumbprint: THUMBPRINT })).toBe('ekg-1');
  });

  it('is not known by the secret of another', () => {
    expect(bySecret('ekg-1', httpSecret(pump).expose())).toBe('device_unauthenticated');
  });

  it('is not known by an empty secret', () => {
    expect(bySecret('ekg-1', '')).toBe('device_unauthenticated');
  });

  it('is not known by a secret of another length', () => {
    expect(bySecret('ekg-1', `${httpSecret(ekg).expose()}A`)).toBe('device_unauthenticated');
  });

  it('is not known where it is not registered', () => {
    expect(bySecret('ekg-9', httpSecret(ekg).expose())).toBe('device_unauthenticated');
  });

  it('is not known by a certificate that is not registered', () => {
    const thumbprint = new Uint8Array(32);
    expect(codeOf(() => credentials.authenticate({ kind: 'certificate', thumbprint }))).toBe('device_unauthenticated');
  });

  it.each([
    ['a device with another secret', 'ekg-1', 'wrong secret of ekg-1'],
    ['a device that is not registered', 'ekg-9', 'no such device is registered'],
    ['what can be no device', 'Canary', 'no such device is registered'],
  ])('is named in the log where it was %s', (_, id, detail) => {
    const attempt = () => credentials.authenticate({ kind: 'secret', device: id, secret: new Secret('a guess') });
    expect(attempt).toThrow(expect.objectContaining({ code: 'device_unauthenticated', detail }));
  });

  it('is not known any more once it is removed', async () => {
    await registry.remove('ekg-1');
    expect(bySecret('ekg-1', httpSecret(ekg).expose())).toBe('device_unauthenticated');
    expect(registry.byCertificate(THUMBPRINT)).toBeUndefined();
    expect(registry.hasCertificates).toBe(false);
  });
});

describe('the registry', () => {
  it('finds a device by its certificate after a restart', async () => {
    const store = new FaultyStore();
    await (await open(store)).add(ekg);
    const restarted = await open(store);
    expect(restarted.byCertificate(THUMBPRINT)?.id).toBe('ekg-1');
    expect(restarted.hasCertificates).toBe(true);
  });

  it('refuses a certificate that another device has', async () => {
    await expect(registry.add(connectedDevice('ekg-2', { certificate: THUMBPRINT }))).rejects.toMatchObject({
      code: 'device_exists',
    });
  });

  it('forgets the certificate of a device that could not be stored', async () => {
    const store = new FaultyStore();
    const other = await open(store);
    store.failAt(1);
    await expect(other.add(ekg)).rejects.toThrow();
    expect(other.byCertificate(THUMBPRINT)).toBeUndefined();
  });

  it('keeps a device on no line as it is', () => {
    expect(decodeDevice(encodeDevice(ekg))).toEqual({ ...ekg, rootKey: expect.any(Secret) });
  });

  it('reads a record with a thumbprint of another size as broken', () => {
    const bytes = encodeDevice({ ...ekg, certificate: new Uint8Array(20) });
    expect(codeOf(() => decodeDevice(bytes))).toBe('store_corrupt');
  });
});

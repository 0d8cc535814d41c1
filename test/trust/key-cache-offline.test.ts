/** What the hub knows when the issuer is away: over a reboot, past the limit, with a clock that cannot be trusted. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { utf8 } from '../../src/core/bytes.ts';
import type { TimeBounds } from '../../src/core/clock.ts';
import { recordKey } from '../../src/trust/key-record.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { signingKey } from '../fixtures/jwt-signing.ts';
import { KeyCacheRig, rejection } from '../fixtures/key-cache-rig.ts';

const es = signingKey('P-256', 'k1').jwk;
const ed = signingKey('Ed25519', 'k2').jwk;
const START = 1_800_000_000;
const DAY = 86_400;
const DAY_MS = DAY * 1000;

let rig: KeyCacheRig;
beforeEach(async () => {
  rig = await KeyCacheRig.start({ keys: [es, ed] });
});
afterEach(async () => {
  await rig.stop();
});

/** A hub that got its keys at START and was switched off; its issuer has been away since. */
async function lastSeen(): Promise<void> {
  const { cache, pass } = await rig.boot({ time: new FakeTime({ now: START }) });
  await pass(0);
  await cache.close();
  rig.answer({ status: 500 });
}
/** A clock that shows nothing but the floor until it learns the time. The monotonic clock goes on. */
class DoubtedTime extends FakeTime {
  witnessed = 0;
  #set: { readonly time: number; readonly at: number } | undefined;

  learn(time: number): void {
    this.#set = { time, at: this.monotonic() };
  }

  override now(): TimeBounds {
    const floor = super.now().earliest;
    if (this.#set === undefined) return { earliest: Math.max(floor, this.witnessed), latest: undefined };
    const seconds = this.#set.time + (this.monotonic() - this.#set.at) / 1000;
    return { earliest: seconds, latest: seconds };
  }

  override certain(): number {
    return this.#set === undefined ? super.now().earliest : this.now().earliest;
  }
}
async function bootUnsure(now: number) {
  const clock = new DoubtedTime({ now });
  return { ...(await rig.boot({ time: clock })), clock };
}
/** The record on disk, to be looked at or broken. */
function record(): Record<string, unknown> {
  return JSON.parse(Buffer.from(rig.store.entries.get(recordKey(rig.issuer)) ?? []).toString()) as Record<
    string,
    unknown
  >;
}
function overwrite(value: unknown): void {
  rig.store.entries.set(recordKey(rig.issuer), utf8(typeof value === 'string' ? value : JSON.stringify(value)));
}

describe('a cold boot while the issuer is away', () => {
  test('has the keys, with the age that they have', async () => {
    await lastSeen();
    const { cache, pass } = await rig.boot({ time: new FakeTime({ now: START + 3 * DAY }) });
    await pass(0);
    const { ring, age } = await cache.forKeyId('k1');
    expect(age).toBe(3 * DAY);
    expect(ring.keys).toHaveLength(2);
  });

  test('has them before the network was asked at all', async () => {
    await lastSeen();
    const { cache } = await rig.boot({ time: new FakeTime({ now: START + 60 }) });
    expect((await cache.forKeyId('k1')).age).toBe(60);
    expect(rig.server.count('/jwks')).toBe(1);
  });

  test('without a record has none, and says so', async () => {
    rig.answer({ status: 500 });
    const { cache, pass } = await rig.boot();
    await pass(0);
    expect(await rejection(cache.forKeyId('k1'))).toBe('keys_unavailable');
  });
});

describe('the offline limit', () => {
  test('holds to the second, and is a refusal of its own', async () => {
    const { cache, pass } = await rig.boot({ policy: rig.policy({ offlineLimit: DAY }) });
    await pass(0);
    rig.answer({ status: 500 });
    await pass(DAY_MS);
    expect(await rejection(cache.forKeyId('k1'))).toBe('none');
    await pass(1_000);
    expect(await rejection(cache.forKeyId('k1'))).toBe('keys_too_old');
  });

  test('ends when the issuer is back', async () => {
    const { cache, pass } = await rig.boot({ policy: rig.policy({ offlineLimit: DAY }) });
    await pass(0);
    rig.answer({ status: 500 });
    await pass(2 * DAY_MS);
    expect(await rejection(cache.forKeyId('k1'))).toBe('keys_too_old');
    rig.jwks([es]);
    await pass(3_600_000);
    expect((await cache.forKeyId('k1')).age).toBeLessThan(3_600);
  });

  test('is not moved by reboots', async () => {
    await lastSeen();
    for (let boot = 1; boot <= 40; boot++) {
      const time = new FakeTime({ now: START + boot * DAY });
      const { cache, pass } = await rig.boot({ time });
      await pass(0);
      expect(await rejection(cache.forKeyId('k1'))).toBe(boot <= 30 ? 'none' : 'keys_too_old');
      await cache.close();
    }
  });

  test('is not moved by a clock that was set back: what elapsed in this run counts', async () => {
    await lastSeen();
    const time = new FakeTime({ now: START - 365 * DAY });
    time.forgetLatest();
    const { cache, pass } = await rig.boot({ time, policy: rig.policy({ offlineLimit: DAY }) });
    await pass(DAY_MS + 1_000);
    expect(await rejection(cache.forKeyId('k1'))).toBe('keys_too_old');
  });

  test('counts from the time floor while the time is not known', async () => {
    await lastSeen();
    const time = new FakeTime({ now: START + 31 * DAY });
    time.forgetLatest();
    const { cache } = await rig.boot({ time });
    expect(await rejection(cache.forKeyId('k1'))).toBe('keys_too_old');
  });
});

describe('a date that is still to come', () => {
  test.each([
    ['by years', 73 * 365 * DAY],
    ['by two hours', 7_200],
  ])('%s makes keys on disk as old as can be', async (_name, ahead) => {
    await lastSeen();
    overwrite({ ...record(), confirmed_at: START + ahead });
    const { cache } = await rig.boot({ time: new FakeTime({ now: START }) });
    expect(await rejection(cache.forKeyId('k1'))).toBe('keys_too_old');
    expect(cache.status().age).toBe(START);
  });

  test('counts as old as can be once the time becomes known', async () => {
    await lastSeen();
    overwrite({ ...record(), confirmed_at: START + 400 * DAY });
    const { cache, clock } = await bootUnsure(START);
    expect(await rejection(cache.forKeyId('k1'))).toBe('none');
    clock.learn(START + 60);
    expect(await rejection(cache.forKeyId('k1'))).toBe('keys_too_old');
  });

  test('by the little that NTP steps a clock back costs no key', async () => {
    await lastSeen();
    const { cache } = await rig.boot({ time: new FakeTime({ now: START - 60 }) });
    expect((await cache.forKeyId('k1')).age).toBe(0);
  });
});

describe('keys confirmed while the time is not known', () => {
  test('are as old as they are once it is', async () => {
    const { cache, clock, pass } = await bootUnsure(START - 400 * DAY);
    await pass(0);
    rig.answer({ status: 500 });
    await pass(60_000);
    clock.learn(START);
    expect((await cache.forKeyId('k1')).age).toBe(60);
  });

  test('are not written with a date that only an issuer vouches for', async () => {
    const { clock, pass } = await bootUnsure(START);
    clock.witnessed = START + 300 * DAY;
    await pass(0);
    expect(record()).toMatchObject({ confirmed_at: START });
  });

  test('are written anew when the time becomes known', async () => {
    const { cache, clock, pass } = await bootUnsure(START - 400 * DAY);
    await pass(0);
    rig.answer({ status: 500 });
    await pass(60_000);
    clock.learn(START);
    cache.status();
    await cache.close();
    expect(record()).toMatchObject({ confirmed_at: START - 60 });
  });
});

describe('the record on disk', () => {
  test('holds public members alone', async () => {
    rig.jwks([{ ...es, x5c: ['MIIB'], note: 'n' }]);
    await lastSeen();
    expect(record()).toMatchObject({ jwks: { keys: [es] } });
  });

  test('is not written for a mere confirmation within the hour', async () => {
    rig.jwks([es], { 'cache-control': 'max-age=60' });
    const { pass } = await rig.boot();
    await pass(0);
    await pass(3_500_000);
    expect(rig.store.writes).toBe(1);
    await pass(200_000);
    expect(rig.store.writes).toBe(2);
  });

  test('is written at once when a key was withdrawn', async () => {
    rig.jwks([es, ed], { 'cache-control': 'max-age=60' });
    const { pass } = await rig.boot();
    await pass(0);
    rig.jwks([es]);
    await pass(60_000);
    expect(record()).toMatchObject({ jwks: { keys: [es] } });
  });

  test('that cannot be written costs no key, and is tried again', async () => {
    rig.store.failAt(1);
    const { cache, log, pass } = await rig.boot();
    await pass(0);
    expect(log.events()).toContain('keys_write_failed');
    expect(await rejection(cache.forKeyId('k1'))).toBe('none');
    await pass(3_600_000);
    expect(record()).toMatchObject({ issuer: rig.issuer });
  });

  test.each([
    ['no JSON', () => 'rubbish'],
    ['another format', () => ({ ...record(), format: 'latchkey-issuer-keys-9' })],
    ['another issuer', () => ({ ...record(), issuer: 'https://else.example' })],
    ['no date', () => ({ ...record(), confirmed_at: 'yesterday' })],
    ['an address over plain http', () => ({ ...record(), jwks_uri: 'http://as.example/jwks' })],
    ['no keys', () => ({ ...record(), jwks: { keys: [] } })],
  ])('with %s is set aside', async (_name, broken) => {
    await lastSeen();
    overwrite(broken());
    const { cache, log } = await rig.boot();
    expect(log.events()).toContain('keys_set_aside');
    expect([...rig.store.entries.keys()]).toEqual([`set-aside/${recordKey(rig.issuer)}`]);
    expect(cache.status().keys).toEqual([]);
  });

  test('that can neither be read nor set aside does not keep the hub from starting', async () => {
    await lastSeen();
    overwrite('rubbish');
    rig.store.failAt(1);
    const { log } = await rig.boot();
    expect(log.events()).toEqual(['keys_set_aside', 'set_aside_failed']);
  });

  test('is replaced by what the issuer has, and never confirmed by an "unchanged"', async () => {
    rig.jwks([es], { etag: '"v1"' });
    await lastSeen();
    overwrite({ ...record(), etag: '"v1"', jwks: { keys: [ed] } });
    const asked = rig.server.requests.length;
    rig.server.answers.set('/jwks', ({ headers }) =>
      headers['if-none-match'] === undefined ? { body: JSON.stringify({ keys: [es] }) } : { status: 304 },
    );
    const { cache, pass } = await rig.boot();
    await pass(0);
    expect(rig.server.requests.length).toBeGreaterThan(asked);
    expect(cache.status().keys.map(({ keyId }) => keyId)).toEqual(['k1']);
  });

  test('is not used when the issuer was configured anew', async () => {
    await lastSeen();
    const source = { kind: 'jwks', url: `${rig.server.origin}/other` } as const;
    const { cache } = await rig.boot({ policy: rig.policy({ source }) });
    expect(cache.status().keys).toEqual([]);
  });

  test('gives no key whose algorithm is not allowed any more', async () => {
    await lastSeen();
    const { cache } = await rig.boot({ policy: rig.policy({ algorithms: ['EdDSA'] }) });
    expect(cache.status().keys.map(({ keyId }) => keyId)).toEqual(['k2']);
  });
});

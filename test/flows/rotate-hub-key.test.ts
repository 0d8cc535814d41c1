import { beforeEach, describe, expect, test } from 'vitest';
import { utf8 } from '../../src/core/bytes.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import type { Device } from '../../src/devices/device.ts';
import { hubKeysFor } from '../../src/devices/wanted-trust.ts';
import { asyncCodeOf } from '../fixtures/async-code-of.ts';
import { TrustRig } from '../fixtures/trust-rig.ts';

let rig: TrustRig;
let tube: Device;

beforeEach(async () => {
  rig = await TrustRig.open();
  tube = await rig.add('tube-1', { wrap: 'sign1' });
});

const all = () => rig.hubKeys.signingKeys('ES256').map(({ keyId }) => keyId);
const signsWith = () => hubKeysFor(tube, rig.records.of(tube), rig.hubKeys).signingKey('ES256').keyId;

/** The device is out of reach from now on; the answer brings it back. */
function unplug(id = 'tube-1'): () => void {
  const link = rig.link(id);
  const request = link.request;
  link.request = () => Promise.reject(new LatchkeyError('device_no_answer'));
  return () => {
    link.request = request;
  };
}

describe('many devices', () => {
  test('that take the new key one after the other are not all looked at each time', async () => {
    const rig = await TrustRig.open();
    const devices = [];
    for (let index = 0; index < 40; index += 1)
      devices.push(await rig.add(`tube-${String(index).padStart(2, '0')}`, { wrap: 'sign1' }));
    await rig.trust.rotateHubKey();
    const older = rig.hubKeys.olderKeyIds();
    expect(older).toHaveLength(1);
    const { waitingFor } = rig.queue;
    let looks = 0;
    rig.queue.waitingFor = (device) => {
      looks += 1;
      return waitingFor.call(rig.queue, device);
    };
    for (const device of devices) await rig.work(device);
    expect(rig.hubKeys.olderKeyIds()).toEqual([]);
    // About ten for each device, and not one for each pair of them.
    expect(looks).toBeLessThan(20 * devices.length);
  });
});

describe('rotating the key of the hub', () => {
  test('brings the device both keys first, then takes the old one away, and then it is gone', async () => {
    const [old] = all();
    const rotated = await rig.trust.rotateHubKey();
    const [current] = all();
    expect(rotated).toEqual({ keys: { ES256: current, EdDSA: expect.any(String) }, waiting: ['tube-1'] });
    expect(rig.woken).toEqual(['tube-1']);
    expect(signsWith()).toBe(old);
    await rig.trust.run(tube, { deadline: 1_000, signal: new AbortController().signal });
    expect(rig.keyIds(tube)).toEqual([current, old]);
    expect(signsWith()).toBe(current);
    expect(all()).toEqual([current, old]);
    await rig.work(tube);
    expect(rig.keyIds(tube)).toEqual([current]);
    expect(all()).toEqual([current]);
    expect(rig.store.forgotten).toContain('hub/');
    expect(rig.trust.status()).toMatchObject([{ state: 'current', version: 3, signed_by: current }]);
  });

  test('leaves records in the audit', async () => {
    await rig.trust.rotateHubKey();
    await rig.work(tube);
    expect(rig.audit.entries.map(({ kind, verdict }) => `${kind} ${verdict}`)).toEqual([
      'hub-key rotated',
      // The EdDSA key, which no device here trusts.
      'hub-key retired',
      'trust delivered',
      'trust delivered',
      'hub-key retired',
    ]);
  });

  test('does nothing to a device that checks MACs', async () => {
    const maced = await rig.add('tube-2');
    await rig.trust.rotateHubKey();
    expect(rig.woken).toEqual(['tube-1']);
    expect(rig.trust.isDue(maced.id)).toBe(false);
  });

  test('with no device at all leaves no old key behind', async () => {
    const alone = await TrustRig.open();
    const { waiting } = await alone.trust.rotateHubKey();
    expect([waiting, alone.hubKeys.olderKeyIds()]).toEqual([[], []]);
  });

  test('keeps the old key on the device for tokens that are signed with it and wait', async () => {
    const [old] = all();
    const delivery = await rig.queueToken(tube, { hubKey: old });
    await rig.trust.rotateHubKey();
    await rig.work(tube);
    const [current] = all();
    expect(rig.keyIds(tube)).toEqual([current, old]);
    expect(rig.trust.isDue('tube-1')).toBe(false);
    await rig.queue.end(delivery, { state: 'delivered', deviceCode: '2.01', receipt: true });
    await rig.work(tube);
    expect(rig.keyIds(tube)).toEqual([current]);
    expect(all()).toEqual([current]);
  });

  test('takes a waiting token that does not say for one of the oldest key', async () => {
    await rig.queueToken(tube);
    const [old] = all();
    await rig.trust.rotateHubKey();
    await rig.work(tube);
    expect(all()).toContain(old);
  });

  test('reaches a device that was away for two rotations, and for three', async () => {
    const [first] = all();
    const back = unplug();
    for (let round = 0; round < 3; round += 1) {
      await rig.trust.rotateHubKey();
      await asyncCodeOf(rig.work(tube));
      expect(signsWith()).toBe(first);
    }
    // Keys in between that no device ever confirmed are not kept: only a bundle on its way names one of them.
    expect(all().at(-1)).toBe(first);
    back();
    await rig.work(tube);
    const [current] = all();
    expect(rig.keyIds(tube)).toEqual([current]);
    expect(all()).toEqual([current]);
  });

  test('reaches a device that took a bundle whose confirmation got lost before the next rotation', async () => {
    const [first] = all();
    const given = rig.devices.get('tube-1');
    const link = rig.link();
    const request = link.request;
    link.request = async (asked) => {
      await given?.handler(asked);
      throw new LatchkeyError('device_no_answer');
    };
    await rig.trust.rotateHubKey();
    expect(await asyncCodeOf(rig.work(tube))).toBe('device_no_answer');
    await rig.trust.rotateHubKey();
    expect(await asyncCodeOf(rig.work(tube))).toBe('device_no_answer');
    expect(rig.held(tube).version).toBe(1);
    expect(signsWith()).toBe(first);
    link.request = request;
    await rig.work(tube);
    expect(rig.keyIds(tube)).toEqual([all()[0]]);
    expect(rig.events.filter(({ event }) => event === 'trust_refused')).toEqual([]);
  });

  test('goes on after a restart at any moment', async () => {
    const back = unplug();
    await rig.trust.rotateHubKey();
    await asyncCodeOf(rig.work(tube));
    rig = await TrustRig.open(rig);
    await rig.trust.retire();
    expect(all()).toHaveLength(2);
    back();
    expect(
      rig.registry
        .list()
        .filter(({ id }) => rig.trust.isDue(id))
        .map(({ id }) => id),
    ).toEqual(['tube-1']);
    await rig.trust.run(tube, { deadline: 1_000, signal: new AbortController().signal });
    rig = await TrustRig.open(rig);
    await rig.trust.retire();
    await rig.work(tube);
    expect(rig.keyIds(tube)).toEqual(all());
    expect(all()).toHaveLength(1);
  });

  test('that cannot be written leaves everything as it was', async () => {
    const before = all();
    rig.store.failAt(1);
    await expect(rig.trust.rotateHubKey()).rejects.toThrow('the medium failed');
    expect([all(), rig.woken, rig.audit.entries]).toEqual([before, [], []]);
    await rig.trust.rotateHubKey();
    expect(all()).toHaveLength(2);
  });

  test('is refused when devices are away for too many of them', async () => {
    unplug();
    const rotate = () => rig.trust.rotateHubKey();
    await rig.add('tube-2', { wrap: 'sign1' });
    // Each time another device is registered that trusts the key of then, and goes away.
    for (let round = 0; round < 15; round += 1) {
      await rotate();
      await rig.add(`away-${round}`, { wrap: 'sign1' });
    }
    expect(await asyncCodeOf(rotate())).toBe('hub_keys_in_use');
  });
});

describe('a device of which there is no record', () => {
  test('is taken for one that trusts the oldest key', async () => {
    rig.store.entries.delete('trust/tube-1');
    rig = await TrustRig.open(rig);
    const [old] = all();
    expect(rig.keyIds(tube)).toEqual([old]);
    await rig.trust.rotateHubKey();
    expect(signsWith()).toBe(old);
    await rig.work(tube);
    expect(rig.keyIds(tube)).toEqual(all());
  });

  test('is taken for the same where the record cannot be read', async () => {
    rig.store.entries.set('trust/tube-1', utf8('{"held":5}'));
    rig = await TrustRig.open(rig);
    expect(rig.held(tube).version).toBe(1);
    expect(rig.log.lines.at(-1)?.fields).toMatchObject({ event: 'trust_record_unreadable', key: 'trust/tube-1' });
  });
});

describe('a device that trusts no key of the hub', () => {
  test('is shown as lost, and holds nothing up', async () => {
    const elsewhere = await TrustRig.open();
    await elsewhere.registry.add(tube, [
      { put: 'trust/tube-1', value: rig.store.entries.get('trust/tube-1') ?? new Uint8Array() },
    ]);
    const restored = await TrustRig.open(elsewhere);
    expect(restored.trust.isDue('tube-1')).toBe(false);
    expect(restored.trust.status()).toMatchObject([{ device: 'tube-1', state: 'lost' }]);
  });
});

test('a device that was removed takes its record and its old key along', async () => {
  unplug();
  await rig.trust.rotateHubKey();
  expect(all()).toHaveLength(2);
  await rig.registry.remove('tube-1', rig.trust.removal('tube-1'));
  await rig.trust.removed('tube-1');
  expect(all()).toHaveLength(1);
  expect([...rig.store.entries.keys()].filter((key) => key.startsWith('trust/'))).toEqual([]);
});

/** Logins at the embedded broker: no peer uses up what all have, and none locks out a device whose password it does not have. */
import { beforeEach, expect, test } from 'vitest';
import { LoginQuota } from '../../../drivers/mqtt/login-quota.ts';
import { LIMITS } from '../../../src/core/limits.ts';
import { FakeTime } from '../../fakes/fake-time.ts';

let time: FakeTime;
let quota: LoginQuota;
beforeEach(() => {
  time = new FakeTime();
  quota = new LoginQuota(time);
});

/** A login as the broker has it. @returns whether the client is in */
function logIn(network: string, name: string, isGood: boolean): boolean {
  if (!quota.mayAsk(network, name)) return false;
  if (isGood) return quota.mayEnter(name);
  quota.failed(network);
  return false;
}

const many = (count: number, attempt: () => boolean) => Array.from({ length: count }, attempt).filter(Boolean).length;

test('a device has its share, and the others have theirs meanwhile', async () => {
  expect(many(5_000, () => logIn('192.0.2.1', 'rogue', true))).toBe(LIMITS.embeddedLoginsOfOneDevice);
  expect(logIn('192.0.2.1', 'ekg-1', true)).toBe(true);
  await time.advance(1_000);
  expect(logIn('192.0.2.1', 'rogue', true)).toBe(true);
});

test('who fails again and again is not asked about any more, and locks out no device', async () => {
  expect(many(5_000, () => logIn('192.0.2.66', 'ekg-1', false))).toBe(0);
  expect(logIn('192.0.2.66', 'ekg-1', true)).toBe(false);
  expect(logIn('192.0.2.1', 'ekg-1', true)).toBe(true);
  await time.advance(1_000);
  expect(logIn('192.0.2.66', 'ekg-1', true)).toBe(true);
});

test('the hub is asked about so many logins in a second, however many devices there are', async () => {
  let device = 0;
  const next = () => {
    device += 1;
    return logIn('192.0.2.1', `ekg-${device}`, true);
  };
  expect(many(5_000, next)).toBe(LIMITS.embeddedLoginsPerSecond);
  await time.advance(1_000);
  expect(next()).toBe(true);
});

/** The rules of the embedded broker by themselves: aedes would not forward by itself what nobody may listen to. */
import type { AedesPublishPacket, Client } from 'aedes';
import { expect, test } from 'vitest';
import { accessRules } from '../../../drivers/mqtt/embedded-access.ts';
import { Topics } from '../../../drivers/mqtt/topics.ts';
import { LatchkeyError } from '../../../src/core/errors.ts';
import { Secret } from '../../../src/core/secret.ts';
import { QuietLog } from '../../fakes/quiet-log.ts';
import { secretOf } from '../../fixtures/mqtt-front.ts';

const rules = accessRules({
  topics: new Topics('latchkey/v1'),
  devices: {
    authenticate(credential) {
      if (credential.kind === 'secret' && credential.secret.expose() === secretOf(credential.device)) {
        return credential.device;
      }
      throw new LatchkeyError('device_unauthenticated');
    },
  },
  hub: { username: '@hub', password: new Secret('hub-password') },
  log: new QuietLog(),
});

/** Somebody at the broker, after the attempt to log in. */
function client(username: string, password: string): Client {
  const somebody = { id: username } as Client;
  rules.authenticate(somebody, username, Buffer.from(password), () => undefined);
  return somebody;
}

const HUB = client('@hub', 'hub-password');
const EKG = client('ekg-1', secretOf('ekg-1'));
const THIEF = client('ekg-1', 'a guess');

test.each([
  ['the hub', HUB, 'latchkey/v1/ekg-1/introspect', true],
  ['a device', EKG, 'latchkey/v1/ekg-1/answer', true],
  ['a device', EKG, 'latchkey/v1/ekg-1/answers/of/its/own', true],
  ['a device', EKG, 'latchkey/v1/hub/status', true],
  ['a device', EKG, 'latchkey/v1/ekg-2/answer', false],
  ['a device', EKG, 'latchkey/v1/ekg-11/answer', false],
  ['a device', EKG, '$SYS/broker/clients', false],
  ['who is not logged in', THIEF, 'latchkey/v1/ekg-1/answer', false],
  ['who is not logged in', THIEF, 'latchkey/v1/hub/status', false],
])('to %s is forwarded, or not: %#', (_, somebody, topic, may) => {
  const packet = { topic } as AedesPublishPacket;
  expect(rules.authorizeForward(somebody, packet)).toBe(may ? packet : null);
});

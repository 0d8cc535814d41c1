/** A client at a device that is connected: token and proof go through the device to the hub, a key comes back. */
import type { AccessToken } from '../../client/access-token.ts';
import type { ConnectedSession } from '../../client/connected-device.ts';
import { decodeCbor, isCborMap } from '../../codec/cbor.ts';
import { utf8 } from '../../core/bytes.ts';
import { LatchkeyError } from '../../core/errors.ts';
import { hold, type Narrator } from './narrator.ts';
import type { Stage } from './stage.ts';

export const READINGS = 'readings';
export const INTROSPECTION = '/token/introspection';

/** The token of the doctor's app, which goes on being good. */
export async function connectedWay(story: Narrator, stage: Stage): Promise<AccessToken> {
  const token = await logIn(story, stage);
  const session = await openSession(story, stage, token);
  await useSession(story, stage, session);
  return token;
}

function logIn(story: Narrator, stage: Stage): Promise<AccessToken> {
  return story.step('doctor-login', 'A doctor logs in, and her app gets a token for the EKG machine', async () => {
    const token = await stage.doctor.logIn();
    const text = token.value.expose();
    hold(!text.includes('.'), 'the token is a reference and no JWT');
    hold(token.scheme === 'DPoP', 'it is bound to the key of the app');
    story.wire('app', 'AS', 'authorization code with PKCE: the doctor logs in there, never at the app');
    story.wire('AS', 'app', `${text.length} characters that say nothing: only the AS knows what they stand for`);
    return token;
  });
}

function openSession(story: Narrator, stage: Stage, token: AccessToken): Promise<ConnectedSession> {
  return story.step('verdict', 'The app shows it to the EKG machine, which asks the hub', async () => {
    const before = stage.authorizationServer.requests(INTROSPECTION);
    const session = await stage.doctor.device(stage.ekg.running.address).open(READINGS, token);
    const admitted = stage.ekg.lastAdmitted();
    if (admitted === undefined) throw new LatchkeyError('demo_failed', 'the EKG machine admitted no client');
    hold(stage.authorizationServer.requests(INTROSPECTION) > before, 'the hub asked the OAuth server');
    hold(stage.ekg.running.device.sessions === 1, 'the EKG machine holds a key');
    hold(admitted.expiresAt === session.expiresAt, 'both know until when it is good');
    story.wire('app', 'EKG', 'token, and a DPoP proof for this very request, by HTTP');
    story.wire(
      'EKG',
      'hub',
      `both as they are, by MQTT: ${admitted.bytes.question} bytes under the MAC of the machine`,
    );
    story.wire('hub', 'AS', 'introspection (RFC 7662): is it good, and whose key is it bound to?');
    story.wire('hub', 'EKG', `yes, and a new key in two copies: ${admitted.bytes.answer} bytes that it alone can open`);
    story.wire('EKG', 'app', 'the copy that the app alone can open');
    story.say(`scope ${admitted.scope}; the AS confirmed it ${admitted.age} s ago, and the answer says so`);
    return session;
  });
}

async function useSession(story: Narrator, stage: Stage, session: ConnectedSession): Promise<void> {
  await story.step('session', 'Both hold a new key, and speak under it', async () => {
    const message = decodeCbor(await session.exchange(utf8('read')));
    const rate = isCborMap(message) ? message.get('beatsPerMinute') : undefined;
    const { monitor } = stage.ekg.running.device;
    hold(rate === monitor.beatsPerMinute && monitor.readings === 1, 'the reading is the one of this machine');
    story.wire('app', 'EKG', '"read", encrypted under the new key');
    story.wire('EKG', 'app', `${rate} beats a minute, encrypted under the new key`);
    story.say('the hub has forgotten its copy; the answer shows that the machine has the other one');
  });
}

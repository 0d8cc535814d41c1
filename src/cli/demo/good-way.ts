/** The way that a token is meant to go: asked for, translated, delivered, used. */
import { decodeJwt, decodeProtectedHeader } from 'jose';
import type { AccessToken } from '../../client/access-token.ts';
import type { DeviceAnswer } from '../../client/device-session.ts';
import type { Delivery } from '../../client/hub-answer.ts';
import { type CborValue, decodeCbor, isCborMap } from '../../codec/cbor.ts';
import { readCredentialsFile } from '../../codec/credentials-file.ts';
import { readTrustFile } from '../../codec/trust-file.ts';
import { equal } from '../../core/bytes.ts';
import { EKG_AUDIENCE } from './ekg-machine.ts';
import { hold, type Narrator } from './narrator.ts';
import { type Stage, TUBE, TUBE_AUDIENCE } from './stage.ts';
import { until } from './waiting.ts';

export const FETCH_TEMPERATURE = { method: 'FETCH', path: ['temperature'] } as const;

export interface Sizes {
  readonly jwtBytes: number;
  readonly cwtBytes: number;
  /** Both ways between hub and tube: on a line with all framing, by radio in values of GATT. */
  readonly wireBytes: number;
}

export interface GoodWay {
  readonly token: AccessToken;
  readonly delivery: Delivery;
  readonly sizes: Sizes;
}

export async function setUp(story: Narrator, stage: Stage): Promise<void> {
  await story.step('authorization-server', 'An ordinary OAuth server, node-oidc-provider, is up', async () => {
    await stage.startAuthorizationServer();
    story.say(`issuer ${stage.authorizationServer.issuer}; it knows nothing of CoAP, CBOR, serial lines or radios`);
  });
  await story.step('provisioning', 'An installer registers an EKG machine and a test tube', async () => {
    await stage.registerDevices();
    const trust = readTrustFile(stage.trust.expose());
    hold(trust.audience === TUBE_AUDIENCE && trust.wrap === 'mac0', 'the trust file is for this tube');
    story.say(
      `the tube gets a trust file: ${trust.keys.length} keys, audience ${trust.audience}; from now on it trusts this file and nothing else`,
    );
    const { audience } = readCredentialsFile(stage.credentials.expose());
    hold(audience === EKG_AUDIENCE, 'the credentials are for this machine');
    story.say('the EKG machine is on the network: it gets credentials to ask the hub with');
    await stage.startTube();
    if (stage.radios === undefined) story.say(`the tube waits behind a serial line, here ${stage.tube.address}`);
    else story.say(`the tube advertises by radio as ${TUBE}, and sleeps in between`);
  });
  const looks = stage.radios === undefined ? 'opens the line' : 'listens for the tube';
  await story.step('hub', `The hub starts and ${looks}`, async () => {
    await stage.startHub();
    hold((await stage.hub.admin.showDevice(TUBE)).audience === TUBE_AUDIENCE, 'the hub knows the tube');
    await until(() => stage.tubeIsHere(), 'the tube is there');
    story.say(`clients reach it at ${stage.hub.address}`);
  });
  await story.step('ekg-machine', 'The EKG machine finds the hub by MQTT', async () => {
    await stage.startEkgMachine();
    await stage.ekg.connected();
    story.say(`the broker is at ${stage.hub.broker}, inside the hub: any broker would do`);
    story.say(`its own clients reach it at ${stage.ekg.running.address}; it can verify neither token nor proof`);
  });
}

export async function goodWay(story: Narrator, stage: Stage): Promise<GoodWay> {
  const token = await askForToken(story, stage);
  const { delivery, sizes } = await deliver(story, stage, token);
  await useToken(story, stage, token, delivery);
  await deliverAgain(story, stage, token, delivery);
  return { token, delivery, sizes };
}

/** A token for the tube, bound to the key of the EKG machine. */
export function requestToken(stage: Stage, resource = TUBE_AUDIENCE): Promise<AccessToken> {
  return stage.machine.clientCredentials({ scope: 'read', resource, key: stage.key });
}

export function readTemperature(answer: DeviceAnswer): number {
  const value: CborValue = decodeCbor(answer.payload);
  const milliCelsius = isCborMap(value) ? value.get('milliCelsius') : undefined;
  hold(answer.verified && typeof milliCelsius === 'number', 'the answer is a reading with the MAC of the tube');
  return Number(milliCelsius) / 1000;
}

function askForToken(story: Narrator, stage: Stage): Promise<AccessToken> {
  return story.step('token', 'The EKG machine asks the OAuth server for a token for the tube', async () => {
    const token = await requestToken(stage);
    const jwt = token.value.expose();
    const { aud, cnf, scope } = decodeJwt<{ cnf?: { jkt?: string }; scope?: string }>(jwt);
    hold(decodeProtectedHeader(jwt).typ === 'at+jwt', 'it is an RFC 9068 access token');
    hold(aud === TUBE_AUDIENCE && scope === 'read', 'it is for this tube and for reading');
    hold(cnf?.jkt === stage.key.thumbprint, 'it is bound to the key of the EKG machine');
    story.wire('AS', 'EKG', `JWT, ${jwt.length} bytes: aud ${aud}, scope ${scope}, bound to a key (DPoP)`);
    return token;
  });
}

function deliver(
  story: Narrator,
  stage: Stage,
  token: AccessToken,
): Promise<{ readonly delivery: Delivery; readonly sizes: Sizes }> {
  return story.step('delivery', 'The hub verifies the JWT, makes a CWT of it and brings it to the tube', async () => {
    const before = await stage.tubeBytes();
    const delivery = await stage.client.deliver({ device: TUBE, audience: TUBE_AUDIENCE, token });
    const wireBytes = (await stage.tubeBytes()) - before;
    const { jwt: jwtBytes, cwt: cwtBytes } = delivery.bytes;
    hold(delivery.state === 'delivered' && delivery.deviceCode === '2.01', 'the tube answered 2.01 Created');
    hold(delivery.receipt, 'the receipt carries the MAC of the tube');
    hold(stage.tube.device.acceptedTokens === 1, 'the tube took one token');
    hold(stage.tokensOnLine[0]?.length === cwtBytes, 'what came to the tube is the CWT');
    story.wire('EKG', 'hub', 'the JWT, and a proof that the EKG machine holds its key');
    story.wire('hub', 'tube', `CWT, ${cwtBytes} bytes: ${Math.round((100 * cwtBytes) / jwtBytes)} % of the JWT`);
    story.wire('tube', 'hub', '2.01 Created, with a receipt under the key of the tube');
    story.say(`${stage.onTheWay} ${wireBytes} bytes, both ways`);
    story.say(
      `keys of the issuer confirmed ${Math.round(delivery.freshness.keysAge)} s ago, clock ${delivery.freshness.clock}`,
    );
    return { delivery, sizes: { jwtBytes, cwtBytes, wireBytes } };
  });
}

async function useToken(story: Narrator, stage: Stage, token: AccessToken, delivery: Delivery): Promise<void> {
  await story.step('proof-of-possession', 'The EKG machine proves its key to the tube and reads it', async () => {
    const before = await stage.tubeBytes();
    const answer = await stage.client.session(delivery, token).request(FETCH_TEMPERATURE);
    const celsius = readTemperature(answer);
    hold(celsius === 36.6, 'the reading is the one of this tube');
    story.wire('tube', 'EKG', 'a challenge, 16 bytes, good once and for 30 s');
    story.wire('EKG', 'tube', 'FETCH /temperature, signed over challenge, token, tube, method and path');
    story.wire('tube', 'EKG', `${celsius} °C, under the MAC of the tube`);
    story.say(`${stage.onTheWay} ${(await stage.tubeBytes()) - before} bytes for the challenge and the request`);
  });
}

async function deliverAgain(story: Narrator, stage: Stage, token: AccessToken, delivery: Delivery): Promise<void> {
  await story.step('delivered-once', 'The same token sent again has no second effect', async () => {
    const again = await stage.client.deliver({ device: TUBE, audience: TUBE_AUDIENCE, token });
    hold(again.state === 'delivered' && equal(again.cti, delivery.cti), 'the tube answers as it did before');
    hold(stage.tube.device.acceptedTokens === 1, 'the tube holds the token once');
    story.say('the tube knows its cti, answers with the same receipt, and holds it once');
    story.say('a tube that had lost its power would take it anew');
  });
}

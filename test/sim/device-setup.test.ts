import { inspect } from 'node:util';
import { beforeEach, describe, expect, it } from 'vitest';
import { decodeCbor, encodeCbor } from '../../src/codec/cbor.ts';
import { codeText } from '../../src/codec/coap/codes.ts';
import { makeCwt } from '../../src/codec/cwt.ts';
import { deriveDeviceKey } from '../../src/codec/device-keys.ts';
import { checkOrderAnswer } from '../../src/codec/device-order.ts';
import type { ProvisionedTrust } from '../../src/codec/device-trust-map.ts';
import { COAP_METHOD, CONTENT_FORMAT } from '../../src/codec/iana.ts';
import { encodeNonce, sealConfirmation, sealProvisionedTrust } from '../../src/codec/provisioning.ts';
import { base64url, hex } from '../../src/core/bytes.ts';
import type { CoapResponse } from '../../src/core/coap-exchange.ts';
import { Secret } from '../../src/core/secret.ts';
import { decodeDeviceState, encodeDeviceState } from '../../src/sim/device-state.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { PROVISIONED, TRUST } from '../fixtures/device-trust.ts';
import { commit, contextOf, HUB_NONCE, OTHER, orderOf, PairableDevice, SETUP } from './paired-device.ts';
import { claims, tube as unpairable } from './tube.ts';

let tube: PairableDevice;

beforeEach(() => {
  tube = new PairableDevice();
});

const codes = async (answer: Promise<CoapResponse>) => {
  const { code, payload } = await answer;
  return `${codeText(code)}${payload.length > 0 ? ' with a payload' : ''}`;
};

function token({ rootKey, trust }: ProvisionedTrust): Uint8Array {
  return makeCwt(claims({ audience: trust.audience, expiresAt: tube.time.certain() + 600 }), {
    wrap: 'mac0',
    keys: { authentication: deriveDeviceKey(rootKey, 'token-mac', 'HMAC 256/64').key },
    cwtTag: false,
    nonce: () => new Uint8Array(13),
  });
}

function give(provisioned: ProvisionedTrust): Promise<string> {
  return codes(
    tube.device.handler({
      method: COAP_METHOD.POST,
      path: ['authz-info'],
      contentFormat: CONTENT_FORMAT.cwt,
      payload: token(provisioned),
    }),
  );
}

const status = async () =>
  decodeCbor((await tube.device.handler({ method: COAP_METHOD.GET, path: ['status'] })).payload);

describe('a device that nobody has paired', () => {
  it('takes no token', async () => {
    expect(await give(PROVISIONED)).toBe('4.01');
    expect(tube.events).toMatchObject([{ event: 'token_refused', reason: 'not_paired' }]);
  });

  it('serves nobody', async () => {
    expect(await codes(tube.device.handler({ method: COAP_METHOD.FETCH, path: ['temperature'] }))).toBe('4.01');
  });

  it('says that it trusts nothing', async () => {
    const members = await status();
    expect(members).toEqual(
      new Map<string, unknown>([
        ['time', true],
        ['trust', 0],
        ['tokens', 0],
      ]),
    );
  });

  it('blinks for anybody', async () => {
    expect(await codes(tube.post('identify', {}))).toBe('2.04');
    expect(tube.events).toEqual([{ event: 'identified' }]);
  });

  it('gives another nonce each time, so that no exchange of the past fits', async () => {
    expect(hex((await tube.begin()).device)).not.toBe(hex((await tube.begin()).device));
  });
});

describe('pairing', () => {
  it('puts what was sent into use, and takes tokens by it', async () => {
    await tube.pair();
    expect(tube.state).toMatchObject({ setup: 'dead', trust: { trust: TRUST } });
    expect(tube.state.pending).toBeUndefined();
    expect(tube.events.map(({ event }) => event)).toEqual(['pairing_begun', 'trust_received', 'paired']);
    expect(await give(PROVISIONED)).toBe('2.01');
    expect(await status()).toEqual(
      new Map<string, unknown>([
        ['aud', TRUST.audience],
        ['time', true],
        ['trust', 1],
        ['tokens', 1],
      ]),
    );
  });

  it('outlives a restart', async () => {
    await tube.pair();
    tube.restart();
    expect(await give(PROVISIONED)).toBe('2.01');
  });

  it('changes nothing before it is told to use what it was sent', async () => {
    await tube.receive();
    expect(tube.state.trust).toBeUndefined();
    expect(await give(PROVISIONED)).toBe('4.01');
    expect(tube.state.setup).toBe('alive');
  });

  it('can be begun anew after each message', async () => {
    await tube.begin();
    await tube.receive(OTHER);
    await tube.begin();
    await tube.pair();
    expect(tube.state.trust?.trust).toEqual(TRUST);
  });

  it('is finished after a restart between what was sent and the order to use it', async () => {
    const nonces = await tube.receive();
    tube.restart();
    expect(await codes(tube.order(commit(nonces)))).toBe('2.04 with a payload');
    expect(tube.state.trust?.trust).toEqual(TRUST);
  });

  it('answers the order to use it as often as it comes', async () => {
    const nonces = await tube.pair();
    const order = commit(nonces);
    for (let round = 0; round < 2; round++) {
      tube.restart();
      const answer = await tube.order(order);
      expect(codeOf(() => checkOrderAnswer(answer.payload, order, contextOf()))).toBe('none');
    }
    expect(tube.events.filter(({ event }) => event === 'paired')).toHaveLength(1);
  });

  it('answers nothing that it could not keep', async () => {
    const nonces = await tube.begin();
    tube.failsToSave = true;
    expect(await codes(tube.provision(sealProvisionedTrust(PROVISIONED, { setup: SETUP, nonces })))).toBe('5.00');
    tube.failsToSave = false;
    const again = await tube.receive();
    tube.failsToSave = true;
    expect(await codes(tube.order(commit(again)))).toBe('5.00');
    expect(tube.state.trust).toBeUndefined();
    tube.failsToSave = false;
    expect(await codes(tube.order(commit(again)))).toBe('2.04 with a payload');
  });

  it('forgets the tokens of whoever it trusted before', async () => {
    await tube.pair();
    expect(await give(PROVISIONED)).toBe('2.01');
    await tube.order(await tube.unpairingOrder(), 'unpair');
    expect(tube.device.tokens()).toEqual([]);
  });
});

describe('pairing is refused', () => {
  it('to whoever has another setup code, without a reason', async () => {
    const nonces = await tube.begin();
    const setup = new Secret(new Uint8Array(16).fill(0x52));
    expect(await codes(tube.provision(sealProvisionedTrust(PROVISIONED, { setup, nonces })))).toBe('4.01');
    expect(tube.state.pending).toBeUndefined();
  });

  it('without a nonce before it', async () => {
    const nonces = { hub: HUB_NONCE, device: HUB_NONCE };
    expect(await codes(tube.provision(sealProvisionedTrust(PROVISIONED, { setup: SETUP, nonces })))).toBe('4.01');
  });

  it('a second time with one nonce', async () => {
    const nonces = await tube.begin();
    const message = sealProvisionedTrust(PROVISIONED, { setup: SETUP, nonces });
    expect(await codes(tube.provision(message))).toBe('2.04 with a payload');
    expect(await codes(tube.provision(message))).toBe('4.01');
  });

  it('with a nonce that a wrong guess was made with', async () => {
    const nonces = await tube.begin();
    expect(await codes(tube.provision(new Uint8Array(40)))).toBe('4.01');
    expect(await codes(tube.provision(sealProvisionedTrust(PROVISIONED, { setup: SETUP, nonces })))).toBe('4.01');
  });

  it('with a nonce of a minute ago', async () => {
    const nonces = await tube.begin();
    await tube.time.advance(60_000);
    expect(await codes(tube.provision(sealProvisionedTrust(PROVISIONED, { setup: SETUP, nonces })))).toBe('4.01');
  });

  it('with a nonce of before a restart', async () => {
    const nonces = await tube.begin();
    tube.restart();
    expect(await codes(tube.provision(sealProvisionedTrust(PROVISIONED, { setup: SETUP, nonces })))).toBe('4.01');
  });

  it('with the word of the device itself, sent back', async () => {
    const nonces = await tube.begin();
    expect(await codes(tube.provision(sealConfirmation(PROVISIONED, { setup: SETUP, nonces })))).toBe('4.01');
  });

  it('with a nonce of another size', async () => {
    const payload = encodeCbor(new Map([[1, new Uint8Array(8)]]));
    expect(await codes(tube.post('provision', { contentFormat: CONTENT_FORMAT.cbor, payload }))).toBe('4.00');
  });

  it('in another content format', async () => {
    const payload = encodeNonce(HUB_NONCE);
    expect(await codes(tube.post('provision', { contentFormat: CONTENT_FORMAT.json, payload }))).toBe('4.15');
    expect(await codes(tube.post('provision', { payload }))).toBe('4.15');
  });

  it('by another method, or with a query', async () => {
    const ask = (method: number, query: readonly string[] = []) =>
      codes(tube.device.handler({ method, path: ['provision'], query, contentFormat: CONTENT_FORMAT.cbor }));
    expect(await ask(COAP_METHOD.GET)).toBe('4.05');
    expect(await ask(COAP_METHOD.POST, ['x'])).toBe('4.02');
  });

  it('by a device that has its trust once and for all', async () => {
    const given = { method: COAP_METHOD.POST, path: ['provision'], contentFormat: CONTENT_FORMAT.cbor };
    expect(await codes(unpairable().ask(given))).toBe('4.04');
  });
});

describe('once it is paired, a device', () => {
  let recorded: readonly Uint8Array[];

  beforeEach(async () => {
    const nonces = await tube.begin();
    const sent = sealProvisionedTrust(PROVISIONED, { setup: SETUP, nonces });
    await tube.provision(sent);
    const order = commit(nonces);
    await tube.order(order);
    recorded = [encodeNonce(nonces.hub), sent, order];
  });

  it('takes its setup code no more', async () => {
    const payload = encodeNonce(HUB_NONCE);
    expect(await codes(tube.post('provision', { contentFormat: CONTENT_FORMAT.cbor, payload }))).toBe('4.03');
    tube.restart();
    expect(await codes(tube.post('provision', { contentFormat: CONTENT_FORMAT.cbor, payload }))).toBe('4.03');
  });

  it('refuses its own pairing, replayed', async () => {
    const [nonce, sent, order] = recorded as [Uint8Array, Uint8Array, Uint8Array];
    expect(await codes(tube.post('provision', { contentFormat: CONTENT_FORMAT.cbor, payload: nonce }))).toBe('4.03');
    expect(await codes(tube.provision(sent))).toBe('4.03');
    tube.events.length = 0;
    await tube.order(order);
    expect(tube.events).toEqual([]);
  });

  it('refuses its own pairing, replayed after a reset by hand', async () => {
    const [nonce, sent, order] = recorded as [Uint8Array, Uint8Array, Uint8Array];
    tube.reset();
    await tube.post('provision', { contentFormat: CONTENT_FORMAT.cbor, payload: nonce });
    expect(await codes(tube.provision(sent))).toBe('4.01');
    expect(await codes(tube.order(order))).toBe('4.01');
    expect(tube.state.trust).toBeUndefined();
  });

  it('can be paired again after a reset by hand, and not with what it trusted before', async () => {
    tube.reset();
    expect(await give(PROVISIONED)).toBe('4.01');
    await tube.pair(OTHER);
    expect(await give(OTHER)).toBe('2.01');
    expect(await give(PROVISIONED)).toBe('4.01');
  });

  it('does not blink for a stranger', async () => {
    expect(await codes(tube.post('identify', {}))).toBe('4.01');
  });

  it('blinks for its hub', async () => {
    const nonces = await tube.begin(HUB_NONCE, 'identify');
    const order = orderOf({ operation: 'identify', nonces });
    const answer = await tube.post('identify', { contentFormat: CONTENT_FORMAT.coseMac0, payload: order });
    expect(codeOf(() => checkOrderAnswer(answer.payload, order, contextOf()))).toBe('none');
    expect(tube.events.at(-1)).toEqual({ event: 'identified' });
  });

  it('does not blink for a message of the past', async () => {
    const nonces = await tube.begin(HUB_NONCE, 'identify');
    const order = orderOf({ operation: 'identify', nonces });
    const send = () => codes(tube.post('identify', { contentFormat: CONTENT_FORMAT.coseMac0, payload: order }));
    expect(await send()).toBe('2.04 with a payload');
    expect(await send()).toBe('4.01');
    await tube.begin(HUB_NONCE, 'identify');
    expect(await send()).toBe('4.01');
  });

  it('does not blink on the order of another hub', async () => {
    const nonces = await tube.begin(HUB_NONCE, 'identify');
    const payload = orderOf({ operation: 'identify', nonces }, OTHER);
    expect(await codes(tube.post('identify', { contentFormat: CONTENT_FORMAT.coseMac0, payload }))).toBe('4.01');
  });

  it.each([
    ['another hub', () => tube.unpairingOrder(OTHER)],
    ['another audience', () => tube.unpairingOrder({ ...PROVISIONED, trust: { ...TRUST, audience: 'other' } })],
    ['whoever writes noise', async () => new Uint8Array(40)],
    [
      'its hub, in the place of another order',
      async () => orderOf({ operation: 'identify', nonces: await tube.begin(HUB_NONCE, 'identify') }),
    ],
    ['its hub, to use what came in another exchange', async () => commit({ hub: HUB_NONCE, device: HUB_NONCE })],
    [
      'its hub, without a nonce of the device',
      async () => orderOf({ operation: 'unpair', nonces: { hub: HUB_NONCE, device: HUB_NONCE } }),
    ],
    [
      'its hub, with a nonce of before a restart',
      async () => {
        const order = await tube.unpairingOrder();
        tube.restart();
        return order;
      },
    ],
    [
      'its hub, with a nonce of a minute ago',
      async () => {
        const order = await tube.unpairingOrder();
        await tube.time.advance(60_000);
        return order;
      },
    ],
    [
      'its hub, with a nonce that another one came after',
      async () => {
        const order = await tube.unpairingOrder();
        await tube.begin(HUB_NONCE, 'identify');
        return order;
      },
    ],
  ])('is not unpaired by %s', async (_, make) => {
    expect(await codes(tube.order(await make(), 'unpair'))).toBe('4.01');
    expect(await give(PROVISIONED)).toBe('2.01');
  });

  it('is not unpaired by an order on the way of another one', async () => {
    const order = await tube.unpairingOrder();
    expect(await codes(tube.order(order))).toBe('4.01');
    expect(await codes(tube.order(order, 'identify'))).toBe('4.01');
    expect(await give(PROVISIONED)).toBe('2.01');
  });

  it('is unpaired by its hub though a stranger sends noise in between', async () => {
    const order = await tube.unpairingOrder();
    expect(await codes(tube.order(new Uint8Array(40), 'unpair'))).toBe('4.01');
    expect(await codes(tube.order(order, 'unpair'))).toBe('2.04 with a payload');
  });
});

describe('unpairing', () => {
  const unpair = async () => {
    const order = await tube.unpairingOrder();
    return { order, answer: await tube.order(order, 'unpair') };
  };

  beforeEach(async () => {
    await tube.pair();
  });

  it('makes the device trust nobody, for good', async () => {
    const { answer, order } = await unpair();
    expect(codeOf(() => checkOrderAnswer(answer.payload, order, contextOf()))).toBe('none');
    tube.restart();
    expect(await give(PROVISIONED)).toBe('4.01');
    expect(tube.state.setup).toBe('dead');
    expect(tube.state.trust).toBeUndefined();
  });

  it('is answered again where the answer was lost', async () => {
    await unpair();
    tube.restart();
    const { answer, order } = await unpair();
    expect(codeOf(() => checkOrderAnswer(answer.payload, order, contextOf()))).toBe('none');
    expect(tube.events.filter(({ event }) => event === 'unpaired')).toHaveLength(1);
  });

  it('takes one nonce for each order', async () => {
    const { order } = await unpair();
    expect(await codes(tube.order(order, 'unpair'))).toBe('4.01');
  });

  it('changes nothing where that could not be kept, and can be repeated', async () => {
    const order = await tube.unpairingOrder();
    tube.failsToSave = true;
    expect(await codes(tube.order(order, 'unpair'))).toBe('5.00');
    expect(await give(PROVISIONED)).toBe('2.01');
    tube.failsToSave = false;
    expect(codeText((await unpair()).answer.code)).toBe('2.04');
  });

  it('leaves the setup code dead until a reset by hand', async () => {
    await unpair();
    const payload = encodeNonce(HUB_NONCE);
    expect(await codes(tube.post('provision', { contentFormat: CONTENT_FORMAT.cbor, payload }))).toBe('4.03');
    expect(await codes(tube.post('identify', {}))).toBe('4.01');
    tube.reset();
    await tube.pair(OTHER);
  });

  it('does nothing to a later pairing: the order is held back, and another hub has the device by then', async () => {
    const order = await tube.unpairingOrder();
    tube.reset();
    await tube.pair(OTHER);
    await tube.begin(HUB_NONCE, 'unpair');
    expect(await codes(tube.order(order, 'unpair'))).toBe('4.01');
    expect(await give(OTHER)).toBe('2.01');
  });

  it('cannot be asked of a device that nobody has paired', async () => {
    tube.reset();
    const post = (contentFormat: number, payload: Uint8Array) => codes(tube.post('unpair', { contentFormat, payload }));
    expect(await post(CONTENT_FORMAT.cbor, encodeNonce(HUB_NONCE))).toBe('4.03');
    expect(await post(CONTENT_FORMAT.coseMac0, new Uint8Array(40))).toBe('4.03');
  });

  it('cannot be taken back by the order to use what was given up', async () => {
    const nonces = tube.state.trust?.nonces ?? { hub: HUB_NONCE, device: HUB_NONCE };
    await unpair();
    expect(await codes(tube.order(commit(nonces)))).toBe('4.01');
    expect(
      await codes(tube.post('identify', { contentFormat: CONTENT_FORMAT.cbor, payload: encodeNonce(HUB_NONCE) })),
    ).toBe('4.03');
  });
});

describe('the state of a device', () => {
  it('reads as it was written, in every state', async () => {
    const read = () => encodeDeviceState(decodeDeviceState(tube.flash));
    expect(read()).toBe(tube.flash);
    await tube.receive();
    expect(read()).toBe(tube.flash);
    await tube.pair();
    expect(read()).toBe(tube.flash);
    await tube.order(await tube.unpairingOrder(), 'unpair');
    expect(read()).toBe(tube.flash);
  });

  it.each([
    ['that is not JSON', '{'],
    ['of another format', '{"format":"x","setup":"alive"}'],
    ['without the setup code', '{"format":"latchkey-device-state-1"}'],
    ['with trust that is none', '{"format":"latchkey-device-state-1","setup":"dead","trust":{"map":"oA"}}'],
    [
      'with a key of another size',
      '{"format":"latchkey-device-state-1","setup":"dead","released":{"audience":"a","root_key":"AA"}}',
    ],
  ])('%s is refused', (_, text) => {
    expect(codeOf(() => decodeDeviceState(text))).toBe('device_state_invalid');
  });

  it('is not in an error, nor in what happens', async () => {
    const nonces = await tube.pair();
    const root = base64url(PROVISIONED.rootKey.expose());
    const said = inspect([tube.events, tube.state, tube.setup], { depth: 12, showHidden: true });
    for (const secret of [root, hex(PROVISIONED.rootKey.expose())]) expect(said).not.toContain(secret);
    expect(nonces.device).toHaveLength(16);
  });
});
